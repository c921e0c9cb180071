"""Commands of the interpreter said to Asterisk; keys, time-outs and hang-ups come back as inputs.

Digits: Asterisk throws away what arrives between two commands, so a question ends in one GET DATA
that plays its last file and takes every key; the files before it are stopped by a key, which
counts. A ``#`` typed late, behind the last digit of an answer that ended by itself, is swallowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agi_scripts import events
from agi_scripts.sounds import Sounds
from agi_scripts.wire import Agi, Gone
from dialer.flow.interpreter import step
from dialer.flow.model import Flow
from dialer.flow.prompts import Prompts, spoken
from dialer.flow.values import (
    Collect,
    Command,
    Conclude,
    ConfirmIdentity,
    Escalate,
    Facts,
    HungUp,
    Input,
    Keys,
    NobodyThere,
    NoteKey,
    Said,
    Say,
    Started,
    State,
    TakePayment,
    TimedOut,
    Wait,
)

STOPPED_BY = "0123456789*"
"""Keys that stop a file. Not ``#``: it means nothing before a question, and comes late."""


@dataclass
class Player:
    """One call.

    ``conclude`` writes a conclusion down; ``pay`` has a payment taken, ``escalate`` hands over to a
    person, and what comes of them is the next input. What they raise ends the session.
    """

    agi: Agi
    flow: Flow
    prompts: Prompts
    sounds: Sounds
    conclude: Callable[[Conclude], None]
    pay: Callable[[TakePayment], Input]
    escalate: Callable[[Escalate], Input]
    state: State = field(default_factory=State)
    _late_hash: bool = False

    def play(self, facts: Facts) -> State:
        """Run the flow to its end or to the hang-up; the last state."""
        given: Input | None = Started(facts)
        while given is not None:
            self.state, commands = step(self.flow, self.state, given)
            given = self._perform(commands)
        return self.state

    def _perform(self, commands: Sequence[Command]) -> Input | None:
        over = self.state.wait is Wait.NOTHING
        gone = False
        try:
            # Before the database is waited for: who pressed a key and hangs up meanwhile has not
            # hung up without one, and is not redialled.
            self._tell([one for one in commands if isinstance(one, NoteKey)])
        except Gone:
            gone = True
        # What the debtor decided counts even if the line is gone in the next moment.
        for command in commands:
            if isinstance(command, Conclude):
                self.conclude(command)
        if gone:
            return None if over else self._gone(commands)
        try:
            self._tell([one for one in commands if not isinstance(one, NoteKey)])
            return None if over else self._say(commands)
        except Gone:
            return None if over else HungUp()

    def _say(self, commands: Sequence[Command]) -> Input:
        saying = next((one for one in commands if isinstance(one, Say)), None)
        asking = next((one for one in commands if isinstance(one, Collect)), None)
        paying = next((one for one in commands if isinstance(one, TakePayment)), None)
        escalating = next((one for one in commands if isinstance(one, Escalate)), None)
        if escalating is not None:
            return self.escalate(escalating)
        if paying is not None:
            self._late_hash = False
            return self.pay(paying)
        if asking is not None:
            return self._ask(saying, asking)
        assert saying is not None, "the interpreter waits for something"
        return self._tell_prompts(saying)

    def _gone(self, commands: Sequence[Command]) -> Input:
        """Who asked for a person and hung up in that moment is called back by one."""
        asked = any(isinstance(one, Escalate) for one in commands)
        return NobodyThere() if asked else HungUp()

    def _tell(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case NoteKey(node=node, key=key):
                    events.key_pressed(self.agi, node, key)
                case ConfirmIdentity():
                    events.identity_confirmed(self.agi)
                case Conclude(outcome=outcome):
                    events.outcome_reported(self.agi, outcome)

    def _tell_prompts(self, saying: Say) -> Input:
        stopped_by = STOPPED_BY if saying.barge_in else ""
        for prompt in saying.prompts:
            events.prompt_reached(self.agi, saying.node, prompt)
            for path in self._paths(prompt):
                if key := self.agi.stream_file(path, stopped_by):
                    return Keys(key)
        return Said()

    def _ask(self, saying: Say | None, asking: Collect) -> Input:
        prompts = saying.prompts if saying else ()
        path, typed = "", asking.typed
        for index, prompt in enumerate(prompts, start=1):
            events.prompt_reached(self.agi, asking.node, prompt)
            files = self._paths(prompt)
            path = files.pop() if index == len(prompts) else ""
            typed += self._until_key(files)
            if typed:
                break
        return self._take(asking, "" if typed else path, typed)

    def _until_key(self, paths: Sequence[str]) -> str:
        for path in paths:
            if key := self.agi.stream_file(path, STOPPED_BY):
                return key
        return ""

    def _take(self, asking: Collect, path: str, typed: str) -> Input:
        """Play the last file and take what is missing of the answer."""
        wanted = asking.max_digits - len(typed)
        if wanted <= 0:
            return Keys(typed)
        # GET DATA has one clock, for the first key and those after it alike. The longer time for
        # the first one is played as silence behind the question, so that the line is not dead
        # while the debtor thinks: carriers end calls that send no sound.
        pause = 0 if typed or not path else max(0, int(asking.first_timeout - asking.inter_timeout))
        clock = asking.inter_timeout if typed or pause else asking.first_timeout
        played = self.sounds.followed_by_silence(path, pause) if path else ""
        keys, timed_out = self.agi.get_data(played, int(clock * 1000), wanted)
        if not keys and not timed_out and self._late_hash:
            self._late_hash = False
            return self._take(asking, path, typed)
        self._late_hash = asking.max_digits > 1 and len(keys) == wanted
        if typed + keys:
            return Keys(typed + keys)
        return TimedOut() if timed_out else Keys("#")

    def _paths(self, prompt: str) -> list[str]:
        return [
            self.sounds.path(self.prompts.language, one.key)
            for one in spoken(self.prompts, prompt, self.state)
        ]
