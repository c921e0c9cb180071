"""``dialer twilio-double``: the simulated Twilio as a process of its own."""

from __future__ import annotations

from dialer.simulation.twilio_double import twilio_double

__all__ = ["twilio_double"]
