"""Free ports for an installation that shares its machine with others."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from dialer.config import Settings

TCP = (
    "redis_port",
    "ami_port",
    "agi_port",
    "payments_agi_port",
    "carrier_ami_port",
    "web_port",
    "twilio_double_port",
    "acquirer_double_port",
    "engine_health_port",
    "ivr_health_port",
    "payments_health_port",
    "http_port",
    "worker_health_port",
)
UDP = ("sip_port", "carrier_sip_port")
RTP = ("rtp_start", "rtp_end", "carrier_rtp_start", "carrier_rtp_end")
RTP_FIRST, RTP_SPAN, RTP_SLOTS = 10_000, 1_100, 10
"""Below 32768, where Linux takes no ports for its own use. One span a side: 550 calls."""


def with_free_ports(settings: Settings) -> Settings:
    """The same settings with a free port wherever nobody chose one.

    A port that is free now may be taken a moment later; whoever then cannot bind says so.
    """
    chosen = settings.model_fields_set
    changes: dict[str, int] = {}
    with ExitStack() as held:  # all at once, so that no two get the same
        for kind, names in ((socket.SOCK_STREAM, TCP), (socket.SOCK_DGRAM, UDP)):
            for name in names:
                probe = held.enter_context(socket.socket(socket.AF_INET, kind))
                probe.bind(("127.0.0.1", 0))
                changes[name] = probe.getsockname()[1]
    # The RTP ranges of two installations may meet: Asterisk steps over ports that are taken.
    base = RTP_FIRST + changes["sip_port"] % RTP_SLOTS * 2 * RTP_SPAN
    ends = (base, base + RTP_SPAN - 1, base + RTP_SPAN, base + 2 * RTP_SPAN - 1)
    if not chosen.intersection(RTP):
        changes |= dict(zip(RTP, ends, strict=True))
    kept = {name: port for name, port in changes.items() if name not in chosen}
    return settings.model_copy(update=kept)
