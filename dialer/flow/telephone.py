"""How a telephone number is said."""

from __future__ import annotations

import phonenumbers


def national_digits(number: str) -> str:
    """An E.164 number as its own country dials it, digits only; as it is where it is none."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "".join(c for c in number if c.isdigit())
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(c for c in national if c.isdigit())
