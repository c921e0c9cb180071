"""The words of paying by card as values. Pure; no card number is ever in one of them.

Names of results and error types are those of Twilio's <Pay> where it has one, so that whoever
knows it finds their way; what goes beyond it is named in the same style.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dialer.domain.model import Money


class Brand(StrEnum):
    """Card brands, named as <Pay> names them."""

    VISA = "visa"
    MASTERCARD = "mastercard"
    AMEX = "amex"
    MAESTRO = "maestro"
    DISCOVER = "discover"
    JCB = "jcb"
    DINERS_CLUB = "diners-club"
    UNIONPAY = "unionpay"


class PaymentMode(StrEnum):
    """What is asked of the gateway."""

    CHARGE = "charge"
    AUTHORISE = "authorise"  # captured later, from the command line or by a job
    TOKENISE = "tokenise"  # no money moves; a token is kept


class PaymentSource(StrEnum):
    """Where a payment was made."""

    CALL = "call"
    LINK = "link"


class PaymentOutcome(StrEnum):
    """What a gateway said; there is no seventh."""

    APPROVED = "approved"
    DECLINED_SOFT = "declined-soft"  # may work with another card, or later
    DECLINED_HARD = "declined-hard"  # this card must not be tried again
    NEEDS_ACTION = "needs-action"  # 3-D Secure or the like: becomes a payment link
    UNKNOWN = "unknown"  # charged or not: to be looked up, never guessed
    CONFIGURATION_ERROR = "configuration-error"  # our side; the debtor is not to blame


class PaymentState(StrEnum):
    """The life of one payment attempt (see ``dialer.domain.payment_states``)."""

    CREATED = "created"  # committed with its key and its reservation; nothing has left
    SENDING = "sending"  # may have left; found so after a crash it is as good as unknown
    APPROVED = "approved"
    DECLINED = "declined"
    NEEDS_ACTION = "needs_action"
    UNKNOWN = "unknown"
    NOT_CHARGED = "not_charged"  # looked up, or never sent: no money has moved and none will
    MISCONFIGURED = "misconfigured"

    @property
    def open(self) -> bool:
        """Still holds its reservation: charged or not is not known yet."""
        return self in (PaymentState.CREATED, PaymentState.SENDING, PaymentState.UNKNOWN)


class PayResult(StrEnum):
    """How a ``pay`` node ended."""

    SUCCESS = "success"
    TOO_MANY_FAILED_ATTEMPTS = "too-many-failed-attempts"
    PAYMENT_CONNECTOR_ERROR = "payment-connector-error"
    CALLER_INTERRUPTED_WITH_STAR = "caller-interrupted-with-star"
    CALLER_HUNG_UP = "caller-hung-up"
    INTERNAL_ERROR = "internal-error"
    # beyond <Pay>
    DECLINED = "declined"  # the submissions are used up, or the debtor does not try again
    NEEDS_ACTION = "needs-action"
    GATEWAY_TIMEOUT_UNKNOWN = "gateway-timeout-unknown"
    LIMIT_REACHED = "limit-reached"  # velocity
    NOTHING_OWED = "nothing-owed"  # paid meanwhile, or another payment is under way
    CARD_ENTRY_UNAVAILABLE = "card-entry-unavailable"  # unsafe settings, no gateway, no process
    WANTS_AGENT = "wants-agent"
    WANTS_LINK = "wants-link"


class PayError(StrEnum):
    """Why something is asked again; selects prompts."""

    INPUT_TIMEOUT = "input-timeout"
    INVALID_CARD_NUMBER = "invalid-card-number"
    INVALID_CARD_TYPE = "invalid-card-type"
    INVALID_DATE = "invalid-date"
    INVALID_SECURITY_CODE = "invalid-security-code"
    INVALID_POSTAL_CODE = "invalid-postal-code"
    INVALID_AMOUNT = "invalid-amount"
    INPUT_MATCHING_FAILED = "input-matching-failed"  # keyed in twice, not twice the same
    INVALID_KEY = "invalid-key"  # one that means nothing there
    KEYS_LOST = "keys-lost"  # we were too slow to hear every key: the field is void
    DECLINED_SOFT = "declined-soft"
    DECLINED_HARD = "declined-hard"


UNHEARD = frozenset({PayError.INPUT_TIMEOUT, PayError.KEYS_LOST})
"""Nothing was heard that could be wrong: of a field that is keyed in twice the first entry still
counts."""


class PayStep(StrEnum):
    """Where a payment conversation stands; <Pay>'s ``for`` names where it has one."""

    AMOUNT_CHOICE = "amount-choice"
    AMOUNT = "amount"
    AGREE = "agree"
    CARD_NUMBER = "payment-card-number"
    EXPIRATION_DATE = "expiration-date"
    SECURITY_CODE = "security-code"
    POSTAL_CODE = "postal-code"
    CONFIRM = "confirm"
    PROCESSING = "payment-processing"
    RESULT = "result"


