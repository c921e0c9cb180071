"""Mail through the company's own mail server.

What is known of a message matters more here than how it is sent: until the server has said 354 to
DATA nothing of it has left; after the final dot, and before the server's answer, nobody knows. So
the caller is told (``leaving``) just before the text leaves, and an answer that does not come is
``unknown``, never tried again by itself (RFC 1047).
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

from dialer.config import Settings
from dialer.domain.sending_says import Unmailed
from dialer.messaging.base import TransportError

SECONDS = 30.0
"""The longest silence of the server (RFC 5321, 4.5.3.2, allows more: minutes)."""
_DOT = re.compile(rb"(?m)^\.")


class NotSetUp(Exception):
    """No mail server is set."""


def send_mail(
    settings: Settings,
    message: EmailMessage,
    leaving: Callable[[], bool] = lambda: True,
    seconds: float = SECONDS,
) -> str:
    """Hand a message with one ``To`` to the server; what it said when it took it.

    ``leaving``: asked once, before the text leaves; False keeps it here. Raises NotSetUp, and
    TransportError: ``unknown`` where the server may have it, ``permanent`` where it does not want
    it.
    """
    if not settings.smtp_host:
        raise NotSetUp(Unmailed.NOT_SET_UP.say())
    try:
        server = _connected(settings, seconds)
    except (smtplib.SMTPException, OSError) as error:
        raise TransportError(_said(error)) from error
    try:
        return _handed_over(server, settings, message, leaving)
    finally:
        _goodbye(server)


def _connected(settings: Settings, seconds: float) -> smtplib.SMTP:
    """A server that knows who we are."""
    host, port = settings.smtp_host, settings.smtp_port
    if settings.smtp_security == "tls":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=seconds)
    try:
        if settings.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_secret)
    except (smtplib.SMTPException, OSError):
        server.close()
        raise
    return server


def _handed_over(
    server: smtplib.SMTP,
    settings: Settings,
    message: EmailMessage,
    leaving: Callable[[], bool],
) -> str:
    try:
        server.ehlo_or_helo_if_needed()
        _must(server.mail(settings.smtp_sender), 250)
        _must(server.rcpt(str(message["To"])), 250, 251)
        _must(server.docmd("DATA"), 354)
    except (smtplib.SMTPException, OSError) as error:
        raise TransportError(_said(error)) from error
    if not leaving():
        raise TransportError(Unmailed.ANOTHER_WORKER.say())
    text = _DOT.sub(b"..", message.as_bytes(policy=SMTP_POLICY))
    try:
        server.send(text if text.endswith(b"\r\n") else text + b"\r\n")
        server.send(b".\r\n")
        code, said = server.getreply()
    except (smtplib.SMTPException, OSError) as error:
        raise TransportError(_said(error), unknown=True) from error
    _must((code, said), 250)
    return f"{code} {said.decode('ascii', 'replace')}"


def _must(answer: tuple[int, bytes], *wanted: int) -> None:
    """Raises TransportError for another answer: 5xx is for ever (RFC 5321, 4.2.1)."""
    code, said = answer
    if code not in wanted:
        text = said.decode("ascii", "replace")
        raise TransportError(
            Unmailed.ANSWERED.say(code=code, text=text)[:200], permanent=code >= 500
        )


def _said(error: Exception) -> str:
    """What went wrong, without the password."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
        what = Unmailed.PASSWORD if error.smtp_code == 535 else Unmailed.SAID
        return what.say(code=error.smtp_code, text=text)[:200]
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return Unmailed.SILENT.say()
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Unmailed.CANNOT.say(what=error)[:200]
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Unmailed.HUNG_UP.say()
    return Unmailed.NOT_REACHED.say(error=type(error).__name__)


def _goodbye(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()
