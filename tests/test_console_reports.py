"""Reports: what is counted, for whom, and the files."""

from __future__ import annotations

import csv
import io
import itertools
import re
import zlib
from base64 import a85decode
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from fixtures_site import Site
from sqlalchemy import insert, select, update
from world import NOW, World

from dialer.domain.keeping import Kept, kept
from dialer.domain.model import Disposition, Money, StepKind
from dialer.store import console_reports as figures
from dialer.store import tables as t
from dialer.store import users
from dialer.store.console_reports import Span
from dialer.store.fallback_effect import effect
from web.console import report_tables
from web.console.report_files import pdf, workbook
from web.console.report_model import Between, Share, Table, plain

MADRID = ZoneInfo("Europe/Madrid")
DAY = "from=2026-03-16&to=2026-03-16"  # of NOW, which is 12:00 in Madrid
_numbers = itertools.count(1)
A = Disposition.ANSWERED_ABANDONED.value


def span(**more: Any) -> Span:
    """The day of NOW, in Madrid."""
    begins = datetime(2026, 3, 16, tzinfo=MADRID)
    return Span(begins, begins + timedelta(days=1), MADRID, **more)


class Past(World):
    """A campaign that has called."""

    def row(self, table: Any, **values: Any) -> Any:
        """Written; its key."""
        with self.engine.begin() as c:
            key = c.execute(insert(table).values(values)).inserted_primary_key
        assert key is not None
        return key[0]

    def call(self, lead: int, disposition: str, at: datetime = NOW, **more: Any) -> str:
        """A call that is over; its id."""
        number = f"{next(_numbers):032x}"
        with self.engine.connect() as c:
            one = c.execute(select(t.lead).where(t.lead.c.id == lead)).one()
            phone = c.scalar(select(t.phone.c.id).where(t.phone.c.debtor_id == one.debtor_id))
        values = {
            "id": number, "campaign_id": self.campaign_id, "lead_id": lead,
            "debtor_id": one.debtor_id, "phone_id": phone, "number": "+34600000001",
            "caller_id": "+34910000000", "trunk": "carrier", "node": "node1", "flow": "reminder",
            "state": "ended", "placed_at": at, "ended_at": at + timedelta(seconds=20),
            "answered_at": at + timedelta(seconds=5) if disposition == A else None,
            "disposition": disposition, **more,
        }  # fmt: skip
        return str(self.row(t.attempt, **values))

    def paid(self, lead: int, minor: int, at: datetime, source: str = "call", **more: Any) -> str:
        """A payment that was approved; its id."""
        with self.engine.connect() as c:
            account = c.scalar(select(t.lead.c.account_id).where(t.lead.c.id == lead))
        number = f"{next(_numbers):032x}"
        values = {
            "id": number, "order_ref": number[-12:], "company_id": self.company_id,
            "account_id": account, "source": source, "gateway": "test", "mode": "charge",
            "amount_minor": minor, "currency": "EUR", "state": "approved", "created_at": at,
            "send_before": at, "provider_ref": "x", **more,
        }  # fmt: skip
        return str(self.row(t.payment, **values))

    def step(self, attempt: str, kind: StepKind, number: int = 0, **more: Any) -> None:
        """A step of the fallback after a call."""
        self.row(t.fallback, attempt_id=attempt, step=number, kind=kind.value, at=NOW, **more)


@pytest.fixture
def past(site: Site) -> Past:
    """A campaign of acme."""
    world = Past(site.engine, company="Made for it")
    with site.engine.begin() as c:
        for table in (t.campaign, t.caller_id_pool):
            c.execute(update(table).values(company_id=site.acme))
    world.company_id = site.acme
    return world


def later(**more: float) -> datetime:
    return NOW + timedelta(**more)


# --- counting --------------------------------------------------------------------------------


def test_calls_are_counted_by_the_hours_of_the_viewer(site: Site, past: Past) -> None:
    lead = past.lead()
    past.call(lead, "no_answer")
    past.call(lead, "promise", NOW + timedelta(hours=1, minutes=59))
    past.call(lead, "busy", datetime(2026, 3, 15, 22, 59, tzinfo=UTC))  # the day before there
    past.call(lead, "busy", datetime(2026, 3, 15, 23, 0, tzinfo=UTC))  # 0:00 there
    with site.engine.connect() as c:
        found = figures.calls(c, span(), [past.campaign_id])
        few = figures.calls(c, span(hours=(12, 13)), [past.campaign_id])
    assert sorted((one.hour.hour, one.disposition, one.count) for one in found) == [
        (0, "busy", 1), (12, "no_answer", 1), (13, "promise", 1)
    ]  # fmt: skip
    assert [(one.hour.hour, one.disposition) for one in few] == [(12, "no_answer")]