class AmountChoice(StrEnum):
    """What part of the debt may be paid."""

    WHOLE = "whole"
    PART = "part"
    INSTALMENT = "instalment"


class FieldUse(StrEnum):
    """Whether a field is asked."""

    REQUIRED = "required"
    OPTIONAL = "optional"  # `#` alone leaves it out
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class PayTimes:
    """Seconds to the first key and between two."""

    first: float
    between: float


@dataclass(frozen=True, slots=True)
class PromptRule:
    """Says ``say`` instead of the default where all that is given fits; the most exact one wins.

    ``attempts``: of the field, from 1. ``second_entry``: for the second time that a field is asked
    which is keyed in twice; without it, never for that.
    """

    step: PayStep
    say: tuple[str, ...]
    errors: tuple[PayError, ...] = ()
    attempts: tuple[int, ...] = ()
    brands: tuple[Brand, ...] = ()
    second_entry: bool = False


CARD_FIELDS = (
    PayStep.CARD_NUMBER,
    PayStep.EXPIRATION_DATE,
    PayStep.SECURITY_CODE,
    PayStep.POSTAL_CODE,
)
"""What is keyed in of a card, in order."""

DEFAULT_TIMES: dict[PayStep, PayTimes] = {
    PayStep.AMOUNT_CHOICE: PayTimes(7, 4),
    PayStep.AMOUNT: PayTimes(10, 5),
    PayStep.AGREE: PayTimes(7, 4),
    PayStep.CARD_NUMBER: PayTimes(10, 5),
    PayStep.EXPIRATION_DATE: PayTimes(8, 4),
    PayStep.SECURITY_CODE: PayTimes(10, 4),
    PayStep.POSTAL_CODE: PayTimes(10, 4),
    PayStep.CONFIRM: PayTimes(8, 4),
    PayStep.RESULT: PayTimes(8, 4),
}


@dataclass(frozen=True, slots=True)
class PaySpec:
    """Everything a ``pay`` node asks for. ``attempts`` by step (3 where missing); ``matching``: the
    fields of the card that are keyed in twice.

    It lies in the database: what is added here needs a default, for what was written before.
    """

    amounts: tuple[AmountChoice, ...] = (AmountChoice.WHOLE,)
    mode: PaymentMode = PaymentMode.CHARGE
    brands: tuple[Brand, ...] = (Brand.VISA, Brand.MASTERCARD, Brand.AMEX)
    security_code: FieldUse = FieldUse.REQUIRED
    postal_code: FieldUse = FieldUse.FORBIDDEN
    attempts: dict[PayStep, int] = field(default_factory=dict)
    times: dict[PayStep, PayTimes] = field(default_factory=dict)
    submissions: int = 2
    prompts: tuple[PromptRule, ...] = ()
    matching: tuple[PayStep, ...] = ()

    def attempts_at(self, step: PayStep) -> int:
        """How often a step may be tried."""
        return self.attempts.get(step, 3)

    def times_at(self, step: PayStep) -> PayTimes:
        """The clocks of a step."""
        return self.times.get(step) or DEFAULT_TIMES[step]


@dataclass(frozen=True, slots=True)
class PayOffer:
    """What may be paid now. ``whole`` is what is owed and neither paid nor pending; ``minimum`` of
    a part and ``instalment`` (None: no plan) in minor units of the same currency."""

    whole: Money
    minimum: int
    instalment: int | None = None
