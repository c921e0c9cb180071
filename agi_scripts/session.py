"""What every entry is given, and how a session that cannot go on ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from agi_scripts.effects import Effects, Enqueue, now
from agi_scripts.escalating import Desk
from agi_scripts.paying import Till
from agi_scripts.player import Player
from agi_scripts.shelf import Shelf
from agi_scripts.sounds import Sounds
from agi_scripts.wire import Agi, Gone, UnknownCall
from dialer.config import Settings
from dialer.flow.nodes.identity import factor_of
from dialer.flow.prompts import NEUTRAL_GOODBYE, RECORDING_NOTICE, name_fragment
from dialer.flow.values import Facts
from dialer.flow.words import LANGUAGES
from dialer.logs import get_logger
from dialer.payments.gateways import choose
from dialer.store.outcomes import Call, load_call
from dialer.switch import names

log = get_logger(__name__)


@dataclass(frozen=True)
class Ivr:
    """What the entries share. Safe for many threads."""

    settings: Settings
    engine: Engine
    shelf: Shelf
    sounds: Sounds
    enqueue: Enqueue
    clock: Callable[[], datetime] = now

    def call_of(self, agi: Agi) -> Call:
        """The call on this channel. Raises UnknownCall, SQLAlchemyError."""
        with self.engine.connect().execution_options(dialer_readonly=True) as connection:
            call = load_call(connection, agi.attempt_id)
        if call is None:
            raise UnknownCall("there is no attempt with the id of this channel")
        return call

    def facts(self, call: Call, language: str) -> Facts:
        """What a flow may know of a call; a name only if somebody rendered it."""
        named = self.sounds.has(language, name_fragment(call.name).key)
        return Facts(
            language=language,
            today=self.clock().astimezone(ZoneInfo(call.timezone)).date(),
            company=call.company,
            amount=call.amount,
            due_date=call.due_date,
            factor=factor_of(call.document),
            takes_sms=call.line_type.takes_sms,
            debtor_name=call.name if named else None,
            callback_number=call.callback_number,
            cards=choose(self.settings, call.payment.gateway, call.country) is not None,
            agents=self.settings.agents,
        )

    def interpret(self, agi: Agi, call: Call, flow_name: str, *, recorded: bool = True) -> None:
        """Lead a call through a flow, in the debtor's language if the flow speaks it, else in
        the campaign's. ``recorded``: a recording is going on, if the campaign wants any. Raises
        FlowError, MissingSound, SQLAlchemyError."""
        proven = self.shelf.get(flow_name)
        language = proven.language(call.language, call.campaign_language)
        effects = Effects(self.engine, self.settings, call, language, self.enqueue)
        till = Till(agi, self.engine, self.settings, call, language, self.clock)
        prompts = proven.prompts[language]
        desk = Desk(agi, self.engine, self.settings, call, self.clock)
        player = Player(
            agi, proven.flow, prompts, self.sounds, effects.apply, till.take, desk.hand_over
        )
        if call.recorded and recorded:
            self._say_that_it_is_recorded(agi, language)
        player.play(self.facts(call, language))

    def _say_that_it_is_recorded(self, agi: Agi, language: str) -> None:
        """Before anything else, and no key cuts it short; who is not told is not recorded."""
        with suppress(Gone):  # the flow learns of it from its own first words
            if self.sounds.has(language, RECORDING_NOTICE):
                agi.stream_file(self.sounds.path(language, RECORDING_NOTICE))
            else:
                log.error("the notice of the recording has no sound", language=language)
                agi.appexec("StopMixMonitor")

    def say_goodbye(self, agi: Agi) -> None:
        """A few neutral words before the line is cut. Raises Gone where nobody listens."""
        wanted = agi.get_variable(names.VAR_LANGUAGE).split("-")[0]
        for language in (wanted, *LANGUAGES):
            if language and self.sounds.has(language, NEUTRAL_GOODBYE):
                agi.stream_file(self.sounds.path(language, NEUTRAL_GOODBYE))
                return
