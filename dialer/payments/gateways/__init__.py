"""The gateways by name. One is loaded when it is asked for: their libraries are large."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from dialer.config import ConfigError, Settings
from dialer.payments.gateway import Gateway

KNOWN: dict[str, str] = {
    "test": "test_acquirer",
    "stripe": "stripe",
    "redsys": "redsys",
    "mercadopago": "mercadopago",
}
"""Name -> module here. Each has ``from_settings(settings) -> Gateway``, which raises ConfigError
where something is to be set first."""


def gateway_named(settings: Settings, name: str) -> Gateway:
    """The gateway of that name, set up; nothing is sent.

    Raises ConfigError: no such gateway, its library is missing, or a setting of it is.
    """
    if name not in KNOWN:
        raise ConfigError(f"there is no gateway {name!r}: use one of {', '.join(sorted(KNOWN))}")
    try:
        module = importlib.import_module(f"dialer.payments.gateways.{KNOWN[name]}")
    except ImportError as error:
        missing = error.name or "a module"
        raise ConfigError(
            f"the gateway {name} cannot be loaded: {missing} is missing. Run `make setup`, or"
            " install the package with its dependencies."
        ) from error
    make = cast("Callable[[Settings], Gateway]", module.from_settings)
    return make(settings)


def choose(settings: Settings, campaign_gateway: str | None, country: str) -> str | None:
    """Which gateway takes a payment: the campaign's, else that of the company's country (ISO
    3166), else that of all others (``*``); None: cards are not taken."""
    return campaign_gateway or settings.gateways.get(country) or settings.gateways.get("*")
