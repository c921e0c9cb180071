"""Which texts speak of a debt, whether their author marked them or not.

The list is wide on purpose: a neutral sentence that it catches can be worded otherwise, a
disclosing one that it missed reaches a third party. Sources of the rule: 12 CFR 1006.6(d)(1) and
15 USC 1692c(b); Ley 2300 de 2023 (Colombia) art. 3; Ley 29571 (Peru) art. 62.
"""

from __future__ import annotations

import re

from dialer.flow.prompts import DISCLOSING_PLACEHOLDERS, Prompt

_STEMS = {
    "es": (
        "deud", "adeud", "debe", "deba", "pag[aou]", "pagu", "impag", "abon", "importe", "monto",
        "cuota", "factura", "recibo", "saldo", "cuenta", "venc", "moros", "mora", "cobr", "recobr",
        "recaud", "préstamo", "prestamo", "crédito", "credito", "financ", "atras", "pendiente",
        "embarg", "judicial",
    ),
    "en": (
        "debt", "owe", "owing", "pay", "paid", "unpaid", "amount", "balance", "account", "overdue",
        "due", "arrear", "collect", "invoice", "bill", "instal", "loan", "credit", "financ",
        "delinquen", "outstanding", "pending", "legal",
    ),
}  # fmt: skip
_WORDS = {
    language: re.compile(r"\b(?:" + "|".join(stems) + r")\w*", re.IGNORECASE)
    for language, stems in _STEMS.items()
}


def disclosing_word(prompt: Prompt, language: str) -> str | None:
    """The first word or placeholder that speaks of a debt, or None."""
    for name in prompt.placeholders:
        if name in DISCLOSING_PLACEHOLDERS:
            return f"{{{name}}}"
    for listed in [_WORDS[language]] if language in _WORDS else _WORDS.values():
        if found := listed.search(_PLACEHOLDER.sub(" ", prompt.text)):
            return found.group(0)
    return None


_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
