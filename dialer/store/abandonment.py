"""Who answered a call of ours and found nobody: how many, and when a debtor last did.

Answered live: a call that was placed for agents and that no machine answered (16 CFR
310.4(b)(4)(i): "answered by a person"). Abandoned: the safe-harbour message began; or nobody came
and we dropped the line without it (a crash), which is worse. Who hangs up within the hold answered,
and was not abandoned. Calls without agents, and calls of debtors to us, count for neither: they
would only thin the share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, not_, or_, select

from dialer.domain.model import DetectionResult, DialMode, Disposition
from dialer.store.tables import attempt

_MODES = [mode.value for mode in DialMode if mode.needs_agents]
_MACHINES = [DetectionResult.MACHINE.value, DetectionResult.FAX.value]
_SETTLES = timedelta(hours=2)  # no call lasts longer: what it was concluded to be stays
_AFRESH = timedelta(days=1)
_LONGEST_RING = timedelta(minutes=10)  # more than any call rings: from its placing to its answer


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls that a person answered, and those of them that were abandoned."""

    answered: int = 0
    abandoned: int = 0

    @property
    def share(self) -> float | None:
        """0 to 1; None where nobody answered."""
        return self.abandoned / self.answered if self.answered else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.answered + other.answered, self.abandoned + other.abandoned)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(self.answered - other.answered, self.abandoned - other.abandoned)


# A concluded call is what it was concluded to be; one that goes on, what was heard so far.
_MACHINE: ColumnElement[bool] = case(
    (attempt.c.disposition.is_not(None), attempt.c.disposition == Disposition.MACHINE.value),
    else_=func.coalesce(attempt.c.detection.in_(_MACHINES), False),  # noqa: FBT003
)
_DROPPED: ColumnElement[bool] = and_(
    attempt.c.disposition == Disposition.FAILED.value, attempt.c.agent_joined_at.is_(None)
)
LIVE: ColumnElement[bool] = and_(
    attempt.c.answered_at.is_not(None),
    attempt.c.mode.in_(_MODES),
    not_(attempt.c.inbound),
    not_(_MACHINE),
)
"""Attempts that a person answered and that were placed for agents."""
ABANDONED: ColumnElement[bool] = and_(LIVE, or_(attempt.c.abandoned_at.is_not(None), _DROPPED))


def by_mode(
    connection: Connection, campaign_id: int, since: datetime, until: datetime
) -> dict[DialMode, Counts]:
    """Of calls answered after ``since``, up to ``until`` (aware); modes with none are left out."""
    rows = connection.execute(
        select(attempt.c.mode, func.count(), func.count(case((ABANDONED, 1))))
        .where(
            attempt.c.campaign_id == campaign_id,
            attempt.c.answered_at > since,
            attempt.c.answered_at <= until,
            LIVE,
        )
        .group_by(attempt.c.mode)
    )
    return {DialMode(mode): Counts(answered, gone) for mode, answered, gone in rows}


def by_day(connection: Connection, campaign_id: int) -> dict[str, dict[DialMode, Counts]]:
    """Of the whole campaign, by the UTC day (``2026-03-16``) of the answer, oldest first."""
    when: ColumnElement[datetime] = attempt.c.answered_at
    if connection.dialect.name == "postgresql":
        when = func.timezone("UTC", when)
    day = func.date(when)
    rows = connection.execute(
        select(day, attempt.c.mode, func.count(), func.count(case((ABANDONED, 1))))
        .where(attempt.c.campaign_id == campaign_id, LIVE)
        .group_by(day, attempt.c.mode)
        .order_by(day)
    )
    found: dict[str, dict[DialMode, Counts]] = {}
    for on, mode, answered, gone in rows:
        found.setdefault(str(on), {})[DialMode(mode)] = Counts(answered, gone)
    return found


def window(connection: Connection, campaign_id: int, days: float, now: datetime) -> Counts:
    """Of the last ``days`` times 24 hours, over all modes with agents.

    A window that slides holds for every fixed one too, whatever day it begins on and in whatever
    time zone.
    """
    return total(by_mode(connection, campaign_id, now - timedelta(days=days), now))


@dataclass(slots=True)
class SlidingWindow:
    """``window`` for whoever asks every few seconds, over however many calls: what came in and
    what went out is counted, not all that lies between. Counted afresh once a day."""

    campaign_id: int
    days: float
    _began: datetime | None = None  # the window as it was counted: from here
    _settled: datetime | None = None  # to here; what is later is asked for each time
    _fresh_at: datetime | None = None
    _counts: Counts = Counts()

    def counts(self, connection: Connection, now: datetime) -> Counts:
        """Of the last ``days``; ``now`` is aware."""
        begins = now - timedelta(days=self.days)
        settles = max(begins, now - _SETTLES)
        old = self._fresh_at is None or now - self._fresh_at > _AFRESH
        if self._began is None or self._settled is None or settles < self._settled or old:
            self._counts = self._between(connection, begins, settles)
            self._fresh_at = now
        else:
            self._counts += self._between(connection, self._settled, settles)
            self._counts -= self._between(connection, self._began, begins)
        self._began, self._settled = begins, settles
        return self._counts + self._between(connection, settles, now)

    def _between(self, connection: Connection, since: datetime, until: datetime) -> Counts:
        return total(by_mode(connection, self.campaign_id, since, until))


def total(counts: Mapping[DialMode, Counts]) -> Counts:
    """All together."""
    return sum(counts.values(), Counts())


def last_abandoned(
    connection: Connection, debtor_ids: Sequence[int], since: datetime
) -> dict[int, datetime]:
    """When these debtors were last abandoned, those to whom it happened after ``since``."""
    if not debtor_ids:
        return {}
    rows = connection.execute(
        _LAST,
        {"debtors": list(debtor_ids), "since": since, "placed": since - _LONGEST_RING},
    )
    return {row.debtor_id: row.last for row in rows}


_WHEN = func.coalesce(attempt.c.abandoned_at, attempt.c.answered_at)
_SINCE_TYPE = attempt.c.placed_at.type
# Built once: asked for every batch of leads that is claimed.
_LAST = (
    select(attempt.c.debtor_id, func.max(_WHEN).label("last"))
    .where(
        attempt.c.debtor_id.in_(bindparam("debtors", expanding=True)),
        attempt.c.placed_at > bindparam("placed", type_=_SINCE_TYPE),
        ABANDONED,
        bindparam("since", type_=_SINCE_TYPE) < _WHEN,
    )
    .group_by(attempt.c.debtor_id)
)
