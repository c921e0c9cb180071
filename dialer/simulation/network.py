"""The simulated telephone network: the carrier's Asterisk, made of the personas."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from dialer.config import Settings
from dialer.simulation.debtor_cards import expiry_keys
from dialer.simulation.persona import Memory, Persona
from dialer.simulation.personas import EVERYBODY
from dialer.speech.debtor_lines import ensure_debtor_lines
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import Subscriber, render_carrier


def subscriber(persona: Persona) -> Subscriber:
    """A persona as lines of dialplan."""
    return Subscriber(
        code=persona.code,
        name=persona.name,
        scripts=tuple(
            tuple(line for step in script for line in step.lines) for script in persona.scripts
        ),
        by_caller_id=persona.memory is Memory.CALLER_ID,
    )


def prepare_network(settings: Settings, binary: AsteriskBinary) -> AsteriskInstance:
    """Write the carrier's folder with all personas; the instance, not started.

    The network forgets whom it has seen: its AstDB is made anew. Raises RenderError, VoiceError.
    """
    lines = ensure_debtor_lines(settings)
    folder = render_carrier(
        settings,
        binary,
        [subscriber(persona) for persona in EVERYBODY.values()],
        lines,
        expiry_keys(datetime.now(UTC).date()),
    )
    instance = AsteriskInstance(binary, folder, carrier_ports(settings))
    if instance.leftover_pid() is None:
        forget(folder)
    return instance


def forget(folder: Path) -> None:
    """Delete what the subscribers remember. Only while the network is down."""
    for path in (folder / "var").glob("astdb.sqlite3*"):
        path.unlink(missing_ok=True)


def carrier_ports(settings: Settings) -> list[tuple[str, str, int]]:
    """What the carrier binds."""
    return [
        ("udp", "127.0.0.1", settings.carrier_sip_port),
        ("tcp", "127.0.0.1", settings.carrier_ami_port),
    ]
