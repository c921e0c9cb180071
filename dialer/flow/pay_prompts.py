"""The prompts that a ``pay`` node says unless it is told otherwise, and what they may speak of.

They are here, and not beside the conversation, so that the validator of flows can prove that
every language has them.
"""

from __future__ import annotations

from typing import Final

from dialer.domain.payment import PayError, PaymentMode, PayStep

PAY_PLACEHOLDERS: Final = frozenset(
    {"pay_amount", "minimum", "instalment", "brand", "last_four", "auth_code"}
)
"""``pay_amount`` is the amount in question: before one is chosen, the whole that may be paid."""
DISCLOSING_PAY_PLACEHOLDERS: Final = frozenset({"pay_amount", "minimum", "instalment"})

_NONE: Final[frozenset[str]] = frozenset()
_AMOUNT = frozenset({"pay_amount"})
_LIMITS = frozenset({"pay_amount", "minimum"})
_CARD = frozenset({"brand", "last_four"})

FIELD_PROMPTS: Final[dict[PayStep, str]] = {
    PayStep.AMOUNT: "pay_amount",
    PayStep.CARD_NUMBER: "pay_card_number",
    PayStep.EXPIRATION_DATE: "pay_expiry",
    PayStep.SECURITY_CODE: "pay_security_code",
    PayStep.POSTAL_CODE: "pay_postal_code",
}
"""What asks for a field the first time; ``_again`` and ``_slow`` are added for the second and for
every further one."""
SECOND_PROMPTS: Final[dict[PayStep, str]] = {
    PayStep.CARD_NUMBER: "pay_card_number_once_more",
    PayStep.EXPIRATION_DATE: "pay_expiry_once_more",
    PayStep.SECURITY_CODE: "pay_security_code_once_more",
    PayStep.POSTAL_CODE: "pay_postal_code_once_more",
}
"""Likewise for the second entry of a field that is keyed in twice."""
AMEX: Final = "pay_security_code_amex"
REPROMPTS: Final = ("", "_again", "_slow")

ERROR_PROMPTS: Final[dict[PayError, str]] = {
    PayError.INPUT_TIMEOUT: "pay_error_input_timeout",
    PayError.INVALID_CARD_NUMBER: "pay_error_invalid_card_number",
    PayError.INVALID_CARD_TYPE: "pay_error_invalid_card_type",
    PayError.INVALID_DATE: "pay_error_invalid_date",
    PayError.INVALID_SECURITY_CODE: "pay_error_invalid_security_code",
    PayError.INVALID_POSTAL_CODE: "pay_error_invalid_postal_code",
    PayError.INVALID_AMOUNT: "pay_error_invalid_amount",
    PayError.INPUT_MATCHING_FAILED: "pay_error_input_matching_failed",
    PayError.INVALID_KEY: "pay_error_invalid_key",
    PayError.KEYS_LOST: "pay_error_keys_lost",
    PayError.DECLINED_SOFT: "pay_declined_soft",
    PayError.DECLINED_HARD: "pay_declined_hard",
}

_OTHERS: dict[str, frozenset[str]] = {
    "pay_anew": _NONE,
    "pay_person": _NONE,
    "pay_link": _NONE,
    "pay_resume": _AMOUNT,
    "pay_resume_other": _NONE,
    "pay_choice": _NONE,
    "pay_choice_whole": _AMOUNT,
    "pay_choice_part": frozenset({"minimum"}),
    "pay_choice_instalment": frozenset({"instalment"}),
    "pay_agree": _AMOUNT,
    "pay_agree_again": _AMOUNT,
    "pay_agree_other": _NONE,
    "pay_card_intro": _NONE,
    "pay_optional": _NONE,
    "pay_confirm": _AMOUNT | _CARD,
    "pay_confirm_again": _AMOUNT | _CARD,
    "pay_confirm_token": _CARD,
    "pay_confirm_token_again": _CARD,
    "pay_confirm_anew": _NONE,
    "pay_processing": _NONE,
    "pay_processing_token": _NONE,
    "pay_approved": _AMOUNT,
    "pay_authorised": _AMOUNT,
    "pay_tokenised": _CARD,
    "pay_auth_code": frozenset({"auth_code"}),
    "pay_auth_code_again": _NONE,
    "pay_receipt": _NONE,
    "pay_thanks": _NONE,
    "pay_retry": _NONE,
    "pay_other_card": _NONE,
    "pay_declined_end": _NONE,
    "pay_needs_action": _NONE,
    "pay_unknown": _NONE,
    "pay_connector_error": _NONE,
    "pay_unavailable": _NONE,
    "pay_limit": _NONE,
    "pay_nothing_owed": _NONE,
    "pay_too_many": _NONE,
    "pay_left": _NONE,
}


def default_prompts() -> dict[str, frozenset[str]]:
    """Every prompt a ``pay`` node may say by itself -> the placeholders it may have."""
    found = dict(_OTHERS)
    for step, key in FIELD_PROMPTS.items():
        for which in REPROMPTS:
            found[key + which] = _LIMITS if step is PayStep.AMOUNT else _NONE
    for key in (AMEX, *SECOND_PROMPTS.values()):
        found |= {key + which: _NONE for which in REPROMPTS}
    for error, key in ERROR_PROMPTS.items():
        found[key] = _LIMITS if error is PayError.INVALID_AMOUNT else _NONE
    return found


def placeholders_at(step: PayStep, mode: PaymentMode = PaymentMode.CHARGE) -> frozenset[str]:
    """What a prompt named by a node for a step may speak of; of amounts where there is one."""
    match step:
        case PayStep.AMOUNT_CHOICE | PayStep.AMOUNT:
            known = _LIMITS
        case PayStep.AGREE | PayStep.CARD_NUMBER:
            known = _AMOUNT
        case _:
            known = _AMOUNT | _CARD
    return known - DISCLOSING_PAY_PLACEHOLDERS if mode is PaymentMode.TOKENISE else known


def must_say(step: PayStep, mode: PaymentMode = PaymentMode.CHARGE) -> frozenset[str]:
    """What the prompts of a node must speak of at a step: nobody agrees to an amount, or
    confirms a card, that was not said."""
    match step:
        case PayStep.AGREE:
            return _AMOUNT & placeholders_at(step, mode)
        case PayStep.CONFIRM:
            return placeholders_at(step, mode) - {"brand"}
    return _NONE


__all__ = [
    "AMEX", "DISCLOSING_PAY_PLACEHOLDERS", "ERROR_PROMPTS", "FIELD_PROMPTS", "PAY_PLACEHOLDERS",
    "REPROMPTS", "SECOND_PROMPTS", "default_prompts", "must_say", "placeholders_at",
]  # fmt: skip
