"""The dial modes by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dialer.domain.pacing.floor import Pacer
from dialer.domain.pacing.predictive import Predictive
from dialer.domain.pacing.rules import Adaptive, Power, Progressive

PACERS: dict[str, Callable[..., Pacer]] = {
    "progressive": Progressive,
    "power": Power,
    "adaptive": Adaptive,
    "predictive": Predictive,
}


def make_pacer(name: str, **settings: Any) -> Pacer:
    """The pacer of a dial mode. Every setting has a default; see each class for what it means.

    An unknown mode, an unknown setting, or a value out of its range is a ``ValueError`` that
    lists what there is.
    """
    if name not in PACERS:
        raise ValueError(f"no pacer {name!r}; there are {', '.join(sorted(PACERS))}")
    known = inspect.signature(PACERS[name]).parameters
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"{name} has no setting {', '.join(map(repr, unknown))}; "
            f"there are: {', '.join(sorted(known)) or 'none'}"
        )
    return PACERS[name](**settings)
