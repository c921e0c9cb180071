"""A payment by keypad as a pure function: ``step(talk, given) -> (talk, commands)``.

The amount is chosen and agreed to, the card keyed in field by field, confirmed, charged; what came
of it is said, and after a decline the debtor may try again, with every field of the card asked
anew. The conversation sees no digit of a card but the last four of a number that was accepted.

What holds whatever is given (``tests/test_pay_conversation_always.py``): it ends; it submits only
the amount that was said and agreed to with a key in this session, at most ``submissions`` times;
after the outcome of a submission no part of that card is used again; nothing follows ``Finish``;
once a payment was made the result is ``success``, whatever the debtor does then.

The values are in ``conversation_values``, asking and ending in ``conversation_asking``.
"""

from __future__ import annotations

from dialer.domain.payment import (
    AmountChoice,
    FieldUse,
    PayError,
    PaymentMode,
    PaymentOutcome,
    PayResult,
    PayStep,
)
from dialer.payments.conversation_asking import (
    CHOICE_KEYS,
    FIELDS,
    GO,
    PERSON,
    STEP_OF,
    Next,
    anew,
    ask,
    ask_once_more,
    failed,
    finish,
    is_keyed_twice,
    keys_of,
    least_part,
    major_unit,
    say,
    use_of,
)
from dialer.payments.conversation_values import (
    Again,
    AmountKeyed,
    AskAmount,
    AskField,
    AskKey,
    Began,
    Chosen,
    Entry,
    FieldKeyed,
    Finish,
    ForgetCard,
    Given,
    HungUp,
    KeysLost,
    Leave,
    Line,
    NoKey,
    Note,
    PayCommand,
    PayCommands,
    Question,
    Refused,
    Say,
    Submit,
    Submitted,
    Talk,
    Value,
)
from dialer.payments.prompting import question_prompts, result_prompts

MOST_CHANGES = 3
"""How often the debtor may go back from an amount to choose another."""

_REFUSALS = {
    PayResult.LIMIT_REACHED: "pay_limit",
    PayResult.NOTHING_OWED: "pay_nothing_owed",
    PayResult.CARD_ENTRY_UNAVAILABLE: "pay_unavailable",
    PayResult.PAYMENT_CONNECTOR_ERROR: "pay_connector_error",
    PayResult.INTERNAL_ERROR: "pay_connector_error",
}
_OUTCOMES = {
    PaymentOutcome.NEEDS_ACTION: (PayResult.NEEDS_ACTION, "pay_needs_action"),
    PaymentOutcome.UNKNOWN: (PayResult.GATEWAY_TIMEOUT_UNKNOWN, "pay_unknown"),
    PaymentOutcome.CONFIGURATION_ERROR: (
        PayResult.PAYMENT_CONNECTOR_ERROR,
        "pay_connector_error",
    ),
}


def step(talk: Talk, given: Given) -> Next:
    """What happens next. The first input of a new ``Talk()`` is ``Began``.

    After the end nothing follows. Raises ValueError for an answer to something that was not asked:
    whoever leads the debtor has lost the thread, and no card may be charged then.
    """
    if talk.over:
        return talk, ()
    match given:
        case Began() if talk.question is Question.START:
            return _began(talk.with_(began=given))
        case HungUp() if talk.question is not Question.START:
            return _hung_up(talk)
        case Refused(result) if talk.question is not Question.START:
            return _refused(talk, result)
        case Submitted() if talk.question is Question.OUTCOME:
            return _submitted(talk, given)
    if talk.question in (Question.START, Question.OUTCOME):
        raise _not_asked(talk, given)
    if talk.question is Question.CODE:
        return _heard_code(talk, given)
    return _answered(talk, given)


def _answered(talk: Talk, given: Given) -> Next:
    match given:
        case NoKey():
            return failed(talk, PayError.INPUT_TIMEOUT)
        case KeysLost():
            return failed(talk, PayError.KEYS_LOST)
        case Again():
            return anew(talk)
        case Leave():
            return finish(talk, PayResult.CALLER_INTERRUPTED_WITH_STAR, "pay_left")
        case Chosen(key) if keys_of(talk):
            if len(key) != 1 or key not in keys_of(talk):
                return failed(talk, PayError.INVALID_KEY)
            return _chose(talk, key)
        case AmountKeyed(major) if talk.question is Question.AMOUNT:
            return _amount_keyed(talk, major)
        case FieldKeyed() if talk.question in FIELDS and given.step is STEP_OF[talk.question]:
            return _field_keyed(talk, given)
    raise _not_asked(talk, given)


def _not_asked(talk: Talk, given: Given) -> ValueError:
    return ValueError(f"{type(given).__name__} is no answer to {talk.question}")


def _chose(talk: Talk, key: str) -> Next:
    if key == PERSON:
        return finish(talk, PayResult.WANTS_AGENT)
    match talk.question:
        case Question.RESUME | Question.AGREE:
            return _agreed(talk) if key == GO else _another_amount(talk)
        case Question.CHOICE:
            return _chose_amount(talk, next(k for k, v in CHOICE_KEYS.items() if v == key))
        case Question.CONFIRM:
            return _submit(talk) if key == GO else _card_once_more(talk)
    return _card(talk) if key == GO else finish(talk, PayResult.WANTS_LINK)  # DECLINED


