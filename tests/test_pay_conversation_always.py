"""What holds of every payment conversation, whatever the debtor, the line and the bank do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.domain.model import Money
from dialer.domain.payment import (
    CARD_FIELDS,
    AmountChoice,
    Brand,
    FieldUse,
    PayError,
    PaymentMode,
    PaymentOutcome,
    PayOffer,
    PayResult,
    PaySpec,
    PayStep,
)
from dialer.payments.conversation import (
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
    NoKey,
    PayCommands,
    Question,
    Refused,
    Say,
    Submit,
    Submitted,
    Talk,
    step,
)

AMOUNTS = st.one_of(st.none(), st.integers(0, 600), st.integers(20, 200))
ASKED = (AskKey, AskAmount, AskField, Submit, Finish)
LONGEST = 400
"""Answers after which a conversation that is still going on is taken for one that never ends."""

specs = st.builds(
    PaySpec,
    amounts=st.lists(st.sampled_from(AmountChoice), min_size=1, max_size=3, unique=True).map(tuple),
    mode=st.sampled_from(PaymentMode),
    security_code=st.sampled_from(FieldUse),
    postal_code=st.sampled_from(FieldUse),
    attempts=st.dictionaries(st.sampled_from(PayStep), st.integers(1, 3)),
    submissions=st.integers(1, 3),
    matching=st.lists(st.sampled_from(CARD_FIELDS), unique=True).map(tuple),
)
beginnings = st.builds(
    Began,
    spec=specs,
    offer=st.builds(
        PayOffer,
        st.builds(Money, st.integers(-100, 60000), st.sampled_from(["EUR", "CLP"])),
        st.integers(0, 5000),
        st.one_of(st.none(), st.integers(0, 20000)),
    ),
    resumed_minor=st.one_of(st.none(), st.integers(0, 60000)),
    link=st.booleans(),
    person=st.booleans(),
    receipt=st.booleans(),
)
REFUSALS = (PayResult.LIMIT_REACHED, PayResult.NOTHING_OWED, PayResult.INTERNAL_ERROR)


def _answer(draw: st.DrawFn, asked: object, willing: bool) -> Given:
    """An answer to what is asked; a willing debtor mostly does what leads on."""
    if isinstance(asked, Submit):
        if draw(st.integers(0, 9)) == 0:
            ends: list[Given] = [HungUp(), *map(Refused, REFUSALS)]
            return draw(st.sampled_from(ends))
        outcomes = st.sampled_from(PaymentOutcome)
        codes = st.one_of(st.none(), st.text(max_size=6))
        return draw(st.builds(Submitted, outcomes, codes))
    if draw(st.integers(0, 19 if willing else 3)) == 0:
        others: tuple[Given, ...] = (
            NoKey(),
            Again(),
            Leave(),
            KeysLost(),
            HungUp(),
            Refused(REFUSALS[0]),
        )
        return draw(st.sampled_from(others))
    match asked:
        case AskKey(_, keys):
            likely = "1" * 12 if willing else ""
            if willing and asked.step is PayStep.AMOUNT_CHOICE:
                likely = "122222233333"
            return Chosen(draw(st.sampled_from(likely + keys + "05#")))
        case AskAmount():
            return AmountKeyed(draw(AMOUNTS))
        case AskField(at):
            if draw(st.integers(0, 9)) == 0:
                return FieldKeyed(at, draw(st.sampled_from(PayError)))
            if at is PayStep.CARD_NUMBER:
                return FieldKeyed(at, None, draw(st.sampled_from(Brand)), "4242")
            left_out = asked.use is FieldUse.OPTIONAL and asked.entry is not Entry.SECOND
            return FieldKeyed(at, left_out=left_out and draw(st.booleans()))
    raise AssertionError(f"{asked} is nothing to be answered")


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Talk, Given, PayCommands]]:
    """A whole conversation: the talk before, what was given, what followed."""
    began, willing = draw(beginnings), draw(st.booleans())
    talk: Talk = Talk()
    given: Given = began
    past: list[tuple[Talk, Given, PayCommands]] = []
    asked: object = None
    for _ in range(LONGEST):
        after, commands = step(talk, given)
        past.append((talk, given, commands))
        talk = after
        asked = commands[-1] if commands else asked
        if isinstance(asked, Finish):
            return past
        hung_up = isinstance(given, HungUp)
        given = Submitted(draw(st.sampled_from(PaymentOutcome))) if hung_up else _answer(
            draw, asked, willing
        )  # fmt: skip
    raise AssertionError("the conversation does not end")


@settings(max_examples=400, deadline=None)
@given(histories())
def test_what_always_holds(past: list[tuple[Talk, Given, PayCommands]]) -> None:
    began = past[0][1]
    assert isinstance(began, Began)
    offer, spec = began.offer, began.spec
    everything = [command for _, _, commands in past for command in commands]

    # It ends, once, and nothing follows.
    assert sum(isinstance(one, Finish) for one in everything) == 1
    assert isinstance(everything[-1], Finish)
    # Each answer leads to one thing to wait for, and it comes last (nothing while a bank is asked).
    for talk, one, commands in past:
        if isinstance(one, HungUp):  # a payment on its way is waited for
            assert (commands == ()) == (talk.question is Question.OUTCOME)
        waits = [command for command in commands if isinstance(command, ASKED)]
        hung_up_meanwhile = isinstance(one, HungUp) and not commands
        assert hung_up_meanwhile or (len(waits) == 1 and waits[0] is commands[-1])

    # Money: the amount said last before the agreeing key, within what may be paid.
    submits = [one for one in everything if isinstance(one, Submit)]
    assert len(submits) <= spec.submissions
    for _, _, commands in past:
        assert all(0 < minor <= offer.whole.minor for minor in _amounts_said(commands))
    agreed = _agreed_by_key(past)
    for submit in submits:
        if spec.mode is PaymentMode.TOKENISE:
            assert submit.amount_minor == 0
        else:
            assert 0 < submit.amount_minor <= offer.whole.minor
            assert submit.amount_minor == agreed

    # The result tells what became of the money.
    outcomes = [one.outcome for _, one, _ in past if isinstance(one, Submitted)]
    result = everything[-1].result
    assert (PaymentOutcome.APPROVED in outcomes) == (result is PayResult.SUCCESS)
    unsettled = result is PayResult.GATEWAY_TIMEOUT_UNKNOWN
    assert (PaymentOutcome.UNKNOWN in outcomes) == unsettled
    assert outcomes.count(PaymentOutcome.APPROVED) <= 1

    _card_is_held_only_while_needed(past)
    _what_must_match_was_keyed_in_twice(past, spec)


def _amounts_said(commands: PayCommands) -> list[int]:
    """The amounts that the debtor is asked to agree to."""
    return [
        amount.minor
        for command in commands
        if isinstance(command, Say)
        for line in command.lines
        if line.prompt in ("pay_agree", "pay_agree_again", "pay_resume")
        and isinstance(amount := line.values["pay_amount"], Money)
    ]


def _agreed_by_key(past: list[tuple[Talk, Given, PayCommands]]) -> int | None:
    """The amount in the question that the debtor answered with `1`, read from what was said."""
    said: int | None = None
    at: PayStep | None = None
    agreed: int | None = None
    for _, one, commands in past:
        if at is PayStep.AGREE and one == Chosen("1"):
            assert said is not None
            agreed = said
        said = next(iter(_amounts_said(commands)), said)
        for command in commands:
            match command:
                case AskKey(step_asked):
                    at = step_asked
                case AskAmount() | AskField() | Submit():
                    at = None
    return agreed


def _card_is_held_only_while_needed(past: list[tuple[Talk, Given, PayCommands]]) -> None:
    """Every submission is of a card that was keyed in whole since the last one was forgotten."""
    keyed: set[PayStep] = set()
    held = False
    for _, one, commands in past:
        if isinstance(one, FieldKeyed) and one.problem is None:
            keyed.add(one.step)
        for command in commands:
            match command:
                case ForgetCard():
                    keyed, held = set(), False
                case AskField(at):
                    held = True
                    assert at is PayStep.CARD_NUMBER or PayStep.CARD_NUMBER in keyed
                case Submit():
                    assert {PayStep.CARD_NUMBER, PayStep.EXPIRATION_DATE} <= keyed
                case Finish():
                    assert not held


def _what_must_match_was_keyed_in_twice(
    past: list[tuple[Talk, Given, PayCommands]], spec: PaySpec
) -> None:
    """A second entry follows a first one that was right, and nothing is submitted without it."""
    matched: set[PayStep] = set()
    first: PayStep | None = None
    asked: AskField | None = None
    for _, one, commands in past:
        if asked is not None and isinstance(one, FieldKeyed):
            right = one.problem is None
            first = asked.step if right and asked.entry is Entry.FIRST else None
            if right and (asked.entry is Entry.SECOND or one.left_out):
                matched.add(asked.step)
        elif isinstance(one, Again):
            first = None
        asked = None
        for command in commands:
            match command:
                case ForgetCard():
                    matched, first = set(), None
                case AskField(at, entry=entry):
                    asked = command
                    assert (entry is Entry.ONLY) == (at not in spec.matching)
                    assert (entry is Entry.SECOND) <= (first is at)
                    if at is PayStep.CARD_NUMBER and entry is not Entry.SECOND:
                        matched = set()
                case Submit():
                    uses = {
                        PayStep.SECURITY_CODE: spec.security_code,
                        PayStep.POSTAL_CODE: spec.postal_code,
                    }
                    needed = {
                        one
                        for one in spec.matching
                        if uses.get(one, FieldUse.REQUIRED) is not FieldUse.FORBIDDEN
                    }
                    assert needed <= matched


@settings(max_examples=50, deadline=None)
@given(
    histories(),
    st.sampled_from([NoKey(), Chosen("1"), HungUp(), Submitted(PaymentOutcome.APPROVED)]),
)
def test_nothing_follows_the_end(past: list[tuple[Talk, Given, PayCommands]], late: Given) -> None:
    talk, given_last, _ = past[-1]
    over, _ = step(talk, given_last)
    assert step(over, late) == (over, ())
