"""Fields of a list, and what is wrong with it, in the viewer's language.

The import speaks English. Its sentences are recognised here by how they begin; one that is not is
shown as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from dialer.importing.headers import REQUIRED
from web.ui.words import gettext as _

_SEVERAL = ("phone", "surname", "name")


def field_name(name: str) -> str:
    """As the form calls a field."""
    return {
        "document": _("Identity document"),
        "name": _("Name"),
        "surname": _("Surname"),
        "phone": _("Telephone"),
        "reference": _("Account reference"),
        "amount": _("Amount owed"),
        "currency": _("Currency"),
        "due": _("Due date"),
        "email": _("Email"),
        "language": _("Language"),
        "timezone": _("Time zone"),
        "country": _("Country"),
    }[name]


def wrong_fields(fields: Sequence[str]) -> list[str]:
    """What stands against a choice of columns, in sentences; nothing: it can be tried."""
    found = []
    missing = [
        field_name(name)
        for name in REQUIRED
        if name not in fields and not (name == "name" and "surname" in fields)
    ]
    if missing:
        found.append(_("Say which column is: %(fields)s.", fields=", ".join(missing)))
    for name in dict.fromkeys(fields):
        if name and name not in _SEVERAL and list(fields).count(name) > 1:
            found.append(
                _("Two columns are the field “%(field)s”: choose one.", field=field_name(name))
            )
    return found


def _reasons() -> tuple[tuple[str, str], ...]:
    return (
        # Of rows that were loaded; before those of rows that were not, which begin alike.
        ("a phone number of this debtor", concern_name("shared_phone")),
        ("an earlier row of this file", concern_name("name")),
        ("left out: the email", concern_name("email")),
        ("left out: ", concern_name("phone")),
        ("the prompts cannot say", concern_name("currency")),
        ("no document", _("There is no identity document")),
        ("no name", _("There is no name")),
        ("no phone", _("There is no telephone")),
        ("no reference", _("There is no account reference")),
        ("no amount", _("There is no amount")),
        ("no due date", _("There is no due date")),
        ("no currency", _("The row names no currency")),
        ("the amount is negative", _("The amount is negative: only debts are taken")),
        ("the amount is zero", _("The amount is zero: nothing is owed")),
        ("the amount is too large", _("The amount is too large to be true")),
        ("the amount is a formula", _("The amount is a formula: paste it as a value")),
        ("the amount has .* decimals", _("The amount has more decimals than its currency")),
        ("the amount begins with zeros", _("The amount begins with zeros: is it in cents?")),
        ("the amount's sign", _("The amount's sign is of another currency")),
        ("the amount|.*The amount can be read", _("The amount is not written as a number")),
        ("the due date is not in the cal", _("The due date is not in the calendar")),
        ("the due date's year has two", _("The year of the due date has two digits: write four")),
        (
            "the due date has no such month",
            _("The due date has no such month: are day and month the other way round?"),
        ),
        ("the due date", _("The due date is not understood: write it like 2026-01-31")),
        ("the document is not one of", _("The identity document is not one of that country")),
        ("the document", _("The identity document is not written as one")),
        (
            "a spreadsheet has shortened",
            _("A spreadsheet has shortened the number: format as text"),
        ),
        ("a phone number is of premium", _("The telephone is of premium rate")),
        ("a phone number", _("The telephone is not a number of that country")),
        ("the reference comes more than", _("The reference comes twice and says different things")),
        ("the reference belongs to", _("The reference belongs to another debtor")),
        ("the account is kept in", _("The account is kept in another currency")),
        ("the name", _("The name is not written as one")),
        ("the email is a number", _("The email is a number: are the columns shifted?")),
        ("the language", _("The language is neither es nor en")),
        ("the currency", _("The currency is not known: write EUR, MXN…")),
        ("the country", _("The country is not known: write it like ES")),
        ("the time zone", _("The time zone is not known: write it like Europe/Madrid")),
        (".* has several time zones", _("The country has several time zones: add a column")),
        (".* fields, the header has", _("The row has more cells than the headings")),
        ("the quotation marks|a quotation", _("The quotation marks do not match")),
    )


def _file_errors() -> tuple[tuple[str, str], ...]:
    return (
        ("the file is empty|the file has no rows", _("The file is empty.")),
        ("the file has a header row and no", _("The file has headings and no rows below them.")),
        (
            "this is a ZIP|this is an .xlsb|the workbook|this is an? |this is no text",
            _("This is not a list that can be read. Save it as CSV (UTF-8) or .xlsx."),
        ),
        (
            "the encoding|line .* is not UTF-8|the file is not",
            _("The letters of the file cannot be told. Save it as CSV UTF-8 or as .xlsx."),
        ),
        (
            "no delimiter|the delimiter",
            _("The columns cannot be told apart. Separate them by comma or semicolon."),
        ),
        ("which currency", _("Say which currency the amounts are in.")),
        (
            ".* amounts (have|are)",
            _("The amounts are not all written in the same way. Say which sign is decimal."),
        ),
        (
            "the due dates are not|.* due dates",
            _("The due dates do not fit the chosen order of day and month. Choose the other one."),
        ),
        ("the file was changed", _("The file was changed meanwhile. Send it again.")),
        ("campaign .* is stopped", _("The campaign was stopped, and that is final.")),
        ("there is no c|campaign .* is of", _("Its company or campaign is not there any more.")),
        ("the rejects cannot", _("The server cannot write to its folder of uploads.")),
    )


def _say(text: str, table: Callable[[], tuple[tuple[str, str], ...]]) -> str:
    for beginning, said in table():
        if re.match(beginning, text):
            return said
    return text


def reason_name(text: str) -> str:
    """Why a row stays out, or is worth a look; several reasons come as one text with semicolons."""
    return "; ".join(_say(one, _reasons) for one in text.split("; "))


def file_error_name(text: str) -> str:
    """Why a file cannot be taken at all."""
    return _say(text, _file_errors) if text else _("It did not work, and the log says why.")


def concern_name(value: str) -> str:
    """Of a Concern: taken, and worth a look."""
    return {
        "document": _("Identity document of another form than the country's"),
        "phone": _("One of several telephones was left out"),
        "shared_phone": _("Another debtor has the same telephone"),
        "email": _("The email was left out"),
        "name": _("Another name than in an earlier row"),
        "currency": _("The recorded voice cannot say the currency"),
    }.get(value, value)


def phase_name(value: str) -> str:
    """What an import is doing."""
    return {
        "reading": _("Reading the file"),
        "checking": _("Looking for contradictions"),
        "importing": _("Loading"),
    }.get(value, _("Waiting its turn"))
