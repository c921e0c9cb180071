"""Whether the process behind a loopback port is well: exit status 0 or 1, for Docker.

``healthcheck.py PORT`` asks ``/health``; ``healthcheck.py --open PORT`` only whether somebody
listens. The standard library alone: it must answer quickly and on any image.
"""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request

SECONDS = 4


def main(arguments: list[str]) -> int:
    """0 when well; otherwise 1, with the reason on standard error."""
    *flags, port = arguments
    try:
        if flags == ["--open"]:
            socket.create_connection(("127.0.0.1", int(port)), SECONDS).close()
        else:
            urllib.request.urlopen(f"http://127.0.0.1:{int(port)}/health", timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            sys.stderr.write(error.read(2000).decode(errors="replace"))
        return 1
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
