"""Examines an installation; every fault comes with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dialer.config import Settings
from dialer.local.checks import machine, payments, services, switch, trunks
from dialer.local.checks.findings import Looked, Machine, Mend
from dialer.local.checks.result import Check, CheckResult, Status, Subject, fault, warning
from dialer.switch.instance import AsteriskInstance, InstanceError
from dialer.switch.portable import AsteriskNotFound, find_asterisk
from dialer.switch.render import product_folder

CHECKS: tuple[Check, ...] = (
    *machine.CHECKS,
    *switch.CHECKS,
    *services.CHECKS,
    *trunks.CHECKS,
    *payments.CHECKS,
)
RUNNING_CHECKS: tuple[Check, ...] = (*switch.RUNNING_CHECKS, *trunks.RUNNING_CHECKS)
"""Only with a running Asterisk of this installation."""

__all__ = ["CHECKS", "RUNNING_CHECKS", "CheckResult", "Status", "Subject", "run_checks"]


def run_checks(
    settings: Settings,
    *,
    ask: Callable[[str], str] | None = None,
    checks: Sequence[Check] = CHECKS,
    running_checks: Sequence[Check] = RUNNING_CHECKS,
) -> list[CheckResult]:
    """All findings, in the order of the checks; a check that breaks is a fault of its own.

    ``ask(command)`` asks the console of the running Asterisk (default: the one of this
    installation, if it runs). Without one its checks are left out and one warning says so.
    """
    subject = Subject(settings, ask or _console(settings))
    results = [_run(check, subject) for check in checks]
    if subject.ask is None:
        results.append(
            warning(
                Looked.RUNNING_ASTERISK,
                Machine.NOT_RUNNING,
                Mend.START_ASTERISK,
            )
        )
    else:
        results += [_run(check, subject) for check in running_checks]
    return results


def _run(check: Check, subject: Subject) -> CheckResult:
    try:
        return check(subject)
    except Exception as error:
        # One broken check must not hide the others; the text may hold personal data.
        name = check.__name__.replace("_", " ")
        return fault(
            name,
            Machine.CHECK_FAILED.say(error=type(error).__name__),
            Mend.REPORT,
        )


def _console(settings: Settings) -> Callable[[str], str] | None:
    """The console of this installation's Asterisk, None when it does not answer."""
    folder = product_folder(settings)
    if not (folder / "etc/asterisk.conf").is_file():
        return None
    try:
        binary = find_asterisk(named=settings.asterisk, cache=settings.cache_dir)
        if binary is None:
            return None
        instance = AsteriskInstance(binary, folder)
        instance.rx("core show uptime")
    except (AsteriskNotFound, InstanceError):
        return None
    return instance.rx
