"""The product's Asterisk: configuration and instance from the settings."""

from __future__ import annotations

from dialer.config import Settings
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import render_product
from dialer.switch.trunks import load_trunks


def prepare_product(settings: Settings, binary: AsteriskBinary) -> AsteriskInstance:
    """Write the product's folder; the instance, not started. Raises RenderError, TrunkError."""
    folder = render_product(settings, binary, load_trunks(settings))
    return AsteriskInstance(binary, folder, product_ports(settings))


def product_ports(settings: Settings) -> list[tuple[str, str, int]]:
    """What it binds."""
    ports = [("udp", settings.bind, settings.sip_port), ("tcp", "127.0.0.1", settings.ami_port)]
    return [*ports, ("tcp", settings.bind, settings.http_port)] if settings.agents else ports
