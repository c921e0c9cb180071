"""What a check gets and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from dialer.config import Settings


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


def ok(name: str, message: str) -> CheckResult:
    """All is well."""
    return CheckResult(name, Status.OK, message)


def warning(name: str, message: str, mend: str) -> CheckResult:
    """It works, but."""
    return CheckResult(name, Status.WARNING, message, mend)


def fault(name: str, message: str, mend: str) -> CheckResult:
    """It does not work, or does what it must not."""
    return CheckResult(name, Status.FAULT, message, mend)
