"""Agents' telephones on the simulated network: ``sip:agent01@127.0.0.1:<carrier_sip_port>``.

The user part says what a telephone does (context ``phones`` of the carrier's dialplan): ``agentNN``
answers at once, ``lateNN`` after three seconds, ``noanswerNN`` never. One that has answered says a
tone of its own, all the time, until the other side hangs up; ``quietNN`` answers at once and says
nothing. There are as many as are called.
"""

from __future__ import annotations

from dialer.config import Settings

LOWEST_HERTZ = 300
STEP_HERTZ = 50
TONES = 8
"""All of them lie below the tones of keys (697 Hz), so that nobody hears a key in an agent;
and 20 ms tell them apart."""
LATE_SECONDS = 3.0


def phone_address(settings: Settings, user: str) -> str:
    """The station of an agent whose telephone this is."""
    return f"sip:{user}@127.0.0.1:{settings.carrier_sip_port}"


def phone_hertz(user: str) -> int:
    """What the telephone says: a tone that follows from the number in its name."""
    number = int("0" + "".join(one for one in user if one.isdigit()))
    return LOWEST_HERTZ + STEP_HERTZ * (number % TONES)
