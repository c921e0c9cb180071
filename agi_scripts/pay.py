"""``AGI(agi://host:payments_port/pay,<session>)``: the debtor pays by card on the keypad.

What is said and asked is decided by ``dialer.payments.conversation``; here it is played, the keys
are heard, and the card is kept for as long as it takes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from agi_scripts import events, metrics
from agi_scripts.charging import Charge, fingerprint
from agi_scripts.digits import Collected, Ending, collect
from agi_scripts.pay_card import CardInHand
from agi_scripts.pay_notes import Notes
from agi_scripts.pay_terms import Payments, Terms
from agi_scripts.pay_watch import Watcher, Wish
from agi_scripts.sounds import MissingSound
from agi_scripts.wire import Agi, Gone, UnknownCall
from dialer.domain.model import Money
from dialer.domain.payment import (
    PaymentOutcome,
    PaymentSource,
    PayResult,
    PayStep,
)
from dialer.flow.errors import FlowError
from dialer.logs import get_logger
from dialer.payments import entry
from dialer.payments.conversation import (
    Again,
    AmountKeyed,
    AskAmount,
    AskField,
    AskKey,
    Chosen,
    Entry,
    Finish,
    ForgetCard,
    Given,
    HungUp,
    KeysLost,
    Leave,
    Line,
    NoKey,
    Note,
    PayCommands,
    Refused,
    Say,
    Submit,
    Submitted,
    Talk,
    step,
)
from dialer.payments.masking import readable, told
from dialer.payments.prompting import said
from dialer.payments.service import PaymentRequest
from dialer.store.outcomes import Call, load_call
from dialer.store.pay_sessions import PaySession, load_session
from dialer.switch import names

log = get_logger(__name__)

PATIENCE_SECONDS = 4.0
"""How much longer than the gateway's time a charge is waited for: the database's share."""

_SESSION = re.compile(r"[0-9a-f]{32}")


def run(agi: Agi, payments: Payments) -> None:
    """Lead the debtor through a payment; how it ended is in ``pay_session``.

    Raises UnknownCall where there is no such session on this channel, SQLAlchemyError.
    """
    # Made before a digit was heard, both of them.
    readable(agi.attempt_id, agi.env.get("agi_arg_1", ""))
    session, call = _load(agi, payments)
    if session.result is not None:
        return  # asked for a second time: it is over
    notes = Notes(payments.engine, session.id, payments.clock)
    watcher = payments.watcher(session)
    capture = Capture(agi, payments, session, call, notes, watcher)
    result = PayResult.INTERNAL_ERROR
    try:
        result = capture.lead()
    except Gone:
        result = PayResult.CALLER_HUNG_UP
    except (FlowError, MissingSound) as error:
        log.error("payment session broke", session=session.id, why=str(error))
    except Exception as error:  # noqa: BLE001 - its text may hold anything
        log.error("payment session broke", session=session.id, why=told(error))
    finally:
        capture.close()
        notes.close(result)
        watcher.ended(result)
        metrics.PAY_SESSIONS.labels(result.value).inc()
        log.info("payment session ended", session=session.id, result=result.value)


def _load(agi: Agi, payments: Payments) -> tuple[PaySession, Call]:
    session_id = agi.env.get("agi_arg_1", "")
    if _SESSION.fullmatch(session_id) is None:
        raise UnknownCall("the dialplan gives no payment session")
    with payments.engine.connect().execution_options(dialer_readonly=True) as connection:
        session = load_session(connection, session_id)
        call = load_call(connection, agi.attempt_id)
    if session is None or call is None or session.attempt_id != call.attempt_id:
        raise UnknownCall("there is no such payment session on this channel")
    return session, call


class Capture:
    """One session. ``close`` must be called."""

    def __init__(
        self,
        agi: Agi,
        payments: Payments,
        session: PaySession,
        call: Call,
        notes: Notes,
        watcher: Watcher,
    ) -> None:
        self._agi = agi
        self._shared = payments
        self._session = session
        self._call = call
        self._notes = notes
        self._watcher = watcher
        self._terms = Terms(payments, session, call)
        self._hand = CardInHand()
        self._talk = Talk()
        self._charge: Charge | None = None
        self._gone = False
        self._muted = False

    def lead(self) -> PayResult:
        """From the first word to the end. Raises SQLAlchemyError, FlowError, MissingSound."""
        if self._session.watched and not self._call.identified:
            # No flow has seen to it here. Not a word: it would speak of a debt to anybody.
            log.error("no card taken: nobody has proven who they are", session=self._session.id)
            self._finish(PayResult.CARD_ENTRY_UNAVAILABLE, ())
            return PayResult.CARD_ENTRY_UNAVAILABLE
        began, refused = self._terms.begin()
        self._talk, commands = step(self._talk, began)
        if refused is not None and not self._talk.over:
            self._talk, commands = step(self._talk, Refused(refused))
        while True:
            try:
                given = self._perform(commands)
            except Gone:
                self._gone = True
                given = None if self._talk.over else HungUp()
            if given is None:
                assert self._talk.result is not None, "a conversation ends with a result"
                return self._talk.result
            self._talk, commands = step(self._talk, given)

    def close(self) -> None:
        """Forget the card, let recordings go on."""
        self._hand.forget()
        self._unmute()

    def _perform(self, commands: PayCommands) -> Given | None:
        """Do it; what came of it, None where it was the end. Raises Gone."""
        for command in commands:
            if isinstance(command, Submit):
                # First of all: it was agreed to, and a hang-up in the next moment changes nothing.
                self._submit(command)
        paths: list[str] = []
        for command in commands:
            match command:
                case Note():
                    self._note(command)
                case Say(lines=lines):
                    paths += self._paths(lines)
                case ForgetCard():
                    self._hand.forget()
                case AskKey() | AskAmount() | AskField():
                    return self._ask(command, paths)
                case Submit():
                    return self._outcome(paths)
                case Finish(result=result):
                    self._finish(result, paths)
                    return None
        return self._outcome(())  # the debtor is gone, the money is on its way

    # --- words ----------------------------------------------------------------------------

    def _paths(self, lines: Sequence[Line]) -> list[str]:
        language = self._session.language
        prompts = self._shared.prompts.of(language)
        return [
            self._shared.sounds.path(language, one.key)
            for line in lines
            for one in said(prompts, line.prompt, line.values)
        ]

    def _play(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._agi.stream_file(path)

    def _note(self, note: Note) -> None:
        self._notes.note(note)
        log.debug("payment goes on", session=self._session.id, step=note.step, error=note.error)
        self._watcher.step(note.step, note.error, note.last_four)
        if not self._gone:
            headers = {names.H_STEP: note.step.value}
            if note.error is not None:
                headers[names.H_ERROR] = note.error.value
            events.payment_progress(self._agi, self._session.node, **headers)

    def _finish(self, result: PayResult, paths: Sequence[str]) -> None:
        if self._gone:
            return
        self._unmute()
        headers = {names.H_RESULT: result.value}
        events.payment_progress(self._agi, self._session.node, **headers)
        self._play(paths)

    # --- keys -----------------------------------------------------------------------------

    def _ask(self, asking: AskKey | AskAmount | AskField, paths: Sequence[str]) -> Given:
        at = PayStep.AMOUNT if isinstance(asking, AskAmount) else asking.step
        brand = None
        if isinstance(asking, AskField):
            brand = asking.brand
            if asking.entry is not Entry.SECOND:
                self._hand.forget(at)
            if not self._protected():
                return Refused(PayResult.CARD_ENTRY_UNAVAILABLE)
        elif not self._hand:
            self._unmute()
        field = collect(
            self._agi,
            paths,
            self._watched(entry.rule_for(at, brand)),
            asking.times.first,
            asking.times.between,
            on_digit=lambda count: self._watcher.digits(at, count),
            wishing=self._wish if self._session.watched else None,
        )
        try:
            return self._given(asking, at, field)
        finally:
            field.digits.wipe()

    def _watched(self, rule: entry.Rule) -> entry.Rule:
        """The rule, and before it what a watcher wishes."""

        def watched(digits: bytes | bytearray, key: int) -> entry.Verdict:
            return self._wish() or rule(digits, key)

        return watched

    def _wish(self) -> entry.Verdict | None:
        match self._watcher.wish():
            case Wish.AGAIN:
                return entry.Verdict.AGAIN
            case Wish.CANCEL:
                return entry.Verdict.LEAVE
        return None

    def _given(self, asking: AskKey | AskAmount | AskField, at: PayStep, field: Collected) -> Given:
        match field.verdict:
            case Ending.AGAIN:
                return Again()
            case Ending.LEAVE:
                return Leave()
            case Ending.LOST:
                log.warning("keys lost", step=at.value, turnaround=field.worst_turnaround)
                return KeysLost()
            case Ending.TIMEOUT if not field.digits:
                return NoKey()
        if isinstance(asking, AskKey):
            with field.digits.reveal() as raw:
                return Chosen(chr(raw[0]) if raw else "#")
        self._notes.entered(at, field.seconds)
        metrics.ENTRY_SECONDS.labels(at.value).observe(field.seconds)
        if isinstance(asking, AskAmount):
            with field.digits.reveal() as raw:
                return AmountKeyed(entry.amount_of(raw))
        brands = self._talk.spec.brands
        return self._hand.judge(asking, field.digits, brands, self._terms.today())

    # --- what must hold while a card is heard ---------------------------------------------

    def _protected(self) -> bool:
        """Nothing in Asterisk writes keys down, no recording hears them. Asked before each field,
        for somebody may have begun to since the last one; it takes some milliseconds."""
        if not self._terms.safe():
            return False
        try:
            self._muted = True
            self._shared.guard.mute(self._agi.env["agi_channel"])
        except Exception as error:  # noqa: BLE001 - whatever it is, no card is taken
            log.error("no card taken: recording not muted", why=told(error))
            self._unmute()
            return False
        return True

    def _unmute(self) -> None:
        if not self._muted:
            return
        self._muted = False
        try:
            if self._agi.get_variable(names.VAR_RECORDING_PAUSED) == "1":
                log.info("recording stays paused", session=self._session.id)
                return
            self._shared.guard.unmute(self._agi.env["agi_channel"])
        except Exception as error:  # noqa: BLE001 - the recording stays silent, nothing else
            level = "info" if self._gone else "warning"
            getattr(log, level)("recording not unmuted", why=told(error))

    # --- the charge -----------------------------------------------------------------------

    def _submit(self, submit: Submit) -> None:
        """Begin the charge; it goes on by itself."""
        talk = self._talk
        assert self._hand.number is not None, "only a whole card is submitted"
        request = PaymentRequest(
            account_id=self._session.account_id,
            amount=Money(submit.amount_minor, talk.known.offer.whole.currency),
            mode=talk.spec.mode,
            gateway=self._terms.gateway,
            source=PaymentSource.CALL,
            session_id=self._session.id,
            attempt_id=self._call.attempt_id,
            number=self._call.number,
            brand=talk.brand,
            last_four=talk.last_four,
            fingerprint=fingerprint(self._shared.settings, self._hand.number),
        )
        self._charge = self._terms.cashier.charge(request, self._hand.hand_over())

    def _outcome(self, paths: Sequence[str]) -> Given:
        """What became of the charge; meanwhile the line is not dead. Raises Gone, and may be
        asked again then."""
        assert self._charge is not None, "nothing is waited for"
        most = self._shared.settings.gateway_seconds + PATIENCE_SECONDS
        end = self._charge.begun + most
        if not self._gone:
            self._play(paths)
            silence = self._shared.sounds.silence()
            while self._charge.wait(0) is None and time.monotonic() < end:
                self._agi.stream_file(silence)
        ended = self._charge.wait(max(0.0, end - time.monotonic()))
        return ended or Submitted(PaymentOutcome.UNKNOWN)
