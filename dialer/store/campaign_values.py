"""What the values of a campaign file are made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dialer.store.plan_says import PlanSays

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")


def parse_duration(value: object) -> float:
    """Seconds of ``90``, ``90s``, ``15m``, ``2h``, ``1d`` or ``1h30m``. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip().lower()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(PlanSays.LIKE_A_DURATION.say(given=value))
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def parse_share(value: object) -> float:
    """0 to 1 of ``0.03`` or ``3 %``. Raises ValueError."""
    text = str(value).strip()
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError as error:
        raise ValueError(PlanSays.LIKE_A_SHARE.say(given=value)) from error


Seconds = Annotated[float, BeforeValidator(parse_duration), Field(ge=0)]
Share = Annotated[float, BeforeValidator(parse_share), Field(ge=0, le=1)]


class Strict(BaseModel):
    """An unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
