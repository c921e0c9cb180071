"""How a payment conversation asks, asks again and ends; what comes next: ``conversation``."""

from __future__ import annotations

from collections.abc import Iterable

from dialer.domain.currency import minor_digits
from dialer.domain.payment import (
    UNHEARD,
    AmountChoice,
    FieldUse,
    PayError,
    PaymentMode,
    PaymentOutcome,
    PayResult,
    PayStep,
    PayTimes,
)
from dialer.flow.pay_prompts import ERROR_PROMPTS
from dialer.payments.conversation_values import (
    AskAmount,
    AskField,
    AskKey,
    Entry,
    Finish,
    ForgetCard,
    Line,
    Note,
    PayCommand,
    PayCommands,
    Question,
    Say,
    Talk,
    Value,
)
from dialer.payments.prompting import field_prompt, question_prompts, result_prompts

Next = tuple[Talk, PayCommands]

STEP_OF: dict[Question, PayStep] = {
    Question.RESUME: PayStep.AGREE,
    Question.CHOICE: PayStep.AMOUNT_CHOICE,
    Question.AMOUNT: PayStep.AMOUNT,
    Question.AGREE: PayStep.AGREE,
    Question.NUMBER: PayStep.CARD_NUMBER,
    Question.EXPIRY: PayStep.EXPIRATION_DATE,
    Question.SECURITY_CODE: PayStep.SECURITY_CODE,
    Question.POSTAL_CODE: PayStep.POSTAL_CODE,
    Question.CONFIRM: PayStep.CONFIRM,
    Question.OUTCOME: PayStep.PROCESSING,
    Question.CODE: PayStep.RESULT,
    Question.DECLINED: PayStep.RESULT,
}
FIELDS = (Question.NUMBER, Question.EXPIRY, Question.SECURITY_CODE, Question.POSTAL_CODE)
"""The fields of the card, in order."""

MOST_REPEATS = 5
"""`*` at one question; a further one counts as an answer that came to nothing."""

PATIENCE = 0.5
"""By this part of itself a time grows with each further attempt."""

CHOICE_KEYS = {AmountChoice.WHOLE: "1", AmountChoice.PART: "2", AmountChoice.INSTALMENT: "3"}
_CHOICE_PROMPTS = {
    AmountChoice.WHOLE: "pay_choice_whole",
    AmountChoice.PART: "pay_choice_part",
    AmountChoice.INSTALMENT: "pay_choice_instalment",
}
GO, CHANGE, PERSON = "1", "2", "9"


# --- amounts ---------------------------------------------------------------------------------


def major_unit(talk: Talk) -> int:
    """Minor units of one major unit: 100 for EUR, 1 for CLP."""
    return int(10 ** minor_digits(talk.known.offer.whole.currency))