# --- the amount ------------------------------------------------------------------------------


def _began(talk: Talk) -> Next:
    if talk.spec.mode is PaymentMode.TOKENISE:
        return _card(talk.with_(agreed=0), "pay_card_intro")
    if talk.known.offer.whole.minor <= 0:
        return finish(talk, PayResult.NOTHING_OWED, "pay_nothing_owed")
    talk = talk.with_(choices=_offered(talk))
    resumed = talk.known.resumed_minor
    if resumed is not None and _may_resume(talk, resumed):
        return ask(talk.with_(proposed=resumed), Question.RESUME)
    return _first_question(talk)


def _offered(talk: Talk) -> tuple[AmountChoice, ...]:
    """What of the node's choices there really is; the whole where there would be nothing."""
    offer, unit = talk.known.offer, major_unit(talk)
    whole = offer.whole.minor
    asked = dict.fromkeys(talk.spec.amounts)
    there = {
        AmountChoice.WHOLE: True,
        AmountChoice.PART: least_part(talk) <= whole // unit * unit and least_part(talk) < whole,
        AmountChoice.INSTALMENT: offer.instalment is not None
        and 0 < offer.instalment <= whole
        and (offer.instalment < whole or AmountChoice.WHOLE not in asked),
    }
    in_order = (one for one in CHOICE_KEYS if one in asked and there[one])
    return tuple(in_order) or (AmountChoice.WHOLE,)


def _may_resume(talk: Talk, minor: int) -> bool:
    """Whether an amount of an earlier call may still be paid: much may have changed since."""
    offer = talk.known.offer
    return (
        (AmountChoice.WHOLE in talk.choices and minor == offer.whole.minor)
        or (AmountChoice.INSTALMENT in talk.choices and minor == offer.instalment)
        or (AmountChoice.PART in talk.choices and least_part(talk) <= minor <= offer.whole.minor)
    )


def _first_question(talk: Talk) -> Next:
    if len(talk.choices) == 1:
        return _chose_amount(talk, talk.choices[0])
    return ask(talk, Question.CHOICE)


def _chose_amount(talk: Talk, choice: AmountChoice) -> Next:
    offer = talk.known.offer
    match choice:
        case AmountChoice.PART:
            return ask(talk, Question.AMOUNT)
        case AmountChoice.INSTALMENT if offer.instalment is not None:
            return ask(talk.with_(proposed=offer.instalment), Question.AGREE)
    return ask(talk.with_(proposed=offer.whole.minor), Question.AGREE)


def _amount_keyed(talk: Talk, major: int | None) -> Next:
    minor = (major or 0) * major_unit(talk)
    if not least_part(talk) <= minor <= talk.known.offer.whole.minor:
        return failed(talk, PayError.INVALID_AMOUNT)
    return ask(talk.with_(proposed=minor), Question.AGREE)


def _another_amount(talk: Talk) -> Next:
    talk = talk.with_(proposed=0, reconsidered=talk.reconsidered + 1)
    if talk.reconsidered > MOST_CHANGES:
        return finish(talk, PayResult.TOO_MANY_FAILED_ATTEMPTS, "pay_too_many")
    return _first_question(talk)


def _agreed(talk: Talk) -> Next:
    return _card(talk.with_(agreed=talk.proposed), "pay_card_intro")


# --- the card --------------------------------------------------------------------------------


def _card(talk: Talk, *before: str) -> Next:
    """A round of the card begins: nothing of an earlier one counts."""
    of_card = {*FIELDS, Question.CONFIRM, Question.DECLINED}
    talk = talk.with_(
        card=True,
        brand=None,
        last_four=None,
        failures={q: n for q, n in talk.failures.items() if q not in of_card},
        repeats={q: n for q, n in talk.repeats.items() if q not in of_card},
    )
    return ask(talk, Question.NUMBER, *before)


def _field_keyed(talk: Talk, given: FieldKeyed) -> Next:
    if given.problem is not None:
        return failed(talk.with_(second=False), given.problem)
    number = talk.question is Question.NUMBER
    if number and (given.brand is None or given.last_four is None or len(given.last_four) != 4):
        raise ValueError("an accepted card number comes with its brand and last four digits")
    if is_keyed_twice(talk) and not talk.second and not given.left_out:
        return ask_once_more(talk)
    if number:
        talk = talk.with_(brand=given.brand, last_four=given.last_four)
    for question in FIELDS[FIELDS.index(talk.question) + 1 :]:
        if use_of(talk, question) is not FieldUse.FORBIDDEN:
            return ask(talk, question)
    return ask(talk, Question.CONFIRM)


def _card_once_more(talk: Talk) -> Next:
    talk = talk.with_(redone=talk.redone + 1)
    if talk.redone >= talk.spec.attempts_at(PayStep.CONFIRM):
        return finish(talk, PayResult.TOO_MANY_FAILED_ATTEMPTS, "pay_too_many")
    talk, commands = _card(talk)
    return talk, (ForgetCard(), *commands)


