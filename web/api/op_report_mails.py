"""Reports by e-mail: who gets which, and what became of each message."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from sqlalchemy import Row

from dialer.domain.api import Scope
from dialer.domain.mail import MOST_ADDRESSES, SendingState, addresses_of
from dialer.domain.recurring import Every
from dialer.store import report_mails
from web.api.paging import cursor_of, keys_of
from web.api.person import maker_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of, company_of, not_found
from web.api.shapes import Answer, Done, Given, Id, Page, Paged, fields_of
from web.problems import invalid_fields


class Format(StrEnum):
    """As which file."""

    PDF = "pdf"
    XLSX = "xlsx"
    CSV = "csv"  # a file for each table


class Language(StrEnum):
    """Of what is said in it."""

    ES = "es"
    EN = "en"


class NewReportMail(Given):
    """``every``: `day` is of the day before, `week` on Mondays of the seven days before, `month` on
    the first of the month before. ``hour``: of the company's zone. ``campaign_id``: null: all."""

    addresses: list[Annotated[str, StringConstraints(min_length=3, max_length=254)]] = Field(
        min_length=1, max_length=MOST_ADDRESSES
    )
    every: Every = Every.DAY
    hour: int = Field(7, ge=0, le=23)
    format: Format = Format.PDF
    language: Language = Language.ES
    hour_from: int = Field(0, ge=0, le=23, description="Calls that begin from here on.")
    hour_to: int = Field(24, ge=1, le=24, description="And before this.")
    campaign_id: Id | None = None
    company_id: Id | None = None


class ReportMail(Answer):
    """A report that is sent by itself. ``paused_at``: null: it is sent."""

    id: int
    company_id: int | None
    campaign_id: int | None
    owner_id: int
    addresses: list[str]
    every: Every
    hour: int
    timezone: str
    format: Format
    language: str
    hour_from: int
    hour_to: int
    next_at: datetime
    paused_at: datetime | None
    created_at: datetime


class ReportMailPage(Page[ReportMail]):
    """Reports by e-mail, the newest first."""


class Sending(Answer):
    """A message. `handed`: its text has left, and the mail server's answer is not known."""

    id: int
    address: str
    first_day: date
    last_day: date
    state: SendingState
    tries: int
    error: str | None
    created_at: datetime
    sent_at: datetime | None


class SendingPage(Page[Sending]):
    """Messages, the newest first."""


@operation(
    "GET", "/reports/by-mail", Scope.REPORTS_WRITE, ReportMailPage, "Reports by e-mail", query=Paged
)
def list_report_mails(ask: Asked) -> ReportMailPage:
    """Those of the company, or all of them."""
    below = keys_of(ask.query.cursor, int)
    rows = report_mails.of_company(
        ask.connection, ask.token.company_id, below[0] if below else None, ask.query.limit + 1
    )
    kept = rows[: ask.query.limit]
    return ReportMailPage(
        items=[_told(row) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


@operation(
    "POST",
    "/reports/by-mail",
    Scope.REPORTS_WRITE,
    ReportMail,
    "Send a report by e-mail",
    body=NewReportMail,
    status=201,
    example={"addresses": ["boss@example.com"], "every": "week", "format": "xlsx"},
)
def create_report_mail(ask: Asked) -> ReportMail:
    """From its next time on. It belongs to who made the key: it is paused when they may not log in
    any more."""
    given: NewReportMail = ask.body
    company_id, zone = _whose(ask, given)
    owner = maker_of(ask, company_id)
    if given.hour_from >= given.hour_to:
        raise invalid_fields([("hour_to", "later than hour_from")])
    good, bad = addresses_of("\n".join(given.addresses))
    if bad or not good:
        raise invalid_fields([("addresses", "one of them is no address")])
    wanted = report_mails.Wanted(
        company_id=company_id, campaign_id=given.campaign_id, owner_id=owner.user_id,
        hours=(given.hour_from, given.hour_to), format=given.format.value, every=given.every,
        hour=given.hour, timezone=zone, language=given.language.value, addresses=good,
        actor=ask.actor,
    )  # fmt: skip
    return _told(_found(ask, report_mails.create(ask.connection, wanted, ask.now)))


@operation(
    "GET", "/reports/by-mail/{mail_id}", Scope.REPORTS_WRITE, ReportMail, "One report by e-mail"
)
def get_report_mail(ask: Asked, mail_id: int) -> ReportMail:
    """As it stands."""
    return _told(_found(ask, mail_id))


@operation(
    "GET",
    "/reports/by-mail/{mail_id}/sendings",
    Scope.REPORTS_WRITE,
    SendingPage,
    "What became of its messages",
)
def list_sendings(ask: Asked, mail_id: int) -> SendingPage:
    """The newest fifty, in one page."""
    rows = report_mails.sendings(ask.connection, _found(ask, mail_id).id)
    return SendingPage(items=[Sending(**fields_of(row, Sending)) for row in rows], next=None)


@operation(
    "POST", "/reports/by-mail/{mail_id}/pause", Scope.REPORTS_WRITE, ReportMail, "Pause a report"
)
def pause_report_mail(ask: Asked, mail_id: int) -> ReportMail:
    """Nothing more is sent until it goes on."""
    if _found(ask, mail_id).paused_at is None:
        report_mails.pause(ask.connection, mail_id, ask.actor, ask.now)
    return _told(_found(ask, mail_id))


@operation(
    "POST", "/reports/by-mail/{mail_id}/resume", Scope.REPORTS_WRITE, ReportMail, "Go on with it"
)
def resume_report_mail(ask: Asked, mail_id: int) -> ReportMail:
    """From its next time on; what fell into the pause is not made up for."""
    row = _found(ask, mail_id)
    if row.paused_at is not None:
        report_mails.resume(ask.connection, row, ask.actor, ask.now)
    return _told(_found(ask, mail_id))


@operation("DELETE", "/reports/by-mail/{mail_id}", Scope.REPORTS_WRITE, Done, "Take a report away")
def remove_report_mail(ask: Asked, mail_id: int) -> Done:
    """Nothing is sent any more, also of what waits. The console can bring it back."""
    report_mails.remove(ask.connection, _found(ask, mail_id).id, ask.actor, ask.now)
    return Done()


def _whose(ask: Asked, given: NewReportMail) -> tuple[int | None, str]:
    """The company (None: all of them) and the zone. Raises Problem: 404, 422."""
    wanted = given.company_id
    if given.campaign_id is not None:
        owner = int(campaign_of(ask, given.campaign_id).company_id)
        if wanted not in (None, owner):
            raise not_found("campaign of that company")
        wanted = owner
    if wanted is None and ask.token.company_id is None:
        return None, "UTC"
    row = company_of(ask, wanted)
    return int(row.id), str(row.timezone)


def _found(ask: Asked, mail_id: int) -> Row[Any]:
    row = report_mails.find(ask.connection, mail_id)
    if row is None or not ask.token.sees(row.company_id):
        raise not_found("report")
    return row


def _told(row: Row[Any]) -> ReportMail:
    return ReportMail(**fields_of(row, ReportMail))
