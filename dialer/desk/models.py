"""What desks and supervisors may say: the one place where commands have their arguments.

The API validates requests with these, the engine what it is handed, the client its own calls; a
description of the API can be generated from them. Unknown fields are refused everywhere, and no
value is coerced (``"1"`` is no number). What goes the other way is in ``dialer.desk.events``.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)


def _near(value: datetime) -> datetime:
    """What no zone can push over the edge of the calendar."""
    if not 2000 <= value.year <= 2200:
        raise ValueError("a time of this century is expected")
    return value


Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
Skill = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
Number = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{5,14}$")]
"""E.164."""
Station = Annotated[
    str, StringConstraints(pattern=r"^(\+[1-9][0-9]{5,14}|sip:[A-Za-z0-9_.+@:\[\]-]{1,190})$")
]
"""A telephone that is called: a number in E.164 or a SIP address."""
Keys = Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]{1,32}$")]
Written = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
"""Text of people: of the control characters only line ends and tabs."""
Moment = Annotated[AwareDatetime, AfterValidator(_near)]
RowId = Annotated[int, Field(ge=1, le=2**53)]


class CommandName(StrEnum):
    """What the engine can be asked to do."""

    LOG_IN = "log_in"
    LOG_OUT = "log_out"
    HEARTBEAT = "heartbeat"
    READY = "ready"
    PAUSE = "pause"
    WRAP_DONE = "wrap_done"
    NEW_LEG = "new_leg"
    DISPOSITION = "disposition"
    HANG_UP = "hang_up"
    HOLD = "hold"
    RESUME = "resume"
    MUTE = "mute"
    UNMUTE = "unmute"
    DTMF = "dtmf"
    TRANSFER = "transfer"
    COMPLETE_TRANSFER = "complete_transfer"
    CANCEL_TRANSFER = "cancel_transfer"
    CALLBACK = "callback"
    PROMISE = "promise"
    LINK = "link"
    PAY = "pay"
    PAY_AGAIN = "pay_again"
    PAY_CANCEL = "pay_cancel"
    RECORD_PAUSE = "record_pause"
    RECORD_RESUME = "record_resume"
    PREVIEW_CALL = "preview_call"
    PREVIEW_SKIP = "preview_skip"
    FLOOR = "floor"
    LISTEN = "listen"
    WHISPER = "whisper"
    BARGE = "barge"


WITHOUT_SESSION = frozenset({CommandName.LOG_IN, CommandName.FLOOR})


class Request(BaseModel):
    """Nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Request):
    """A command without arguments."""


class Desk(Request):
    """How the agent wants to work today. ``ringing``: their telephone rings for each call (null:
    as their account says). ``skills``: those of the account that they serve (null: all)."""

    ringing: bool | None = None
    skills: list[Skill] | None = Field(None, max_length=50)


class LogIn(Desk):
    """``log_in`` as the engine is asked."""

    agent_id: RowId


class Pause(Request):
    """Why an agent takes no calls."""

    code: Code


class Dispose(Request):
    """How the talk ended, in the agent's word."""

    disposition: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,20}$")]
    notes: Written = Field("", max_length=4000)


class DisposeArgs(Request):
    """``disposition`` as the engine is asked."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,20}$")]
    notes: Written = Field("", max_length=4000)


class Dtmf(Request):
    """Keys to be sent to the debtor's end."""

    keys: Keys


class Target(Request):
    """Whom a call is passed to; exactly one of them."""

    agent: RowId | None = None
    skill: Skill | None = None
    number: Number | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(one is not None for one in (self.agent, self.skill, self.number)) != 1:
            raise ValueError("name exactly one of agent, skill and number")
        return self


class Transfer(Request):
    """``blind``: at once; ``attended``: the agent talks with them first; ``three_way``: all
    three."""

    to: Target
    kind: Literal["blind", "attended", "three_way"]


class Callback(Request):
    """A call agreed upon. ``own``: by this agent, else by whoever is free."""

    due_at: Moment
    own: bool = False
    note: Written = Field("", max_length=200)


class Promise(Request):
    """The day by which the debtor says they will pay."""

    due: date


class Pay(Request):
    """The debtor keys a card in. Without an amount: all that is owed."""

    amount_minor: Annotated[int, Field(ge=1, le=10**12)] | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.amount_minor is None) != (self.currency is None):
            raise ValueError("give amount_minor and currency together, or neither")
        return self


class Listen(Request):
    """``by``: the supervisor's telephone, which is called."""

    by: Station


ARGUMENTS: dict[CommandName, type[Request]] = {
    **dict.fromkeys(CommandName, Nothing),
    CommandName.LOG_IN: LogIn,
    CommandName.PAUSE: Pause,
    CommandName.DISPOSITION: DisposeArgs,
    CommandName.DTMF: Dtmf,
    CommandName.TRANSFER: Transfer,
    CommandName.CALLBACK: Callback,
    CommandName.PROMISE: Promise,
    CommandName.PAY: Pay,
    CommandName.LISTEN: Listen,
    CommandName.WHISPER: Listen,
    CommandName.BARGE: Listen,
}
"""What each command takes."""


class Answer(BaseModel):
    """What the API says; a client ignores what it does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Sip(Answer):
    """How a browser calls in: ``sip:<leg token>@<host of url>`` over ``ws``."""

    url: str = ""
    user: str = ""
    password: str = ""
    ws: str = ""


class LoggedIn(Answer):
    """Answer to a log-in, and to the wish for a fresh leg (where ``session`` is the same).

    ``sip`` is null for an agent whose telephone is called.
    """

    session: str
    leg_token: str
    sip: Sip | None = None


class AgentSelf(Answer):
    """The agent, as they see themselves."""

    id: int
    login: str
    name: str
    skills: list[str]
    languages: list[str]
    station: str
    ringing: bool


class CurrentCall(Answer):
    """The debtor at this desk, until the wrap-up is done."""

    attempt: str
    kind: str
    reason: str
    skill: str
    queued_at: datetime
    offered_at: datetime | None
    joined_at: datetime | None
    left_at: datetime | None
    disposition: str | None
    notes: str


class SessionNow(Answer):
    """The desk as it is now. ``last_event``: events after it are news; null where that
    is not known."""

    session: str
    state: str
    pause_code: str | None
    since: datetime
    started_at: datetime
    leg_token: str
    agent: AgentSelf
    call: CurrentCall | None
    last_event: str | None


def arguments(name: CommandName, given: object) -> dict[str, Any]:
    """The arguments as JSON has them, with defaults filled in and nulls left out.

    Raises pydantic.ValidationError.
    """
    # As JSON: only there is a string of the right form a date and yet nothing coerced.
    model = ARGUMENTS[name].model_validate_json(json.dumps(given))
    return model.model_dump(mode="json", exclude_none=True)
