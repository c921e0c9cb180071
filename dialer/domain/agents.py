"""What an agent is doing, and whether a call may be given to them.

``apply(seat, event, now) -> seat`` is the whole life of a seat: one session of one agent, from
log-in to log-out. An event that makes no sense in a state changes nothing, so that a repeat, or
one that comes late, does no harm. Nobody stays reserved, talking or in wrap-up for ever:
``ripened`` says what time alone has brought about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dialer.domain.model import AgentState

RESERVE = timedelta(seconds=5)
"""How long a call may take to join an agent whose leg is up; a redirect takes milliseconds."""
RING = timedelta(seconds=25)
"""How long it rings at an agent who is rung for each call."""
GRACE = timedelta(seconds=60)
"""A desk that has said nothing for so long beyond its heartbeat is logged out."""

BROWSER = "browser"
"""``station`` of an agent whose page calls in by itself."""

CODE_LOGGED_IN = "logged_in"  # not ready yet
CODE_AWAY = "away"  # the leg or the page was lost
CODE_NO_ANSWER = "no_answer"  # a call rang and was not taken


@dataclass(frozen=True, slots=True)
class Seat:
    """One session of an agent.

    ``session`` names the conference too. ``ringing``: called for each call instead of having a leg
    up all the time. ``wrap``: seconds of wrap-up after a talk (``own_wrap``: whatever the campaign
    says). ``since``: of the state. ``leg``:
    unique id of the channel in the conference. ``beat_at``: the desk's last heartbeat. ``call``:
    the attempt that is reserved, talked to, or wrapped up. ``next_pause``: asked for during a call.
    ``heartbeat``: seconds that a desk may be silent.
    """

    session: str
    agent_id: int
    company_id: int
    name: str
    since: datetime
    beat_at: datetime
    skills: frozenset[str] = frozenset()
    languages: tuple[str, ...] = ()
    station: str = "browser"
    ringing: bool = False
    wrap: float = 30.0
    own_wrap: bool = False
    heartbeat: float = 15.0
    state: AgentState = AgentState.PAUSED
    pause_code: str | None = CODE_LOGGED_IN
    next_pause: str | None = None
    reserved_until: datetime | None = None
    leg: str | None = None
    leg_lost_at: datetime | None = None
    call: str | None = None

    def present(self, now: datetime) -> bool:
        """The page is there, and so is the channel (where one has to be): what the law means by
        an agent who is there."""
        fresh = (now - self.beat_at).total_seconds() <= self.heartbeat
        return fresh and (self.leg is not None or self.ringing)

    def usable(self, now: datetime) -> bool:
        """A call may be given to them now."""
        return self.state is AgentState.AVAILABLE and self.present(now)


@dataclass(frozen=True, slots=True)
class Ready:
    """The agent wants calls."""


@dataclass(frozen=True, slots=True)
class WrapDone:
    """The wrap-up is finished: back to work, or into the pause that was asked for meanwhile."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The agent wants no calls, after the one that goes on."""

    code: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """A call is promised to them; ``within``: how long it may take to join. ``wrap``: seconds of
    wrap-up after it, where the agent has none of their own."""

    attempt_id: str
    within: timedelta = RESERVE
    wrap: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """They are with the colleague who asked them to come: the reservation lasts on."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class CallJoined:
    """The debtor is in the conference."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class CallGone:
    """The call is over for this agent: hung up, transferred, or taken away."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class LegUp:
    """The agent's channel is in the conference."""

    channel: str


@dataclass(frozen=True, slots=True)
class LegDown:
    """It has left."""

    channel: str


@dataclass(frozen=True, slots=True)
class Beat:
    """The desk says that it is there."""


@dataclass(frozen=True, slots=True)
class LogOut:
    """The session is over."""


@dataclass(frozen=True, slots=True)
class Ripened:
    """Time alone has brought something about; see ``ripened``."""


SeatEvent = (
    Ready
    | WrapDone
    | Pause
    | Reserve
    | Kept
    | CallJoined
    | CallGone
    | LegUp
    | LegDown
    | Beat
    | LogOut
    | Ripened
)


