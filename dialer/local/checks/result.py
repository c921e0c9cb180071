"""What a check gets and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from dialer.config import Settings
from dialer.domain.said import Code


class Status(StrEnum):
    """``warning``: works, but worse than it should. ``fault``: mend it before calling anybody."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One finding. ``mend`` says what to do and is empty when all is well."""

    name: str
    status: Status
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined: the settings, and the console of the Asterisk that runs with them.

    ``ask(command)`` returns what the console answers; None when Asterisk does not run.
    """

    settings: Settings
    ask: Callable[[str], str] | None = None

    def console(self, command: str) -> str:
        """What Asterisk answers; only for checks of a running one."""
        assert self.ask is not None, "a check of the running Asterisk was run without one"
        return self.ask(command)


Check = Callable[[Subject], CheckResult]


def _said(one: str) -> str:
    return one.say() if isinstance(one, Code) else one


def ok(name: str, message: str) -> CheckResult:
    """All is well. Here and below: a code that needs no values stands for its sentence."""
    return CheckResult(_said(name), Status.OK, _said(message))


def warning(name: str, message: str, mend: str) -> CheckResult:
    """It works, but."""
    return CheckResult(_said(name), Status.WARNING, _said(message), _said(mend))


def fault(name: str, message: str, mend: str) -> CheckResult:
    """It does not work, or does what it must not."""
    return CheckResult(_said(name), Status.FAULT, _said(message), _said(mend))
