"""May this person be contacted, on this channel, now; and if not, when.

Caps count calls and messages together, by debtor, over every campaign of the company: an
immediate redial is an attempt like any other.

Who was abandoned (answered, and no agent came) is not called again for 72 hours unless an agent is
guaranteed to be there: from Ofcom's statements on persistent misuse until 2017, which let such a
repeat be made only with a live operator certain to be present. Practice in the United Kingdom
since; kept everywhere, and by debtor where Ofcom spoke of the number. Messages are not meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dialer.domain.model import ContactRules, DialMode, Refusal

WEEK = timedelta(days=7)
LOCK_OUT = timedelta(hours=72)
_SEARCH_DAYS = 31  # further away than any run of holidays


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one debtor and one number.

    ``contacts``: moments of every call and message of the last 7 days, any order.
    ``do_not_call``: this number is on the company's list. ``opted_out``: the debtor is.
    ``abandoned_at``: when they last answered a call of ours to which no agent came.
    """

    timezone: str
    contacts: Sequence[datetime]
    do_not_call: bool = False
    opted_out: bool = False
    abandoned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Allowed when ``refused`` is None; else why, and from when it may be (None: never)."""

    refused: Refusal | None = None
    retry_at: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Nothing stands against it."""
        return self.refused is None


ALLOWED = Verdict()


def guarantees_agent(mode: DialMode) -> bool:
    """Whether a call placed in this mode has an agent of its own from before it is dialled.

    Preview and progressive do: one line for one agent who is kept for it. Agentless does not,
    although nobody is left in silence by it: the rule asks for a live operator, and a recorded
    voice is none.
    """
    return mode in (DialMode.PREVIEW, DialMode.PROGRESSIVE)


def may_contact(
    rules: ContactRules,
    standing: Standing,
    now: datetime,
    *,
    guaranteed: bool = True,
    lock_out: timedelta = LOCK_OUT,
) -> Verdict:
    """Ask before every call and every message.

    ``guaranteed``: an agent is there for it (``guarantees_agent`` of a call's mode; a message
    needs none); else who was abandoned within ``lock_out`` is left alone. ``now`` is aware. The
    order is from what never passes to what passes soonest. Raises
    zoneinfo.ZoneInfoNotFoundError for a time zone that is none (the import refuses those).
    """
    if standing.opted_out:
        return Verdict(Refusal.OPTED_OUT)
    if standing.do_not_call:
        return Verdict(Refusal.DO_NOT_CALL)
    zone = ZoneInfo(standing.timezone)
    recent = sorted(at for at in standing.contacts if at > now - WEEK)
    if len(recent) >= rules.max_per_week:
        free = recent[len(recent) - rules.max_per_week] + WEEK
        return Verdict(Refusal.WEEKLY_CAP, next_opening(rules, zone, free))
    if not guaranteed and standing.abandoned_at is not None:
        until = standing.abandoned_at + lock_out
        if now < until:
            return Verdict(Refusal.ABANDONED_LOCKOUT, next_opening(rules, zone, until))
    local_day = now.astimezone(zone).date()
    today = sum(1 for at in recent if at.astimezone(zone).date() == local_day)
    if today >= rules.max_per_day:
        midnight = datetime.combine(local_day + timedelta(days=1), time(), zone)
        return Verdict(Refusal.DAILY_CAP, next_opening(rules, zone, midnight))
    if not is_open(rules, zone, now):
        return Verdict(Refusal.OUTSIDE_WINDOW, next_opening(rules, zone, now))
    return ALLOWED


def day_limit(
    rules: ContactRules, attempts: Sequence[datetime], limit: int, timezone: str, now: datetime
) -> Verdict:
    """The campaign's own limit of attempts a calendar day for one lead.

    ``attempts``: when this lead was called, at least all of today.
    """
    zone = ZoneInfo(timezone)
    local_day = now.astimezone(zone).date()
    if sum(1 for at in attempts if at.astimezone(zone).date() == local_day) < limit:
        return ALLOWED
    midnight = datetime.combine(local_day + timedelta(days=1), time(), zone)
    return Verdict(Refusal.DAILY_CAP, next_opening(rules, zone, midnight))


def is_open(rules: ContactRules, zone: ZoneInfo, now: datetime) -> bool:
    """Whether the window is open at ``now`` in that zone."""
    local = now.astimezone(zone)
    if local.date() in rules.holidays:
        return False
    return any(
        day.weekday == local.weekday() and day.start <= local.time() < _end(day.end)
        for day in rules.window
    )


def next_opening(rules: ContactRules, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first moment at or after ``after`` (aware) when the window is open; UTC.

    None if there is none within a month: an empty window.
    """
    if is_open(rules, zone, after):
        return after.astimezone(UTC)
    local = after.astimezone(zone)
    for ahead in range(_SEARCH_DAYS):
        day = local.date() + timedelta(days=ahead)
        if day in rules.holidays:
            continue
        starts = sorted(w.start for w in rules.window if w.weekday == day.weekday())
        for start in starts:
            opening = datetime.combine(day, start, zone).astimezone(UTC)
            # A start inside the hour that summer time skips lands after it: still open then.
            if opening >= after and is_open(rules, zone, opening):
                return opening
    return None


def _end(end: time) -> time:
    """Midnight as an end means the end of the day."""
    return time.max if end == time() else end
