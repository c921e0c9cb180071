"""Those of the simulated network who pay by card, or try to. Pure data, like ``personas``.

They wait for each prompt to begin and press into it, so that what they do does not hang on how
quick a machine is.
"""

from __future__ import annotations

from dialer.domain.model import Disposition as D
from dialer.domain.payment import Brand
from dialer.domain.payment import PaymentState as P
from dialer.simulation.cards import Behaviour as B
from dialer.simulation.debtor_cards import CardKind
from dialer.simulation.persona import Persona
from dialer.simulation.steps import (
    CODE,
    EXPIRY,
    FACTOR,
    Script,
    Step,
    answer,
    first_prompt,
    hang_up,
    heard_out,
    key_code,
    key_number,
    key_number_aloud,
    next_prompt,
    press,
    press_aloud,
    ring,
    say,
    stay,
    wait,
)

DEBT = 30_000
"""Of those who choose an amount."""
PART = "100#"

GOOD = CardKind()
MASTERCARD = CardKind(Brand.MASTERCARD)
AMEX = CardKind(Brand.AMEX)
SECOND = CardKind(serial=2)


def _to_payment(*amount: str) -> list[Step]:
    """Confirms, gives the factor, chooses to pay, chooses an amount and agrees to it."""
    steps = [ring(0.4), answer(), say("diga"), first_prompt(), press("1")]
    for keys in (FACTOR, "1", *(amount or ("1",)), "1"):
        steps += [next_prompt(), press(keys)]
    return steps


def _pays_aloud(kind: CardKind) -> Script:
    """Pays, and every key can be heard."""
    steps = [ring(0.4), answer(), say("diga"), first_prompt(), press_aloud("1")]
    for keys in (FACTOR, "1", "1", "1"):
        steps += [next_prompt(), press_aloud(keys)]
    return (
        *steps, next_prompt(), key_number_aloud(kind), next_prompt(), press_aloud(EXPIRY),
        next_prompt(), press_aloud(CODE), next_prompt(), press_aloud("1"), stay(90),
    )  # fmt: skip


def _card(kind: CardKind) -> list[Step]:
    """Keys in number, expiry date and security code, each into its prompt."""
    return [
        next_prompt(), key_number(kind),
        next_prompt(), press(EXPIRY),
        next_prompt(), key_code(),
    ]  # fmt: skip


def _confirmed(kind: CardKind) -> list[Step]:
    return [*_card(kind), next_prompt(), press("1")]


def _pays(kind: CardKind, *amount: str) -> Script:
    return (*_to_payment(*amount), *_confirmed(kind), stay(90))


def _declined_then(bad: B, *then: Step) -> Script:
    return (*_to_payment(), *_confirmed(CardKind(behaviour=bad)), heard_out(), *then, stay(90))


def _payer(  # noqa: PLR0913 - a row of the table
    code: str,
    name: str,
    description: str,
    script: Script,
    expects: D,
    *payments: P,
    cards: tuple[CardKind, ...] = (GOOD,),
    weight: float = 1.0,
    amount: int | None = None,
    language: str | None = None,
) -> Persona:
    return Persona(
        code, name, description, (script,), (expects,), weight=weight, payments=payments,
        amount=amount, language=language, cards=cards,
    )  # fmt: skip


def _odd(behaviour: B) -> CardKind:
    return CardKind(behaviour=behaviour)