def apply(seat: Seat, event: SeatEvent, now: datetime) -> Seat:
    """The seat after ``event``; the same object where nothing changed. ``now`` is aware."""
    if seat.state is AgentState.LOGGED_OUT:
        return seat
    match event:
        case Ready():
            return _ready(seat, now)
        case WrapDone():
            return _free(seat, now) if seat.state is AgentState.WRAP_UP else seat
        case Pause(code):
            return _pause(seat, code, now)
        case Reserve(attempt_id, within, wrap):
            if not seat.usable(now):
                return seat
            reserved = _to(seat, AgentState.RESERVED, now, call=attempt_id)
            wrap = seat.wrap if wrap is None or seat.own_wrap else wrap
            return replace(reserved, reserved_until=now + within, wrap=wrap)
        case Kept(attempt_id):
            return _keep(seat, attempt_id, now)
        case CallJoined(attempt_id):
            if seat.state is not AgentState.RESERVED or seat.call != attempt_id:
                return seat
            return _to(seat, AgentState.TALKING, now)
        case CallGone(attempt_id):
            return _gone(seat, attempt_id, now)
        case LegUp(channel):
            return replace(seat, leg=channel, leg_lost_at=None)
        case LegDown(channel):
            return replace(seat, leg=None, leg_lost_at=now) if seat.leg == channel else seat
        case Beat():
            return replace(seat, beat_at=now)
        case LogOut():
            return _to(seat, AgentState.LOGGED_OUT, now, call=None)
        case Ripened():
            return _ripen(seat, now)


def ripened(seat: Seat, now: datetime) -> bool:
    """Whether ``Ripened`` would change the seat."""
    return _ripen(seat, now) is not seat


def _ready(seat: Seat, now: datetime) -> Seat:
    if seat.state in (AgentState.PAUSED, AgentState.WRAP_UP):
        return _to(seat, AgentState.AVAILABLE, now, call=None)
    return replace(seat, next_pause=None) if seat.next_pause else seat


def _pause(seat: Seat, code: str, now: datetime) -> Seat:
    if seat.state in (AgentState.RESERVED, AgentState.TALKING):
        return replace(seat, next_pause=code)
    if seat.state is AgentState.PAUSED and seat.pause_code == code:
        return seat
    return _to(seat, AgentState.PAUSED, now, pause_code=code, call=None)


def _keep(seat: Seat, attempt_id: str, now: datetime) -> Seat:
    """Not each time it is said: a seat that changes is looked at by all who decide something."""
    if seat.state is not AgentState.RESERVED or seat.call != attempt_id:
        return seat
    until = seat.reserved_until or now
    return seat if until - now > RESERVE / 2 else replace(seat, reserved_until=now + RESERVE)


def _gone(seat: Seat, attempt_id: str, now: datetime) -> Seat:
    if seat.call != attempt_id:
        return seat
    if seat.state is AgentState.TALKING:
        return _to(seat, AgentState.WRAP_UP, now, call=seat.call, next_pause=seat.next_pause)
    if seat.state is AgentState.RESERVED:
        return _free(seat, now)
    return seat


def _free(seat: Seat, now: datetime) -> Seat:
    """Back to work, or into the pause that was asked for."""
    if seat.next_pause is not None:
        return _to(seat, AgentState.PAUSED, now, pause_code=seat.next_pause, call=None)
    return _to(seat, AgentState.AVAILABLE, now, call=None)


def _ripen(seat: Seat, now: datetime) -> Seat:
    spent = now - seat.since
    silent = (now - seat.beat_at).total_seconds() - seat.heartbeat
    if silent > GRACE.total_seconds():
        return _to(seat, AgentState.LOGGED_OUT, now, call=None)
    match seat.state:
        case AgentState.RESERVED if now > (seat.reserved_until or seat.since + RESERVE):
            code = CODE_NO_ANSWER if seat.ringing else CODE_AWAY
            return _to(seat, AgentState.PAUSED, now, pause_code=code, call=None)
        case AgentState.WRAP_UP if spent.total_seconds() >= seat.wrap:
            return _free(seat, now)
        case AgentState.AVAILABLE if not seat.present(now):
            # A page that is loaded anew is back before this; who stays away says when they are
            # back, and is not thrown into a call.
            legless = (now - (seat.leg_lost_at or seat.since)).total_seconds()
            if silent > 0 or (legless > seat.heartbeat and not seat.ringing):
                return _to(seat, AgentState.PAUSED, now, pause_code=CODE_AWAY, call=None)
        case _:
            pass
    return seat


def _to(
    seat: Seat,
    state: AgentState,
    now: datetime,
    *,
    pause_code: str | None = None,
    next_pause: str | None = None,
    **changes: str | None,
) -> Seat:
    if state in (AgentState.RESERVED, AgentState.TALKING):
        next_pause = seat.next_pause
    return replace(
        seat,
        state=state,
        since=now,
        pause_code=pause_code,
        next_pause=next_pause,
        call=changes.get("call", seat.call),
    )
