"""``AGI(agi://host:port/queue)``: the debtor waits for a person.

There is music, and a word every ``ROUND_SECONDS``: where they stand, if that has changed, and what
else they may choose. The engine ends the wait by redirecting the channel, which ends this session
without a word (``Gone``), just as a hang-up does: what that means is the engine's to tell. What
ends here is written down first, then told to the engine, then said. A debtor to whom an agent is
promised already can end nothing any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from agi_scripts import calling_back, events
from agi_scripts.effects import Effects
from agi_scripts.escalating import at_work
from agi_scripts.session import Ivr
from agi_scripts.sounds import MissingSound
from agi_scripts.wire import Agi
from dialer.domain.model import AgentCallResult
from dialer.flow import waiting_prompts as words
from dialer.flow.prompts import Prompts
from dialer.logs import get_logger
from dialer.store import agent_calls, outcomes
from dialer.store.outcomes import Call

log = get_logger(__name__)

ROUND_SECONDS = 20.0
CALLBACK, LINK, STAY = "1", "2", "3"
MOST_WAITING = 10
"""For each agent who works; who comes later is offered a callback at once."""
THINKING_SECONDS = 6.0
LATE_SECONDS = 60.0
"""How much longer than the longest wait a database is waited for that does not take its end."""
NODE = "queue"
"""What is written down as the node where something was concluded."""

Write = Callable[[Connection], None]


def run(agi: Agi, ivr: Ivr) -> None:
    """Keep the debtor company. Raises FlowError, UnknownCall, SQLAlchemyError, Gone."""
    call = ivr.call_of(agi)
    Waiting(agi, ivr, call).wait()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a wait is going. ``position``: 1 is next, 0: not known. ``agents``: how many work who
    could take them. ``since``: seconds waited, over all visits."""

    position: int
    agents: int
    since: float

    @property
    def hopeless(self) -> bool:
        """Nobody works any more."""
        return self.agents == 0

    @property
    def full(self) -> bool:
        """So many wait before them that it would take too long."""
        return self.position > MOST_WAITING * self.agents