def _submit(talk: Talk) -> Next:
    if talk.agreed is None or talk.submitted >= talk.spec.submissions:
        raise ValueError("nothing may be submitted here")
    token = talk.spec.mode is PaymentMode.TOKENISE
    default = "pay_processing_token" if token else "pay_processing"
    talk = talk.with_(question=Question.OUTCOME, submitted=talk.submitted + 1)
    processing = PayStep.PROCESSING
    lines = question_prompts(talk.spec, processing, default, None, talk.submitted, talk.brand)
    note = Note(processing, talk.agreed, talk.last_four)
    return talk, (note, *say(talk, lines), Submit(talk.agreed or 0))


# --- what came of it -------------------------------------------------------------------------


def _submitted(talk: Talk, given: Submitted) -> Next:
    """The card is forgotten whatever came of it."""
    talk = talk.with_(card=False)
    match given.outcome:
        case PaymentOutcome.APPROVED:
            talk, commands = _approved(talk, given.auth_code)
        case PaymentOutcome.DECLINED_SOFT | PaymentOutcome.DECLINED_HARD:
            talk, commands = _declined(talk.with_(declined=given.outcome))
        case _:
            result, prompt = _OUTCOMES[given.outcome]
            talk, commands = finish(talk, result, prompt)
    return talk, (ForgetCard(), *commands)


def _approved(talk: Talk, auth_code: str | None) -> Next:
    if auth_code is None or not any(one.isascii() and one.isalnum() for one in auth_code):
        auth_code = None
    talk = talk.with_(result=PayResult.SUCCESS, auth_code=auth_code)
    default = {
        PaymentMode.CHARGE: "pay_approved",
        PaymentMode.AUTHORISE: "pay_authorised",
        PaymentMode.TOKENISE: "pay_tokenised",
    }[talk.spec.mode]
    told = result_prompts(talk.spec, default, None, talk.submitted, talk.brand)
    if talk.known.receipt and talk.spec.mode is not PaymentMode.TOKENISE:
        told += ("pay_receipt",)
    if auth_code is None or talk.gone:
        return finish(talk, PayResult.SUCCESS, *told, "pay_thanks")
    return _ask_code(talk, *told)


def _ask_code(talk: Talk, *before: str) -> Next:
    talk = talk.with_(question=Question.CODE)
    note = Note(PayStep.RESULT, talk.agreed, talk.last_four)
    lines = (*before, "pay_auth_code", "pay_auth_code_again")
    asking = AskKey(PayStep.RESULT, keys_of(talk), talk.spec.times_at(PayStep.RESULT))
    return talk, (note, *say(talk, lines), asking)


def _heard_code(talk: Talk, given: Given) -> Next:
    """The money is paid: whatever is pressed or not pressed now, it ends well."""
    if not isinstance(given, (Chosen, NoKey, Again, Leave, KeysLost)):
        raise _not_asked(talk, given)
    heard = talk.repeats.get(Question.CODE, 0) + 1
    wants_again = given == Chosen(GO) or isinstance(given, (Again, KeysLost))
    if wants_again and heard < talk.spec.attempts_at(PayStep.RESULT):
        return _ask_code(talk.with_(repeats={**talk.repeats, Question.CODE: heard}))
    return finish(talk, PayResult.SUCCESS, "pay_thanks")


def _declined(talk: Talk) -> Next:
    if talk.gone:
        return finish(talk, PayResult.DECLINED)
    asked, commands = ask(talk, Question.DECLINED)
    if keys_of(asked):
        return asked, commands
    told = [line.prompt for one in commands if isinstance(one, Say) for line in one.lines]
    return finish(talk, PayResult.DECLINED, *told, "pay_declined_end")


def _refused(talk: Talk, result: PayResult) -> Next:
    if talk.result is PayResult.SUCCESS:
        return finish(talk, PayResult.SUCCESS)
    if result not in _REFUSALS:
        raise ValueError(f"{result} is no refusal")
    return finish(talk, result, _REFUSALS[result])


def _hung_up(talk: Talk) -> Next:
    """What came of the money is the result; where nothing did, that the debtor hung up."""
    talk = talk.with_(gone=True)
    match talk.question:
        case Question.OUTCOME:
            return talk, ()  # the outcome is still to come
        case Question.CODE:
            return finish(talk, PayResult.SUCCESS)
        case Question.DECLINED:
            return finish(talk, PayResult.DECLINED)
    return finish(talk, PayResult.CALLER_HUNG_UP)


__all__ = [
    "Again", "AmountKeyed", "AskAmount", "AskField", "AskKey", "Began", "Chosen", "Entry",
    "FieldKeyed", "Finish", "ForgetCard", "Given", "HungUp", "KeysLost", "Leave", "Line", "NoKey",
    "Note", "PayCommand", "PayCommands", "Question", "Refused", "Say", "Submit", "Submitted",
    "Talk", "Value", "step",
]  # fmt: skip
