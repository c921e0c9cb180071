"""What a simulated subscriber does, step by step; each step is lines of dialplan.

A script is a tuple of steps. Numbers (``factor``: the last four digits dialled) are channel
variables that the carrier's dialplan has set before the script begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from dialer.simulation.debtor_cards import CardKind

FACTOR = "${factor}"
"""The debtor's own factor of identity, as keys."""

DIGIT_MS = 100
DIGIT_GAP_MS = 120
QUIET_MS = 1200
"""Longer than any pause within a prompt, shorter than any time-out for a key."""


@dataclass(frozen=True, slots=True)
class Step:
    """Applications of Asterisk, in order, without priorities."""

    lines: tuple[str, ...]


Script = tuple[Step, ...]


def _step(*lines: str) -> Step:
    return Step(lines)


def ring(seconds: float) -> Step:
    """Ring for so long."""
    return _step("Ringing()", f"Wait({seconds:g})")


def answer() -> Step:
    """Pick up."""
    return _step("Answer()")


def say(line: str) -> Step:
    """Play a line of ``dialer.speech.debtor_lines``; it is a pause when there is no voice."""
    return _step(f"Playback(${{lines}}/{line},noanswer)")


def wait(seconds: float) -> Step:
    """Do nothing; the line is silent."""
    return _step(f"Wait({seconds:g})")


def send_nothing(seconds: float) -> Step:
    """Be quiet on a line that suppresses silence: no packet is sent. Ends the call after."""
    return _step(f"WaitExten({seconds:g})")


def heard_out(longest: float = 40.0) -> Step:
    """Listen until the other side has been quiet: a prompt has ended."""
    return _step(f"WaitForSilence({QUIET_MS},1,{longest:g})")


def press(keys: str) -> Step:
    """Press keys (RFC 4733)."""
    return _step(f"SendDTMF({keys},{DIGIT_GAP_MS},{DIGIT_MS})")


def press_and_drop(keys: str, after: float) -> Step:
    """Hold each key for long and hang up ``after`` seconds, in the middle of one."""
    return _step(f"Set(TIMEOUT(absolute)={after:g})", f"SendDTMF({keys},{DIGIT_GAP_MS},5000)")


def stay(seconds: float = 60.0) -> Step:
    """Listen until the other side hangs up, at most so long."""
    return _step(f"Wait({seconds:g})")


def record(longest: float = 60.0) -> Step:
    """Record what the other side says, until it hangs up: ``<carrier>/spool/recordings``."""
    return _step(f"Record(${{recordings}}/${{number}}-${{EPOCH}}.alaw,0,{longest:g},qk)")


def hang_up(cause: int = 16) -> Step:
    """Put down the receiver, or refuse the call with a Q.850 cause."""
    return _step(f"Hangup({cause})")


def refuse(status: int) -> Step:
    """Refuse the call with a SIP status that no cause maps to."""
    return _step(f"PJSIPHangup({status})")


def early(line: str) -> Step:
    """Play a line before any answer (early media)."""
    return _step("Progress()", f"Playback(${{lines}}/{line},noanswer)")


# --- paying by card --------------------------------------------------------------------------

NOTICE_QUIET_MS = 300
EXPIRY = "${expiry}"
"""The expiry date of any made-up card, as keys."""


def next_prompt(longest: float = 30.0) -> Step:
    """Wait until the other side begins to speak again, after the key that was pressed last has
    stopped what it was saying."""
    return _step("Wait(0.7)", f"WaitForNoise(120,1,{longest:g})", "Wait(0.5)")


def first_prompt(longest: float = 30.0) -> Step:
    """``next_prompt``, behind the notice of a recorded call, which no key cuts short (the network's
    global variable ``notice`` is 1 where there is one)."""
    return _step(
        "Wait(0.7)",
        f"WaitForNoise(120,1,{longest:g})",
        f"ExecIf(${{notice}}?WaitForSilence({NOTICE_QUIET_MS},1,{longest:g}))",
        "Wait(0.5)",
    )


def press_aloud(keys: str) -> Step:
    """Press keys whose tones can be heard too, as some telephones and carriers do it."""
    return _step(f"Gosub(aloud,s,1({keys}))")


def key_number(kind: CardKind, digits: int | None = None) -> Step:
    """Key in the number of one's card, or only its first ``digits``."""
    keys = "${card}" if digits is None else f"${{card:0:{digits}}}"
    return _step(_worked_out(kind), f"SendDTMF({keys},{DIGIT_GAP_MS},{DIGIT_MS})")


def key_number_aloud(kind: CardKind) -> Step:
    """``key_number`` and ``press_aloud``."""
    return _step(_worked_out(kind), "Gosub(aloud,s,1(${card}))")


CODE = "${code}"
"""The security code of the card whose number was keyed in last, as keys."""


def key_code(digits: int | None = None) -> Step:
    """Key in the security code of the card whose number was keyed in last."""
    keys = CODE if digits is None else f"${{code:0:{digits}}}"
    return _step(f"SendDTMF({keys},{DIGIT_GAP_MS},{DIGIT_MS})")


def _worked_out(kind: CardKind) -> str:
    """Sets ``card`` and ``code``."""
    return f"Gosub(card,s,1({kind.start},{kind.room},{kind.serial},{kind.luhn},{kind.code_length}))"


# --- with an agent -----------------------------------------------------------------------------


def ring_between(least: int, most: int) -> Step:
    """Ring for a whole number of seconds, by chance."""
    return _step("Ringing()", f"Wait(${{RAND({least},{most})}})")


def wait_between(least_ms: int, most_ms: int) -> Step:
    """Do nothing for so many milliseconds, by chance."""
    return _step(f"Gosub(pause,s,1({least_ms},{most_ms}))")


def listen() -> Step:
    """Have the network tell when the other side is heard first (``Witness``, ``heard_at``), within
    20 ms; nothing else is told of it."""
    return _step("Set(TALK_DETECT(set)=60000)")


def talk_on(line: str, longest: int) -> Step:
    """Say something now and then until the other side hangs up, at most so many seconds."""
    return _step(f"Gosub(talk,s,1({line},{longest}))")


def say_tone(hertz: int, longest: int) -> Step:
    """Say a tone until the other side hangs up, at most so many seconds."""
    return _step(f"PlayTones({hertz})", f"Wait({longest})")


def stop_tone() -> Step:
    """Say it no longer."""
    return _step("StopPlayTones()")