def least_part(talk: Talk) -> int:
    """The smallest part that can be keyed in, in minor units: a part is whole major units."""
    unit = major_unit(talk)
    return max(1, -(-talk.known.offer.minimum // unit)) * unit


def may_change(talk: Talk) -> bool:
    """Whether there is another amount than the one in question."""
    return talk.choices not in ((AmountChoice.WHOLE,), (AmountChoice.INSTALMENT,))


def values(talk: Talk) -> dict[str, Value]:
    """What the prompts may speak of now."""
    known: dict[str, Value] = {}
    if talk.spec.mode is not PaymentMode.TOKENISE:
        offer = talk.known.offer
        amount = talk.agreed or talk.proposed or offer.whole.minor
        known = {"pay_amount": talk.money(amount), "minimum": talk.money(least_part(talk))}
        if offer.instalment is not None:
            known["instalment"] = talk.money(offer.instalment)
    if talk.brand is not None and talk.last_four is not None:
        known |= {"brand": talk.brand, "last_four": talk.last_four}
    if talk.auth_code is not None:
        known["auth_code"] = talk.auth_code
    return known


def say(talk: Talk, prompts: Iterable[str]) -> PayCommands:
    """Say these; nothing where there are none, or nobody listens any more."""
    known = values(talk)
    lines = tuple(Line(prompt, known) for prompt in prompts)
    return (Say(lines),) if lines and not talk.gone else ()


# --- asking ----------------------------------------------------------------------------------


def ask(talk: Talk, question: Question, *before: str) -> Next:
    """Go to a question: note it, say what comes before, ask."""
    return _asked(talk.with_(question=question, second=False), *before)


def ask_once_more(talk: Talk) -> Next:
    """The same field a second time: both entries must be the same."""
    return _asked(talk.with_(second=True))


def is_keyed_twice(talk: Talk) -> bool:
    """Whether the field in question must be keyed in twice."""
    return STEP_OF[talk.question] in talk.spec.matching


def _asked(talk: Talk, *before: str) -> Next:
    question = talk.question
    note = Note(STEP_OF[question], talk.agreed, talk.last_four)
    lines = (*before, *_opening(talk, None), *_options(talk))
    return talk, (note, *say(talk, lines), _asking(talk))


def failed(talk: Talk, error: PayError) -> Next:
    """An answer came to nothing: once more, or the end of it.

    Of two entries that differ nobody knows which one was wrong: the field begins anew. Where only
    the second one was not heard, the first one still counts.
    """
    question = talk.question
    count = talk.failures.get(question, 0) + 1
    second = talk.second and error in UNHEARD
    talk = talk.with_(failures={**talk.failures, question: count}, second=second)
    note = Note(STEP_OF[question], talk.agreed, talk.last_four, error)
    if count >= talk.spec.attempts_at(STEP_OF[question]):
        after, commands = _given_up(talk)
        return after, (note, *commands)
    lines = (*_opening(talk, error), *_options(talk))
    return talk, (note, *say(talk, lines), _asking(talk))


def anew(talk: Talk) -> Next:
    """`*`: the same once more, without reproach; a field that is keyed in twice from its first
    entry, for that may be what was wrong."""
    count = talk.repeats.get(talk.question, 0) + 1
    if count > MOST_REPEATS:
        return failed(talk, PayError.INVALID_KEY)
    talk = talk.with_(repeats={**talk.repeats, talk.question: count}, second=False)
    lines = ("pay_anew", *_opening(talk, None), *_options(talk))
    return talk, (*say(talk, lines), _asking(talk))


def finish(talk: Talk, result: PayResult, *prompts: str) -> Next:
    """It is over; what may be held of a card is forgotten before anything is said."""
    forget: PayCommands = (ForgetCard(),) if talk.card else ()
    over = talk.with_(question=Question.NOTHING, result=result, card=False)
    return over, (*forget, *say(talk, prompts), Finish(result))


def _given_up(talk: Talk) -> Next:
    if talk.question is Question.DECLINED:
        return finish(talk, PayResult.DECLINED, "pay_declined_end")
    return finish(talk, PayResult.TOO_MANY_FAILED_ATTEMPTS, "pay_too_many")


def keys_of(talk: Talk) -> str:
    """The keys that mean something at the question; empty for a field."""
    match talk.question:
        case Question.RESUME | Question.AGREE:
            keys = GO + (CHANGE if may_change(talk) else "")
        case Question.CHOICE:
            keys = "".join(CHOICE_KEYS[one] for one in talk.choices)
        case Question.CONFIRM:
            keys = GO + CHANGE
        case Question.DECLINED:
            keys = (GO if may_retry(talk) else "") + (CHANGE if talk.known.link else "")
        case Question.CODE:
            return GO
        case _:
            return ""
    return keys + (PERSON if talk.known.person else "")


def may_retry(talk: Talk) -> bool:
    """Whether another submission is allowed."""
    return talk.submitted < talk.spec.submissions


def _asking(talk: Talk) -> PayCommand:
    step = STEP_OF[talk.question]
    attempt = talk.failures.get(talk.question, 0)
    base = talk.spec.times_at(step)
    longer = 1 + PATIENCE * attempt
    times = PayTimes(base.first * longer, base.between * longer)
    if talk.question is Question.AMOUNT:
        return AskAmount(times)
    if talk.question in FIELDS:
        return AskField(step, times, talk.brand, use_of(talk, talk.question), _entry(talk))
    return AskKey(step, keys_of(talk), times)


def _entry(talk: Talk) -> Entry:
    if not is_keyed_twice(talk):
        return Entry.ONLY
    return Entry.SECOND if talk.second else Entry.FIRST


def use_of(talk: Talk, question: Question) -> FieldUse:
    """Whether a field of the card is asked, and must be answered."""
    match question:
        case Question.SECURITY_CODE:
            return talk.spec.security_code
        case Question.POSTAL_CODE:
            return talk.spec.postal_code
    return FieldUse.REQUIRED


def _opening(talk: Talk, error: PayError | None) -> tuple[str, ...]:
    """What was wrong, and the question itself."""
    question, step = talk.question, STEP_OF[talk.question]
    attempt = talk.failures.get(question, 0) + 1
    if question is Question.DECLINED:
        return _declined_prompts(talk) if error is None else (ERROR_PROMPTS[error],)
    if question is Question.RESUME:  # the rules of the node are for the amount asked anew
        return (() if error is None else (ERROR_PROMPTS[error],)) + ("pay_resume",)
    default = _default(talk, attempt)
    brand, second = talk.brand, talk.second
    return question_prompts(talk.spec, step, default, error, attempt, brand, second=second)


def _default(talk: Talk, attempt: int) -> str:
    again = "" if attempt == 1 else "_again"
    match talk.question:
        case Question.CHOICE:
            return "pay_choice"
        case Question.AGREE:
            return f"pay_agree{again}"
        case Question.CONFIRM:
            token = "_token" if talk.spec.mode is PaymentMode.TOKENISE else ""
            return f"pay_confirm{token}{again}"
    return field_prompt(STEP_OF[talk.question], attempt, talk.brand, second=talk.second)


def _declined_prompts(talk: Talk) -> tuple[str, ...]:
    hard = talk.declined is PaymentOutcome.DECLINED_HARD
    error = PayError.DECLINED_HARD if hard else PayError.DECLINED_SOFT
    default = "pay_declined_hard" if hard else "pay_declined_soft"
    return result_prompts(talk.spec, default, error, talk.submitted, talk.brand)


def _options(talk: Talk) -> tuple[str, ...]:
    """What else may be pressed: what is there to be offered, and nothing that is not."""
    person = ("pay_person",) if talk.known.person else ()
    match talk.question:
        case Question.RESUME:
            return (("pay_resume_other",) if may_change(talk) else ()) + person
        case Question.AGREE:
            return (("pay_agree_other",) if may_change(talk) else ()) + person
        case Question.CHOICE:
            return tuple(_CHOICE_PROMPTS[one] for one in talk.choices) + person
        case Question.CONFIRM:
            return ("pay_confirm_anew", *person)
        case Question.SECURITY_CODE | Question.POSTAL_CODE:
            optional = use_of(talk, talk.question) is FieldUse.OPTIONAL
            return ("pay_optional",) if optional and not talk.second else ()
        case Question.DECLINED:
            hard = talk.declined is PaymentOutcome.DECLINED_HARD
            retry = ("pay_other_card" if hard else "pay_retry",) if may_retry(talk) else ()
            return retry + (("pay_link",) if talk.known.link else ()) + person
    return ()