def test_what_each_fallback_brings(site: Site, past: Past) -> None:
    """A debtor counts once, by the first call; fruit is what follows within three days."""
    redialled, texted, left, both = (past.lead() for _ in range(4))
    first = past.call(redialled, A)
    again = past.call(redialled, "promise", later(minutes=1), follows=first, fallback_index=0)
    past.step(first, StepKind.REDIAL, made_attempt_id=again)
    past.paid(redialled, 2000, later(days=2))
    past.paid(redialled, 9999, later(days=4))  # too late to be its fruit
    past.paid(redialled, 500, later(minutes=-5))  # before it
    past.paid(redialled, 700, later(days=1), state="declined")
    past.call(redialled, A, later(hours=2))  # the same debtor again
    one = past.call(texted, A)
    past.step(one, StepKind.REDIAL, refused="daily_cap")
    past.step(one, StepKind.SMS, 1)
    past.call(texted, "busy", later(hours=1))
    two = past.call(left, A)
    past.step(two, StepKind.REDIAL, refused="daily_cap")
    past.call(left, "promise", later(days=5))  # too late
    three = past.call(both, A, later(hours=1))
    missed = past.call(both, "no_answer", later(hours=1, minutes=1), follows=three,
                       fallback_index=0)  # fmt: skip
    past.step(three, StepKind.REDIAL, made_attempt_id=missed)
    past.step(missed, StepKind.SMS, 1)
    with site.engine.connect() as c:
        found = effect(c, span(), [past.campaign_id])
    seen = {
        (one.kind, one.then, one.hour.hour): (
            one.debtors, one.contacted, one.paid, one.minor, one.squares
        )
        for one in found
    }  # fmt: skip
    assert seen == {
        ("redial", "", 12): (1, 1, 1, 2000, 4e6),
        ("sms", "", 12): (1, 0, 0, 0, 0.0),
        ("", "", 12): (1, 0, 0, 0, 0.0),
        ("redial", "sms", 13): (1, 0, 0, 0, 0.0),
    }
    page = site.client("super").get(f"/reports/figures?{DAY}").text
    assert "Send an SMS at once" in page
    assert "Nothing at once" in page
    assert "whiskers" in page
    rows = table_of(site, "effect")
    assert rows[0][5:7] == [
        "95% interval of contacted, from", "95% interval of contacted, to"
    ]  # fmt: skip
    assert [row[2] for row in rows[1:]] == ["1", "1", "1", "1"]
    assert float(rows[1][5]) == pytest.approx(0.2065, abs=1e-3)  # Wilson of 1 in 1


def test_promises_are_kept_in_time_and_by_what_stays(site: Site, past: Past) -> None:
    made = {"amount_minor": 5000, "currency": "EUR", "made_at": NOW, "due": date(2026, 3, 20)}
    leads = [past.lead() for _ in range(4)]
    for lead in leads:
        with site.engine.connect() as c:
            account = c.scalar(select(t.lead.c.account_id).where(t.lead.c.id == lead))
        past.row(t.promise, attempt_id=past.call(lead, "promise"), account_id=account, **made)
    whole, part, back, _none = leads
    past.paid(whole, 5000, datetime(2026, 3, 20, 22, 30, tzinfo=UTC))  # 23:30 in Madrid
    past.paid(part, 1000, later(days=1))
    past.paid(part, 4000, datetime(2026, 3, 20, 23, 30, tzinfo=UTC))  # the day after
    given = past.paid(back, 5000, later(days=1))
    past.row(
        t.refund, id="r" * 32, payment_id=given, kind="refund", amount_minor=5000, currency="EUR",
        state="done", reason="x", actor="t", created_at=later(days=2),
    )  # fmt: skip
    with site.engine.connect() as c:
        rows = figures.campaigns_of(c, span())
        over = figures.promises(c, span(), rows, later(days=30))["EUR"]
        early = figures.promises(c, span(), rows, later(days=2))["EUR"]
    assert {state: one.count for state, one in over.items()} == {
        Kept.KEPT: 1, Kept.PARTLY: 1, Kept.BROKEN: 2, Kept.OPEN: 0
    }  # fmt: skip
    assert over[Kept.BROKEN].minor == 10000
    # Nothing is lost before the day is over, and what was kept is kept.
    assert {state: one.count for state, one in early.items() if one.count} == {
        Kept.KEPT: 1, Kept.OPEN: 3
    }  # fmt: skip


