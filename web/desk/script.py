"""What an agent may say first, in the debtor's language, whatever the agent's own is.

The law decides what comes first: who calls, and whether it is the debtor; before that is clear,
nothing of a debt (12 CFR 1006.6(d), and the like elsewhere).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from babel import dates

from dialer.store.desk_day import CallTerms
from dialer.store.outcomes import Call
from web.console.flow_files import texts_of
from web.ui import formats
from web.ui.words import LANGUAGES, translations

UNKNOWN = "…"
"""In place of what is not known any more: which choice was offered, which day was said."""
_PLACE = re.compile(r"\{(\w+)\}")


def opening(terms: CallTerms, agent_name: str) -> list[str]:
    """The first sentences, one a line."""
    known = terms.language if terms.language in LANGUAGES else "en"
    _ = translations(known).gettext
    names: Mapping[str, str] = {
        "agent": agent_name, "company": terms.company, "debtor": terms.debtor,
    }  # fmt: skip
    if terms.identified:
        said = [
            _("Hello, %(debtor)s. I am %(agent)s, of %(company)s. How can I help you?"),
            _("Shall we go through what is open together? You can pay now, by card or by link."),
        ]
    else:
        said = [
            _("Hello. I am %(agent)s, of %(company)s. Am I speaking to %(debtor)s?"),
            _("To be sure that I speak to the right person: the last digits of your document?"),
        ]
    return [one % names for one in said]


def heard(terms: CallTerms, call: Call, flows_dir: Path) -> str | None:
    """The words that the debtor heard last in this call, in their language."""
    if terms.last_prompt is None:
        return None
    text = texts_of(flows_dir, terms.language).get(terms.last_prompt)
    if text is None:
        return None
    # What was paid since, in this call, was still owed when they heard of it.
    owed = call.amount.minor + (terms.paid if call.owes else 0)
    said = {
        "company": call.company,
        "debtor_name": call.name,
        "callback_number": call.callback_number,
        "amount": formats.money(owed, call.amount.currency, terms.language),
        "due_date": dates.format_date(call.due_date, "long", locale=terms.language),
    }
    return _PLACE.sub(lambda found: said.get(found[1], UNKNOWN), text)
