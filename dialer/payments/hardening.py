"""A process out of which no memory gets: not dumpable, no core files, no handler that prints.

Linux: ``prctl(PR_SET_DUMPABLE, 0)`` keeps other processes of the same user from reading its
memory and keeps the kernel from writing a core file; a limit of 0 keeps it from trying.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal

PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4


class NotHardened(Exception):
    """This process could be made to show its memory; no card may come into it."""


def harden_process() -> None:
    """Make this process and those that it forks unreadable. Raises NotHardened."""
    faulthandler.disable()
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _prctl(PR_SET_DUMPABLE, 0)
    except (OSError, ValueError, AttributeError) as error:
        raise NotHardened(
            f"this system does not let a process hide its memory ({type(error).__name__}): cards"
            " are taken on Linux only, where prctl(PR_SET_DUMPABLE) is allowed"
        ) from None
    reason = what_shows()
    if reason is not None:
        raise NotHardened(reason)


def what_shows() -> str | None:
    """Why this process is not hardened, as read back from the kernel; None: it is."""
    try:
        dumpable = _prctl(PR_GET_DUMPABLE)
    except (OSError, AttributeError) as error:
        return f"whether the memory is hidden cannot be told ({type(error).__name__})"
    if dumpable != 0:
        return "the process is dumpable: its memory can be read and written to a core file"
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        return "core files are not switched off (RLIMIT_CORE)"
    if faulthandler.is_enabled():
        return "faulthandler is on: it would print where a card is held"
    return None


def die_with_parent(parent: int) -> None:
    """End this process with SIGKILL when the thread that forked it ends.

    ``parent`` is the parent's pid before the fork; where it is gone already, this ends now.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int = 0) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
