"""A talk at a desk whose Asterisk refuses what it is asked: nobody is stuck in the music."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from dialer.config import Settings
from dialer.desk.models import CommandName
from dialer.desk.wire import Command, Refused
from dialer.domain.agents import Seat
from dialer.domain.model import AgentCallKind, AgentState
from dialer.domain.queueing import Caller
from dialer.engine.desks import AWAY_CONSULT, AWAY_HOLD, Talk
from dialer.engine.floor import Floor, FloorHands
from dialer.engine.talk_desk import TalkDesk
from dialer.switch import names, talking

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CALL, ANA, EVA = "c" * 32, "a" * 32, "e" * 32


class Switch:
    """Does what it is asked, but for what begins with one of ``refuses``; remembers all of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses: set[str] = set()

    async def perform(self, action: talking.Action) -> bool:
        """Whether it was done."""
        what = str(action.get("Context") or action.get("Action"))
        self.asked.append(what)
        return what not in self.refuses


class Silent:
    """Notes that nobody writes."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_more: None


def drop(work: Coroutine[Any, Any, None]) -> None:
    work.close()


def seat(name: str, session: str, agent_id: int, state: AgentState) -> Seat:
    return Seat(
        session=session, agent_id=agent_id, company_id=1, name=name, since=NOW, beat_at=NOW,
        leg=f"leg-{name}", state=state, pause_code=None,
    )  # fmt: skip


class Desk:
    """Ana talks; Eva is free."""

    def __init__(self) -> None:
        self.switch = Switch()
        nothing = cast(Any, lambda *_: None)
        hands = FloorHands(
            switch=cast(Any, self.switch), notes=cast(Any, Silent()), about=nothing, beside=drop,
            tell=nothing, tell_floor=nothing, paced=nothing, seat_changed=nothing, report=nothing,
            whisper=nothing, now=lambda: NOW,
        )  # fmt: skip
        self.floor = Floor(hands)
        ana = seat("ana", ANA, 1, AgentState.TALKING)
        self.floor.seats[ANA] = replace(ana, call=CALL)
        self.floor.seats[EVA] = seat("eva", EVA, 2, AgentState.AVAILABLE)
        caller = Caller(CALL, AgentCallKind.PREDICTIVE, 1, NOW)
        self.talk = self.floor.talks[CALL] = Talk(caller, ANA, NOW, joined=NOW)
        self.desk = TalkDesk(
            Settings(), self.floor, cast(Any, None), lambda number: (number, ""), nothing
        )

    def ask(self, name: CommandName, **args: Any) -> None:
        """What Ana presses."""
        command = Command("1" * 32, name, ANA, args, NOW)
        asyncio.run(cast(Any, self.desk.handlers[name](command)))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_for_a_colleague_who_is_not_free_the_debtor_is_not_moved(desk: Desk) -> None:
    desk.floor.seats[EVA] = replace(desk.floor.seats[EVA], state=AgentState.TALKING, call="d" * 32)
    with pytest.raises(Refused) as refused:
        desk.ask(CommandName.TRANSFER, kind="attended", to={"agent": 2})
    assert refused.value.reply.error == "nobody"
    assert desk.switch.asked == [] and desk.talk.away is None


@pytest.mark.parametrize("way_back", [True, False])
def test_a_colleague_who_cannot_be_brought(desk: Desk, way_back: bool) -> None:
    """The debtor comes back; where that is refused too they are on hold, and no longer than Ana
    wants."""
    desk.switch.refuses = {names.CONTEXT_THIRD} | (set() if way_back else {names.CONTEXT_TALK})
    with pytest.raises(Refused):
        desk.ask(CommandName.TRANSFER, kind="attended", to={"agent": 2})
    assert desk.switch.asked == [names.CONTEXT_HOLD, names.CONTEXT_THIRD, names.CONTEXT_TALK]
    assert desk.talk.away == AWAY_HOLD, "until the conference says that they are back"
    desk.switch.refuses = set()
    desk.ask(CommandName.RESUME)
    assert desk.switch.asked[-1] == names.CONTEXT_TALK


def test_a_consultation_that_is_called_off_and_the_way_back_refused(desk: Desk) -> None:
    desk.ask(CommandName.TRANSFER, kind="attended", to={"agent": 2})
    assert desk.talk.away == AWAY_CONSULT
    desk.switch.refuses = {names.CONTEXT_TALK}
    with pytest.raises(Refused):
        desk.ask(CommandName.CANCEL_TRANSFER)
    desk.switch.refuses = set()
    desk.ask(CommandName.RESUME)
    assert desk.switch.asked[-1] == names.CONTEXT_TALK