@dataclass
class Waiting:
    """One wait."""

    agi: Agi
    ivr: Ivr
    call: Call
    _language: str = field(init=False)
    _prompts: Prompts = field(init=False)
    _began: float = field(init=False, default_factory=time.monotonic)
    _known: Standing = field(init=False, default_factory=lambda: Standing(0, 1, 0.0))

    def __post_init__(self) -> None:
        proven = self.ivr.shelf.get(self.call.flow)
        self._language = proven.language(self.call.language, self.call.campaign_language)
        self._prompts = proven.prompts[self._language]

    def wait(self) -> None:
        """To the end of it, unless the channel is taken away. Raises Gone."""
        standing = self._standing()
        if (standing.hopeless or standing.full) and self._offer_instead():
            return
        self._say([words.WAIT])
        told, offered = 0, False
        while True:
            if standing.since >= self.ivr.settings.queue_escape_seconds:
                if self.call_back(AgentCallResult.TIMEOUT):
                    return
            elif standing.hopeless and self._offer_instead():
                return
            said = self._place(standing.position) if standing.position != told else []
            told = standing.position
            options = self._options() if offered else []
            key = self._say([*said, *options], position=told) or self._music(standing)
            if offered and self._chose(key):
                return
            offered = True
            standing = self._standing()

    def call_back(self, how: AgentCallResult) -> bool:
        """The wait is over, and somebody will call; False where it is not theirs to end."""

        def write(connection: Connection) -> None:
            calling_back.book(connection, self.call, self.ivr.clock())

        if not self._end(how, write):
            return False
        self._say([words.ESCAPE if how is AgentCallResult.TIMEOUT else words.CALLED_BACK])
        return True

    # --- choices --------------------------------------------------------------------------

    def _chose(self, key: str) -> bool:
        """Whether that ended the wait."""
        if key == CALLBACK:
            return self.call_back(AgentCallResult.CALLBACK)
        if key == LINK and self._may_have_link():
            return self._send_link()
        return False

    def _offer_instead(self) -> bool:
        """Nobody can be waited for: the link, or a callback also without a key. False where an
        agent is promised all the same."""
        options = [one for one in self._options() if one != words.OFFER_STAY]
        key = self._say([words.NOBODY, *options]) or self._key(THINKING_SECONDS)
        if key == LINK and self._may_have_link():
            return self._send_link()
        how = AgentCallResult.CALLBACK if key == CALLBACK else AgentCallResult.TIMEOUT
        return self.call_back(how)

    def _options(self) -> list[str]:
        link = [words.OFFER_LINK] if self._may_have_link() else []
        return [words.OFFER_CALLBACK, *link, words.OFFER_STAY]

    def _may_have_link(self) -> bool:
        """It leads to the debt: only for who has proven who they are."""
        return self.call.identified and self.call.owes and self.call.line_type.takes_sms

    def _send_link(self) -> bool:
        ivr, made = self.ivr, list[int]()
        effects = Effects(ivr.engine, ivr.settings, self.call, self._language, ivr.enqueue)
        text = effects.link_text()

        def write(connection: Connection) -> None:
            made.append(outcomes.record_link(connection, self.call, text, NODE, self.ivr.clock()))

        if not self._end(AgentCallResult.LINK, write):
            return False
        effects.hand_to_workers(made[0])
        self._say([words.LINK_SENT])
        return True

    def _end(self, how: AgentCallResult, write: Write) -> bool:
        """Write down how the wait ended, with what follows, and tell it. False: an agent is
        promised, and will be there in a moment; or the database does not take it, and nothing is
        confirmed."""
        try:
            if not self._written(how, write):
                return False
        except SQLAlchemyError as error:
            if self._waited > self.ivr.settings.queue_escape_seconds + LATE_SECONDS:
                raise
            log.error("end of a wait not written", result=how.value, why=type(error).__name__)
            return False
        events.queue_ended(self.agi, how)
        return True

    def _written(self, how: AgentCallResult, write: Write) -> bool:
        now = self.ivr.clock()
        with self.ivr.engine.begin() as connection:
            waits = [
                one
                for one in agent_calls.open_calls(connection, attempt_id=self.call.attempt_id)
                if one.joined_at is None
            ]
            if any(one.offered_at is not None for one in waits):
                return False
            if not all(agent_calls.result(connection, one.id, how, now) for one in waits):
                return False
            write(connection)
        return True

    # --- what is known --------------------------------------------------------------------

    @property
    def _waited(self) -> float:
        """Seconds of this visit."""
        return time.monotonic() - self._began

    def _standing(self) -> Standing:
        """As the database has it; while it does not answer, as it was: nobody loses their place
        for that."""
        try:
            self._known = self._read()
        except SQLAlchemyError as error:
            log.error("a wait without the database", why=type(error).__name__)
            self._known = replace(self._known, since=max(self._known.since, self._waited))
        return self._known

    def _read(self) -> Standing:
        now = self.ivr.clock()
        attempt_id = self.call.attempt_id
        with self.ivr.engine.connect().execution_options(dialer_readonly=True) as connection:
            waits = agent_calls.open_calls(connection, attempt_id=attempt_id)
            skill = waits[-1].skill if waits else ""
            place = agent_calls.position(connection, attempt_id)
            agents = at_work(connection, self.ivr.settings, self.call.company_id, skill, now)
        queued = min((one.queued_at for one in waits if one.joined_at is None), default=now)
        return Standing(
            position=place.before + 1 if place is not None else 0,
            agents=agents,
            since=max(self._waited, (now - queued).total_seconds()),
        )

    # --- what is heard --------------------------------------------------------------------

    def _place(self, position: int) -> list[str]:
        if position <= 0:
            return []
        return [words.NEXT] if position == 1 else [words.POSITION]

    def _say(self, keys: Sequence[str], position: int = 0) -> str:
        """The key pressed over it, or ''. What has no sound is left out: music is better than the
        end of the call."""
        for one in words.waiting_fragments(self._prompts, keys, position):
            try:
                path = self.ivr.sounds.path(self._language, one.key)
            except MissingSound as error:
                log.error("not said to who waits", why=str(error))
                continue
            if key := self.agi.stream_file(path, CALLBACK + LINK + STAY):
                return key
        return ""

    def _music(self, standing: Standing) -> str:
        """Music until a key, the next round, or the end of the longest wait."""
        left = self.ivr.settings.queue_escape_seconds - standing.since
        return self._key(max(1.0, min(ROUND_SECONDS, left)))

    def _key(self, seconds: float) -> str:
        self.agi.music(on=True)
        key = self.agi.wait_for_digit(seconds)
        self.agi.music(on=False)
        return key
