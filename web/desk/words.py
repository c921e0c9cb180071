"""The words of the desk's scripts, in the language of the request: names of values, what the engine
refuses, and the sentences that are put together while the page lives. ``%(name)s`` is filled in
there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from dialer.domain.agents import CODE_AWAY, CODE_LOGGED_IN, CODE_NO_ANSWER
from dialer.domain.model import (
    AgentCallKind,
    AgentState,
    Channel,
    Disposition,
    MessageState,
    Outcome,
)
from dialer.domain.payment import PayError, PaymentState, PayResult, PayStep
from dialer.store.callbacks import CallbackState
from web.ui import names
from web.ui.words import gettext as _

AN_AGENTS = (
    Outcome.SPOKE,
    Outcome.PROMISE,
    Outcome.LINK_SENT,
    Outcome.CALLBACK,
    Outcome.WRONG_PERSON,
    Outcome.REFUSED_IDENTITY,
    Outcome.INCOMPLETE,
    Outcome.OPTED_OUT,
)
"""What an agent may conclude, the usual first; what only money or a flow decides is not there."""


def pauses() -> dict[str, str]:
    """The codes an agent chooses from."""
    return {
        "break": _("Short break"),
        "lunch": _("Lunch"),
        "meeting": _("Meeting"),
        "training": _("Training"),
        "paperwork": _("Paperwork"),
    }


def all_names() -> dict[str, dict[str, str]]:
    """Values by kind, and how they are called."""
    return {
        "state": _of(AgentState, names.agent_state_name),
        "kind": _of(AgentCallKind, names.agent_call_kind_name),
        "disposition": _of([*Disposition, *Outcome], names.disposition_name),
        "channel": _of(Channel, names.channel_name),
        "message": _of(MessageState, names.message_state_name),
        "payment": _of(PaymentState, names.payment_state_name),
        "callback": _of(CallbackState, names.callback_state_name),
        "step": _of(PayStep, names.pay_step_name),
        "result": _of(PayResult, names.pay_result_name),
        "mistake": {error.value: _mistake(error) for error in PayError},
        "pause": {
            **pauses(),
            CODE_LOGGED_IN: _("Not ready yet"),
            CODE_AWAY: _("Away: the line or the page was lost"),
            CODE_NO_ANSWER: _("A call was not taken"),
        },
    }


def _of(values: Iterable[StrEnum], name: Callable[[str | None], str]) -> dict[str, str]:
    return {one.value: name(one.value) for one in values}


def _mistake(error: PayError) -> str:
    return {
        PayError.INPUT_TIMEOUT: _("nothing was keyed in for a while"),
        PayError.INVALID_CARD_NUMBER: _("that is no card number"),
        PayError.INVALID_CARD_TYPE: _("that kind of card is not taken"),
        PayError.INVALID_DATE: _("that date is not possible"),
        PayError.INVALID_SECURITY_CODE: _("that is no security code"),
        PayError.INVALID_POSTAL_CODE: _("that is no postal code"),
        PayError.INVALID_AMOUNT: _("that amount is not possible"),
        PayError.INPUT_MATCHING_FAILED: _("the two entries differ"),
        PayError.INVALID_KEY: _("that key means nothing there"),
        PayError.KEYS_LOST: _("keys were lost: it is asked again"),
        PayError.DECLINED_SOFT: _("the bank declined; another card may do"),
        PayError.DECLINED_HARD: _("the bank declined this card for good"),
    }[error]


def refusals() -> dict[str, str]:
    """What cannot be done, by the code of the answer, and what to do instead."""
    return {
        "no_leg": _("Your line is not up yet. Wait a moment, or connect the line again."),
        "talking": _("End the call or pass it on first."),
        "no_call": _("Nobody is on the line."),
        "not_now": _("That is not possible at this moment: finish what is going on first."),
        "not_held": _("The debtor is not on hold."),
        "nobody": _("Nobody who works now can take it."),
        "not_possible": _("That combination is not possible: choose another way."),
        "past": _("That moment is past: choose a later one."),
        "not_mobile": _("This number is not known to take SMS."),
        "nothing_owed": _("Nothing is owed any more."),
        "no_gateway": _("No card can be taken here: send the link."),
        "currency": _("The debt is in another currency."),
        "too_much": _("That is more than is owed."),
        "switch_refused": _("The line may be gone: look whether the debtor is still there."),
        "not_in_wrap_up": _("There is nothing to finish any more."),
        "no_preview": _("That debtor is no longer shown to you."),
        "engine_away": _("The telephone system does not answer. Try again in a moment."),
        "switch_away": _("The telephone system does not answer. Try again in a moment."),
        "too_many_requests": _("Too fast: try again in a second."),
        "invalid": _("Something in it is not right: look at what you typed."),
        "forbidden": _("The desk is open elsewhere, or your session has ended."),
        "network": _("No connection. It is tried again by itself."),
        "other": _("That did not work. Try again; if it goes on, tell your supervisor."),
    }


def sentences() -> dict[str, str]:
    """What scripts say."""
    return {
        **_about_the_line(),
        **_about_calls(),
        **_about_stories(),
        "day": _("%(date)s, %(count)s agreed calls"),
        "booked": _("Agreed: %(when)s"),
        "their_time": _("%(time)s for the debtor (%(zone)s), %(own)s for you"),
        "promised": _("Promise written down: %(date)s"),
        "link_sent": _("The link is on its way"),
        "saved": _("Saved"),
        "choose_day": _("Choose a day"),
        "choose_disposition": _("Choose how it ended first"),
        "pay_asked": _("The debtor hears the questions now; you are heard, and hear nothing."),
        "pay_step": _("Card payment: %(step)s"),
        "pay_digits": _("%(count)s keys"),
        "pay_over": _("Card payment: %(result)s"),
        "pay_again": _("Asked for again"),
        "amount_wrong": _("Write an amount like 12.50"),
    }


def _about_the_line() -> dict[str, str]:
    return {
        "mic_denied": _("The browser does not give the microphone. Allow it beside the address."),
        "mic_none": _("There is no microphone. Plug one in and check again."),
        "mic_quiet": _("Say something: nothing is heard yet."),
        "mic_good": _("You are heard well."),
        "line_up": _("Line connected"),
        "line_off": _("No line"),
        "line_dialling": _("Connecting the line"),
        "line_again": _("Line lost: connecting again"),
        "line_elsewhere": _("Your line was opened elsewhere"),
        "line_phone": _("Your telephone"),
        "line_rings": _("Rings for each call"),
        "reconnecting": _("Connection lost: trying again"),
        "reconnected": _("Connected again"),
        "ended": _("Your session has ended."),
        "log_in_again": _("You are logged out of the pages. Log in again to go on."),
        "state": _("You are now: %(state)s"),
        "ready_line": _("You are ready as soon as your line is up."),
        "ready_system": _("You are ready as soon as the telephone system answers."),
        "pause_next": _("After this call: %(pause)s"),
    }


def _about_calls() -> dict[str, str]:
    return {
        "incoming": _("A call comes: %(kind)s"),
        "incoming_who": _("%(name)s is on the line: %(kind)s"),
        "joined": _("You hear each other now"),
        "left": _("The call is over"),
        "hold": _("Hold"),
        "resume": _("Back from hold"),
        "mute": _("Mute"),
        "unmute": _("Unmute"),
        "record_pause": _("Pause the recording"),
        "record_resume": _("Record again"),
        "held": _("The debtor hears music"),
        "muted": _("The debtor does not hear you"),
        "unmuted": _("The debtor hears you again"),
        "not_recorded": _("Nothing is recorded now"),
        "recorded": _("The call is recorded again"),
        "keys_sent": _("Keys sent"),
        "transfer_calling": _("Calling the other party"),
        "transfer_completed": _("The call was passed on"),
        "transfer_cancelled": _("The call stays with you"),
        "transfer_gone": _("The other party has left"),
        "consulted": _("%(from)s asks you about a debtor"),
        "preview": _("A debtor to look at: %(name)s"),
        "no_colleague": _("Nobody else is at work"),
        "no_skill": _("No skills are set up"),
        "wrap_left": _("%(seconds)s s left to finish"),
        "engine_error": _("The telephone system could not do it: %(why)s"),
    }


def _about_stories() -> dict[str, str]:
    return {
        "due": _("due %(date)s"),
        "pending": _("%(amount)s not settled yet"),
        "claim": _("of %(amount)s"),
        "confirmed": _("Identity confirmed"),
        "not_confirmed": _("Identity not confirmed: nothing of a debt yet"),
        "do_not_call": _("On the do-not-call list"),
        "opted_out": _("Asked not to be contacted"),
        "there": _("%(time)s there (%(zone)s)"),
        "called_about": _("this call"),
        "keys": _("Keys in the menu: %(keys)s"),
        "tried_to_pay": _("Tried to pay: %(what)s"),
        "document": _("Document %(document)s"),
        "number": _("Number %(number)s"),
        "nothing_before": _("No contact before this call."),
        "entry_call": _("Call"),
        "entry_call_in": _("Call from the debtor"),
        "entry_message": _("Message"),
        "entry_promise": _("Promise to pay"),
        "entry_payment": _("Payment"),
        "entry_opt_out": _("Number on the do-not-call list"),
        "entry_callback": _("Agreed call"),
        "entry_note": _("Note"),
        "talked": _("talked to an agent"),
        "until": _("by %(day)s"),
    }