# fmt: off
_ALL = (
    _payer("70", "pays_card", "pays all of it by card (Visa)", _pays(GOOD), D.PAID, P.APPROVED,
           weight=6),
    _payer("71", "pays_mastercard", "pays all of it by card (Mastercard)", _pays(MASTERCARD),
           D.PAID, P.APPROVED, cards=(MASTERCARD,), weight=2),
    _payer("72", "pays_amex", "pays all of it by American Express: 15 digits, code of 4",
           _pays(AMEX), D.PAID, P.APPROVED, cards=(AMEX,), weight=2),
    _payer("73", "pays_part", "pays 100 of 300 by card", _pays(GOOD, "2", PART), D.PAID, P.APPROVED,
           amount=DEBT, weight=2),
    _payer("74", "pays_instalment", "pays the first instalment by card", _pays(GOOD, "3"),
           D.PAID, P.APPROVED, amount=DEBT, weight=2),
    _payer("75", "pays_in_english", "pays all of it by card, in English", _pays(GOOD),
           D.PAID, P.APPROVED, language="en", weight=2),
    _payer("76", "second_card_pays", "has too little on one card and pays with another",
           _declined_then(B.INSUFFICIENT_FUNDS, press("1"), *_confirmed(SECOND)),
           D.PAID, P.DECLINED, P.APPROVED,
           cards=(_odd(B.INSUFFICIENT_FUNDS), SECOND), weight=2),
    _payer("77", "declined_wants_link", "is declined for good and takes the link (2)",
           _declined_then(B.STOLEN, press("2")), D.LINK_SENT, P.DECLINED,
           cards=(_odd(B.STOLEN),), weight=2),
    _payer("78", "needs_action", "has a card that wants 3-D Secure: gets the link",
           _pays(_odd(B.NEEDS_ACTION)), D.LINK_SENT, P.NEEDS_ACTION,
           cards=(_odd(B.NEEDS_ACTION),)),
    _payer("79", "asks_person_at_confirmation", "keys in a card, then asks for a person (9)",
           (*_to_payment(), *_card(GOOD), next_prompt(), press("9"), stay(60)), D.WANTS_AGENT),
    _payer("80", "hangs_up_in_number", "hangs up in the middle of the card number",
           (*_to_payment(), next_prompt(), key_number(GOOD, 12), hang_up()), D.INCOMPLETE),
    _payer("81", "hangs_up_in_expiry", "hangs up in the middle of the expiry date",
           (*_to_payment(), next_prompt(), key_number(GOOD), next_prompt(), press("12"),
            hang_up()), D.INCOMPLETE),
    _payer("82", "hangs_up_in_code", "hangs up in the middle of the security code",
           (*_to_payment(), next_prompt(), key_number(GOOD), next_prompt(), press(EXPIRY),
            next_prompt(), key_code(2), hang_up()), D.INCOMPLETE),
    _payer("83", "hangs_up_while_charged", "hangs up while the bank is slow",
           (*_to_payment(), *_confirmed(_odd(B.SLOW)), wait(2), hang_up()), D.PAID, P.APPROVED,
           cards=(_odd(B.SLOW),)),
    _payer("84", "bank_is_silent", "is charged by a bank that does not answer in time",
           _pays(_odd(B.SILENT)), D.PAID, P.APPROVED, cards=(_odd(B.SILENT),)),
    _payer("85", "line_to_bank_cut", "is charged, and the connection to the bank is cut",
           _pays(_odd(B.DROPPED_AFTER)), D.PAID, P.APPROVED, cards=(_odd(B.DROPPED_AFTER),)),
    _payer("86", "bank_never_heard", "is not charged: the connection is cut before",
           _pays(_odd(B.DROPPED_BEFORE)), D.INCOMPLETE, P.NOT_CHARGED,
           cards=(_odd(B.DROPPED_BEFORE),)),
    _payer("87", "wrong_number_keyed", "keys in a card number with a wrong digit, three times",
           (*_to_payment(), next_prompt(), key_number(CardKind(luhn=1)), next_prompt(),
            key_number(CardKind(luhn=1)), next_prompt(), key_number(CardKind(luhn=1)), stay(60)),
           D.LINK_SENT, cards=(CardKind(luhn=1),)),
    _payer("88", "corrects_with_star", "keys half a number, corrects with *, then pays",
           (*_to_payment(), next_prompt(), key_number(GOOD, 7), press("*"), *_confirmed(GOOD),
            stay(90)), D.PAID, P.APPROVED),
    _payer("89", "leaves_with_stars", "leaves the card number with ** and gets the link",
           (*_to_payment(), next_prompt(), press("**"), stay(60)), D.LINK_SENT, cards=()),
    _payer("90", "silent_at_card", "agrees to the amount, then presses nothing more",
           (*_to_payment(), stay(150)), D.LINK_SENT, cards=(), weight=0.5),
    _payer("91", "falls_silent_in_code", "keys half of the security code, then nothing more",
           (*_to_payment(), next_prompt(), key_number(GOOD), next_prompt(), press(EXPIRY),
            next_prompt(), key_code(2), stay(150)), D.LINK_SENT, weight=0),
    _payer("92", "pays_aloud", "pays all of it by card; the tones of its keys can be heard",
           _pays_aloud(GOOD), D.PAID, P.APPROVED, weight=0),
)
# fmt: on

PAYERS: dict[str, Persona] = {persona.code: persona for persona in _ALL}
"""By code."""
