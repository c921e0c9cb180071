"""Who will answer: what the engine knows of each call before it is placed, what it learns from
its end, and where that is kept.

Calls that a debtor expects (redials within seconds, callbacks agreed upon) and inbound ones are
neither foretold nor learned from; neither is a call whose end nobody saw or that a trunk refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sqlalchemy.exc import DBAPIError

from dialer.domain import events as ev
from dialer.domain.answering import AnswerModel, BadState, Features, segment
from dialer.domain.disposition import conclude
from dialer.domain.model import Attempt, DetectionResult, Disposition
from dialer.engine.clock import utc_now
from dialer.engine.core import Core
from dialer.engine.live import LiveCall
from dialer.logs import get_logger
from dialer.store import answer_models

log = get_logger(__name__)

SAVE_SECONDS = 60.0
"""How much of what was learned a crash may lose."""


class Foreteller:
    """One model for each company that this engine calls for. An ``Observer`` of the core."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.models: dict[int, AnswerModel] = {}
        self._placed: dict[str, tuple[int, Features]] = {}
        self._given_up: set[str] = set()
        self._changed: set[int] = set()

    # --- foretelling ---------------------------------------------------------------------

    def expect(self, company_id: int, calls: dict[str, Features]) -> None:
        """These attempts are committed and will be placed."""
        for attempt_id, one in calls.items():
            self._placed[attempt_id] = company_id, one

    def segment(self, attempt_id: str) -> str:
        """The kind of line that the pacer is told; empty where nothing is known."""
        company_id, one = self._placed.get(attempt_id, (0, None))
        if one is None:
            return ""
        model = self._model(company_id)
        return segment(model.probability(one), model.time_class(one))

    def given_up(self, attempt_ids: Iterable[str]) -> None:
        """The pacer hangs up on calls that still ring: they were not tried in full."""
        self._given_up.update(attempt_ids)

    # --- learning ------------------------------------------------------------------------

    def observe(self, event: ev.CallEvent) -> None:
        """See ``Observer``."""
        if not isinstance(event, ev.Ended | ev.Vanished | ev.OriginateFailed):
            return
        known = self._placed.pop(event.attempt_id, None)
        given_up = event.attempt_id in self._given_up
        self._given_up.discard(event.attempt_id)
        live = self._core.live.get(event.attempt_id)
        if known is not None and live is not None:
            self._learn(*known, live, given_up)

    def _learn(self, company_id: int, one: Features, live: LiveCall, given_up: bool) -> None:
        attempt = live.ended()
        answered = _answered(attempt)
        if answered is None:
            return
        until = attempt.answered_at if answered else attempt.ended_at
        seconds = max(0.0, ((until or attempt.placed_at) - attempt.placed_at).total_seconds())
        self._model(company_id).learn(
            one, answered, seconds, given_up=given_up and attempt.answered_at is None
        )
        self._changed.add(company_id)

    def _model(self, company_id: int) -> AnswerModel:
        return self.models.setdefault(company_id, AnswerModel())

    # --- keeping -------------------------------------------------------------------------

    async def load(self) -> None:
        """What was learned before. A state that is none is left behind: the model begins anew."""
        for company_id, state in (
            await self._core.hands.database.until_done(answer_models.load)
        ).items():
            try:
                self.models[company_id] = AnswerModel.from_json(state)
            except BadState as error:
                log.warning("answer_model_left_out", company_id=company_id, error=str(error))

    async def run(self) -> None:
        """For ever: save what has changed."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.save()

    async def save(self) -> None:
        """Once; a database that is away is tried again the next time."""
        changed, self._changed = self._changed, set()
        states = {company_id: self.models[company_id].to_json() for company_id in changed}
        if not states:
            return
        try:
            await self._core.hands.database.once(
                lambda connection: answer_models.save(connection, states, utc_now())
            )
        except DBAPIError as error:
            self._changed |= changed
            log.warning("answer_model_not_saved", error=type(error.orig).__name__)

    # --- the rest of an observer ---------------------------------------------------------

    def tick(self) -> None:
        """See ``Observer``."""

    async def switch_ready(self, event: ev.SwitchReady) -> None:
        """See ``Observer``."""

    async def adopted(self) -> None:
        """See ``Observer``: of calls taken over it is not known what they were placed on."""


def _answered(attempt: Attempt) -> bool | None:
    """Whether a person answered; None where the call says nothing about the debtor."""
    if attempt.answered_at is not None:
        return attempt.detection not in (DetectionResult.MACHINE, DetectionResult.FAX)
    says_nothing = (Disposition.FAILED, Disposition.CONGESTION)
    return None if conclude(attempt) in says_nothing else False
