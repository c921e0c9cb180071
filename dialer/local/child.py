"""``python child.py PARENT PROGRAM ARGUMENTS``: become the program, and die with the parent.

Run as a plain script, with nothing imported that takes time: Linux is asked to send SIGTERM to
this process when the process that started it is gone, however it went.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind to the parent, then exec; exit code 127 when the program is not there."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return  # it went before we asked
    try:
        os.execvp(program[0], program)
    except OSError as error:
        print(f"{program[0]} cannot be run: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
