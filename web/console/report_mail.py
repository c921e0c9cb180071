"""Reports by e-mail as the worker makes and sends them: the same tables as the page has."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g
from sqlalchemy import Connection, Engine, Row

from dialer.config import Settings
from dialer.domain.access import Role, Viewer
from dialer.domain.mail import SendingState
from dialer.domain.sending_says import Unmailed
from dialer.logs import get_logger
from dialer.messaging.base import TransportError
from dialer.messaging.smtp import NotSetUp, send_mail
from dialer.store import report_mails
from dialer.store.console_reports import Span
from dialer.store.report_mails import Sending
from web.console.downloads import csv_lines
from web.console.report_effect import hour_name
from web.console.report_files import pdf, workbook
from web.console.report_model import Table, plain
from web.console.report_tables import tables
from web.ui import formats
from web.ui.words import gettext as _

log = get_logger(__name__)

FORMATS = ("pdf", "xlsx", "csv")
XLSX = ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet")
LATE = timedelta(minutes=30)

Attached = tuple[str, tuple[str, str], bytes]
"""Name, kind, content."""


class ReportMailer:
    """Makes the messages whose time has come, and sends them, one after another."""

    def __init__(self, settings: Settings, database: Engine, seconds: float = 30.0) -> None:
        self._settings = settings
        self._database = database
        self._seconds = seconds
        self._pages = Flask("dialer-reports")  # words and formats are those of a request
        self._one = threading.Lock()
        self._told = False

    def sweep(self, stop: Callable[[], bool] = lambda: False) -> int:
        """What is due; how many messages were tried."""
        with self._one:
            now = datetime.now(UTC)
            with self._database.begin() as connection:
                report_mails.make_due(connection, now)
            with self._reading() as connection:
                ids = report_mails.due(connection, now)
            if ids and not self._settings.smtp_host:
                if not self._told:
                    log.error("reports_wait", count=len(ids), error="DIALER_SMTP_HOST is not set")
                self._told = True
                return 0
            tried = 0
            for sending_id in ids:
                if stop():
                    break
                try:
                    tried += self._send(sending_id)
                except Exception:
                    log.exception("report left aside", sending=sending_id)
            return tried

    def check(self) -> str | None:
        """For the health page."""
        with self._reading() as connection:
            late = report_mails.late(connection, datetime.now(UTC) - LATE)
        return f"{late} reports by e-mail are late" if late else None

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._database.connect().execution_options(dialer_readonly=True)

    def _send(self, sending_id: int) -> bool:
        with self._database.begin() as connection:
            one = report_mails.claim(connection, sending_id, datetime.now(UTC))
        if one is None:
            return False
        try:
            message = self._message(one)
        except Exception as error:
            # The figures could not be read: the message waits, and what went wrong is in the log.
            self._failed(one, Unmailed.NOT_MADE.say(error=type(error).__name__), False)
            raise
        try:
            receipt = send_mail(
                self._settings, message, leaving=lambda: self._leaves(one), seconds=self._seconds
            )
        except NotSetUp as error:
            self._failed(one, str(error), False)
        except TransportError as error:
            if error.unknown:
                with self._database.begin() as connection:
                    report_mails.lost(connection, one, error.reason)
                log.warning("report_may_have_left", sending=one.id, error=error.reason)
            else:
                self._failed(one, error.reason, error.permanent)
        else:
            with self._database.begin() as connection:
                report_mails.sent(connection, one, receipt, datetime.now(UTC))
            log.info("report_sent", sending=one.id, tries=one.tries)
        return True

    def _leaves(self, one: Sending) -> bool:
        with self._database.begin() as connection:
            return report_mails.hand_over(connection, one)

    def _failed(self, one: Sending, error: str, permanent: bool) -> None:
        with self._database.begin() as connection:
            state = report_mails.failed(
                connection, one, error, datetime.now(UTC), permanent=permanent
            )
        level = log.error if state is SendingState.FAILED else log.warning
        level("report_not_sent", sending=one.id, tries=one.tries, error=error)

    def _message(self, one: Sending) -> EmailMessage:
        with self._pages.app_context():
            g.language = one.of.language
            g.viewer = _reader(one.of)
            with self._reading() as connection:
                return message_of(self._settings, connection, one, datetime.now(UTC))


def _reader(of: Row[Any]) -> Viewer:
    """As whom the report is made: it shows what its company may see, in its zone."""
    return Viewer(
        user_id=of.owner_id, name="", email="", role=Role.AUDITOR, company_id=of.company_id,
        language=of.language, timezone=of.timezone,
    )  # fmt: skip


def message_of(
    settings: Settings, connection: Connection, one: Sending, now: datetime
) -> EmailMessage:
    """The whole message, in the language of the request."""
    of, zone = one.of, ZoneInfo(one.of.timezone)
    since = datetime(one.first.year, one.first.month, one.first.day, tzinfo=zone)
    last = one.last + timedelta(days=1)
    until = datetime(last.year, last.month, last.day, tzinfo=zone)
    span = Span(since, until, zone, of.company_id, of.campaign_id, (of.hour_from, of.hour_to))
    about = [
        (_("Campaign"), of.campaign or _("All campaigns")),
        (_("Days"), f"{formats.date_of(one.first)} – {formats.date_of(one.last)}"),
        (_("Hours"), f"{hour_name(of.hour_from)} – {hour_name(of.hour_to)}"),
        (_("Time zone"), of.timezone),
        (_("Made"), formats.moment_of(now)),
    ]
    message = EmailMessage()
    message["Subject"] = _("Report: %(campaign)s, %(days)s", campaign=about[0][1], days=about[1][1])
    message["From"] = settings.smtp_sender
    message["To"] = one.address
    message["Date"] = format_datetime(now)
    # The same for every try: whoever gets it twice after all can tell.
    domain = settings.smtp_sender.rpartition("@")[2] or "localhost"
    known = hashlib.sha256(one.key.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{known}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    lines = [f"{name}: {value}" for name, value in about]
    page = f"{settings.web_url}/reports/by-mail/{of.id}"
    lines += ["", _("Whoever manages this report finds it here: %(address)s", address=page)]
    message.set_content("\n".join(lines) + "\n")
    made = tables(connection, span, now)
    for name, (kind, sort), content in files(of.format, about, made):
        message.add_attachment(content, maintype=kind, subtype=sort, filename=name)
    return message


def files(wanted: str, about: Sequence[tuple[str, str]], made: Sequence[Table]) -> list[Attached]:
    """The report in a format: one file, or one for each table."""
    if wanted == "xlsx":
        return [("report.xlsx", XLSX, workbook(_("Report"), about, made))]
    if wanted == "pdf":
        return [("report.pdf", ("application", "pdf"), pdf(_("Report"), about, made))]
    return [
        (
            f"{table.key}.csv",
            ("text", "csv"),
            "".join(csv_lines([[plain(cell) for cell in row] for row in table.flat()])).encode(),
        )
        for table in made
    ]
