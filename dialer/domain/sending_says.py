"""Why a webhook or a report by e-mail was not taken, each with its code.

What came of a try is kept as its English sentence; ``dialer.domain.said.heard`` finds the code
again.
"""

from __future__ import annotations

from dialer.domain.said import Code


class Undelivered(Code):
    """Of webhooks."""

    LIKE_A_URL = "write an address like https://crm.example.com/hooks"
    HTTPS_ONLY = "only https is taken"
    THIS_MACHINE = "that is this machine itself"
    NO_PORT = "that is no port"
    NO_USER = "no user, password or fragment can be in it"
    BY_NAME = "write the address of the machine by its name"
    WITHIN = "that is an address within a network, which is not reached from here"
    ANSWERED = "answered %(status)s"
    TAKEN_AWAY = "the webhook was taken away"
    # What the client raises is kept by its name.
    NOT_REACHED = "ConnectError"
    SLOW_TO_CONNECT = "ConnectTimeout"
    SILENT = "ReadTimeout"
    HUNG_UP = "RemoteProtocolError"
    UNKNOWN_HOST = "gaierror"


class Unmailed(Code):
    """Of reports by e-mail."""

    NOT_SET_UP = "no mail server is set: DIALER_SMTP_HOST"
    NOT_MADE = "the report could not be made (%(error)s)"
    ANOTHER_WORKER = "another worker has it"
    PASSWORD = "the password was refused: %(code)s %(text)s"  # noqa: S105 - a sentence
    SAID = "the server said: %(code)s %(text)s"
    ANSWERED = "the server said %(code)s %(text)s"
    SILENT = "the server was silent for too long"
    CANNOT = "the server cannot: %(what)s"
    HUNG_UP = "the server hung up"
    NOT_REACHED = "the server was not reached (%(error)s)"
    TAKEN_AWAY = "the report was taken away"
    NO_ANSWER_KEPT = "no answer was kept after the text had left"