def test_money_is_counted_by_currency_and_source(site: Site, past: Past) -> None:
    lead = past.lead()
    call = past.call(lead, "paid")
    first = past.paid(lead, 2000, NOW, attempt_id=call)
    past.paid(lead, 1000, NOW, source="link")
    past.paid(lead, 300, NOW, currency="USD", attempt_id=call)
    past.paid(lead, 999, NOW, state="declined")
    past.row(t.refund, id="a" * 32, payment_id=first, kind="refund", amount_minor=500,
             currency="EUR", state="done", reason="x", actor="t", created_at=NOW)  # fmt: skip
    with site.engine.connect() as c:
        found = figures.money(c, span(company_id=site.acme))
        of_campaign = figures.money(c, span(campaign_id=past.campaign_id))
        others = figures.money(c, span(company_id=site.other))
    euro = found["EUR"]
    assert (euro.call.minor, euro.link.minor, euro.refunds.minor) == (2000, 1000, 500)
    assert found["USD"].call.minor == 300
    assert of_campaign["EUR"].link.count == 0  # no call of the campaign made it
    assert others == {}


def test_agents_and_the_abandoned(site: Site, past: Past) -> None:
    lead = past.lead()
    for gone in (True, False, False):
        past.call(lead, "abandoned" if gone else "spoke", mode="predictive",
                  answered_at=NOW, abandoned_at=NOW if gone else None)  # fmt: skip
    with site.engine.connect() as c:
        agent = c.scalar(select(t.agent.c.id))
        debtor = c.scalar(select(t.debtor.c.id))
    past.row(
        t.agent_call, attempt_id=past.call(lead, "promise"), agent_id=agent, company_id=site.acme,
        debtor_id=debtor, campaign_id=past.campaign_id, kind="predictive", queued_at=NOW,
        joined_at=later(seconds=2), left_at=later(seconds=62), wrapped_at=later(seconds=72),
        result="served", disposition="promise",
    )  # fmt: skip
    with site.engine.connect() as c:
        found = figures.agents(c, span(company_id=site.acme))
        gone_ = figures.abandoned(c, span(), figures.campaigns_of(c, span()))
    assert [(a.name, a.calls, a.agreed, a.wait, a.talk, a.wrap) for a in found] == [
        ("Ana Ruiz", 1, 1, 2.0, 60.0, 10.0)
    ]
    assert [(a.answered, a.abandoned, a.limit) for a in gone_] == [(3, 1, 0.03)]
    page = site.client("super").get(f"/reports/figures?{DAY}").text
    assert "Over the limit" in page
    assert "Ana Ruiz" in page


def test_a_promise_by_itself() -> None:
    due = date(2026, 3, 20)
    ends = datetime(2026, 3, 21, tzinfo=MADRID)

    def state(*payments: tuple[datetime, int], now: datetime = ends) -> Kept:
        return kept(100, NOW, due, "Europe/Madrid", payments, now)

    assert state() is Kept.BROKEN
    assert state(now=ends - timedelta(seconds=1)) is Kept.OPEN
    assert state((NOW, 60), (NOW, 40)) is Kept.KEPT
    assert state((ends, 100)) is Kept.BROKEN
    assert state((NOW - timedelta(seconds=1), 100)) is Kept.BROKEN
    assert state((NOW, 1)) is Kept.PARTLY


# --- for whom, and the files -----------------------------------------------------------------


def table_of(site: Site, key: str, who: str = "super") -> list[list[str]]:
    """A table as CSV."""
    answer = site.client(who).get(f"/reports/{key}.csv?{DAY}")
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))


@pytest.mark.database("sqlite")
def test_a_part_of_the_page_counts_that_part_alone(
    site: Site, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.call(past.lead(), A)
    boss = site.client("super")
    shell = boss.get(f"/reports?{DAY}").text
    found = re.findall(r'hx-get="([^"]+)"', shell)
    assert len(found) == 3
    whole = boss.get(f"/reports/figures?{DAY}").text
    several = "".join(boss.get(one.replace("&amp;", "&")).text for one in found)
    tables = re.findall(r'id="t-([a-z-]+)"', whole)
    assert tables == re.findall(r'id="t-([a-z-]+)"', several)
    assert len(tables) == 10
    assert "part=" not in several

    def never(*_given: object) -> None:
        raise AssertionError("counted though nobody asked")

    monkeypatch.setattr(report_tables, "effect", never)
    monkeypatch.setattr(figures, "promises", never)
    assert boss.get(f"/reports/hours.csv?{DAY}").status_code == 200


@pytest.mark.database("sqlite")
def test_another_company_sees_nothing_of_it(site: Site, past: Past) -> None:
    past.call(past.lead(), "promise")
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(name="=Secreta"))
    own = site.client("super").get(f"/reports?campaign={past.campaign_id}&{DAY}").text
    assert "=Secreta" in own
    rival = site.client("rival")
    assert "Secreta" not in rival.get("/reports").text
    for path in ("", "/figures", "/outcomes.csv", "/report.xlsx", "/report.pdf"):
        assert rival.get(f"/reports{path}?campaign={past.campaign_id}").status_code == 404, path
    assert len(table_of(site, "outcomes", "rival")) == 1  # headings alone
    assert table_of(site, "outcomes")[1] == ["Promise to pay", "1", "1.0"]


