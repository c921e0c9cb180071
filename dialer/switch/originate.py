"""What is asked of Asterisk to place one call, checked so that no value can carry another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dialer.switch import names

_ATTEMPT = re.compile(r"[0-9a-f]{32}")
_DIAL_STRING = re.compile(r"[A-Za-z]{2,16}/[+0-9A-Za-z*#]{1,40}@[A-Za-z0-9_.:-]{1,64}")
_CALLER_ID = re.compile(r"[+0-9*#]{0,24}")
_CALLER_NAME = re.compile(r"[^\x00-\x1f\x7f\"<>\\]{0,40}")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Not a comma (it begins another variable), not a quote or a $ (the dialplan would read them).
_VALUE = re.compile(r"[A-Za-z0-9_.:+@/ -]{0,200}")


class OriginateRefused(Exception):
    """The call was not placed and Asterisk was not asked: a bad value, or no connection."""


@dataclass(frozen=True, slots=True)
class OriginateRequest:
    """One call. ``timeout`` is how long it may ring, in seconds.

    ``attempt_id`` (32 hex digits) becomes the channel's unique id. ``dial_string`` comes from
    ``Trunk.dial_string``, ``caller_id`` from ``Trunk.caller_id_value``.
    """

    attempt_id: str
    dial_string: str
    caller_id: str
    timeout: float
    caller_name: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    context: str = names.CONTEXT_OUTBOUND
    exten: str = names.START
    priority: int = names.START_PRIORITY

    def action(self) -> dict[str, str | list[str]]:
        """The headers of AMI's Originate. Raises OriginateRefused naming the bad value."""
        _check("attempt id", self.attempt_id, _ATTEMPT)
        _check("dial string", self.dial_string, _DIAL_STRING)
        _check("caller ID", self.caller_id, _CALLER_ID)
        _check("caller name", self.caller_name, _CALLER_NAME)
        _check("context", self.context, _WORD)
        _check("extension", self.exten, _WORD)
        if not 1 <= self.timeout <= 600:
            raise OriginateRefused("the ring time-out is not within 1 to 600 s")
        for name, value in self.variables.items():
            _check("name of a variable", name, _WORD)
            _check(f"variable {name}", value, _VALUE)
        return {
            "Action": "Originate",
            "ActionID": self.attempt_id,
            "ChannelId": self.attempt_id,
            "Channel": self.dial_string,
            "Context": self.context,
            "Exten": self.exten,
            "Priority": str(self.priority),
            "Async": "true",
            "CallerID": f'"{self.caller_name}" <{self.caller_id}>',
            "Timeout": str(round(self.timeout * 1000)),
            "Variable": [f"{name}={value}" for name, value in self.variables.items()],
        }


def _check(what: str, value: str, pattern: re.Pattern[str]) -> None:
    # The value itself is not told: it may be a person's number.
    if not pattern.fullmatch(value):
        raise OriginateRefused(f"the {what} has a character that is not allowed, or is too long")