@pytest.mark.database("sqlite")
def test_the_workbook_opens_and_runs_no_formula(site: Site, past: Past) -> None:
    past.call(past.lead(), "no_answer")
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(name="=1+1"))
    answer = site.client("super").get(f"/reports/report.xlsx?{DAY}&campaign={past.campaign_id}")
    book = openpyxl.load_workbook(io.BytesIO(answer.data))
    assert book["Report"]["B3"].value == "=1+1"
    assert book["Report"]["B3"].data_type == "s"
    sheet = book["How calls ended"]
    assert [cell.value for cell in sheet[2]] == ["No answer", 1, 1]
    assert sheet["C2"].number_format == "0.0%"
    with site.engine.connect() as c:
        noted = c.execute(select(t.audit).where(t.audit.c.action == "report.download")).one()
    assert noted.target == f"campaign:{past.campaign_id}"
    assert noted.after == {"file": "report.xlsx", "from": "2026-03-16", "to": "2026-03-16"}


def words_of(made: bytes) -> str:
    """What a PDF of ours shows, roughly: the strings of its streams."""
    found = b""
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", made, re.S):
        found += zlib.decompress(a85decode(b"<~" + stream.strip(), adobe=True))
    return b"".join(re.findall(rb"\((.*?)\) Tj", found)).decode("latin-1")


@pytest.mark.database("sqlite")
def test_the_pdf_has_pages_with_numbers_in_both_languages(site: Site, past: Past) -> None:
    past.call(past.lead(), "no_answer")
    boss = site.client("super")
    answer = boss.get(f"/reports/report.pdf?{DAY}")
    assert answer.data.startswith(b"%PDF-")
    said = words_of(answer.data)
    assert "How calls ended" in said
    assert re.search(r"Page 1 of \d", said)
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
    spanish = words_of(boss.get(f"/reports/report.pdf?{DAY}").data)
    assert re.search(r"P\\341gina 1 de \d", spanish)
    assert "Sin respuesta" in spanish or "No contesta" in spanish


@pytest.mark.database("sqlite")
def test_a_long_table_goes_on_over_pages_with_its_headings(site: Site) -> None:
    rows: list[Any] = [(f"Row <{n}> \N{SNOWMAN}", n, Share(0.5)) for n in range(200)]
    with site.app.test_request_context(headers={"Accept-Language": "en"}):
        made = pdf("T", [("a", "b")], [Table("k", "Long & wide", ("One", "Two", "Three"), rows)])
    said = words_of(made)
    assert said.count("Three") >= 4
    assert "Page 5 of " in said
    assert "Row <199> ?" in said


@pytest.mark.database("sqlite")
def test_cells_for_programs(site: Site) -> None:
    assert plain(Money(123456, "EUR")) == Decimal("1234.56")
    assert plain(Money(500, "CLP")) == 500
    assert plain(Share(None)) is None
    table = Table("k", "A/B: c?", ("One", "Two"), [
        ("a", Between(Share(0.1), Share(0.2))), ("b", Between(None, None))
    ])  # fmt: skip
    with site.app.test_request_context(headers={"Accept-Language": "en"}):
        flat = list(table.flat())
        assert flat[0] == ("One", "Two, from", "Two, to")
        assert flat[2] == ("b", None, None)
        book = openpyxl.load_workbook(io.BytesIO(workbook("T", [], [table])))
    assert book.sheetnames == ["Report", "A B  c "]


@pytest.mark.database("sqlite")
def test_filters_that_make_no_sense_are_forgiven(site: Site, past: Past) -> None:
    boss = site.client("super")
    for query in (
        "from=x&to=y", "from=2026-03-20&to=2026-03-01", "hour_from=20&hour_to=3", "campaign=x",
        "from=9999-12-31&to=9999-12-31", "from=0001-01-01", "hour_from=-4",
    ):  # fmt: skip
        assert boss.get(f"/reports?{query}").status_code == 200, query
        assert boss.get(f"/reports/figures?{query}").status_code == 200, query
    assert "Nothing to report yet" in site.client("rival").get("/reports").text
