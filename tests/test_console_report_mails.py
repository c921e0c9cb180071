"""Reports by e-mail in the browser: set up, tested, paused, taken away and brought back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from console_world import campaign
from fixtures_site import Client, Site
from mail_server import MailServer
from sqlalchemy import select, update

from dialer.config import Settings
from dialer.store import tables as t
from web.console.report_mail import ReportMailer

PAGE = "/reports/by-mail"
FORM = {"campaign": "", "hour_from": "0", "hour_to": "24", "every": "week", "hour": "8",
        "format": "xlsx", "addresses": "ana@example.org\njefe@example.org"}  # fmt: skip


def mails(site: Site) -> list[Any]:
    with site.engine.connect() as c:
        return list(c.execute(select(t.report_mail).order_by(t.report_mail.c.id)))


def set_up(client: Client, **changes: str) -> str:
    answer = client.post(PAGE, FORM | changes)
    assert answer.status_code == 302, answer.text
    return str(answer.location)


def test_it_is_set_up_tested_paused_deleted_and_brought_back(site: Site) -> None:
    client = site.client("super")
    assert "No report is sent by e-mail" in client.get(PAGE).text
    assert "DIALER_SMTP_HOST" in client.get(PAGE).text, "no mail server is set"
    path = set_up(client)
    (row,) = mails(site)
    assert (row.company_id, row.timezone, row.every) == (site.acme, "Europe/Madrid", "week")
    assert row.addresses == ["ana@example.org", "jefe@example.org"] and row.language == "en"
    client.post(f"{path}/test")
    page = client.get(path).text
    assert "The test waits: no mail server is set." in page
    with MailServer() as server:
        there = Settings(
            home=site.settings.home, smtp_host="127.0.0.1", smtp_port=server.port,
            smtp_security="none",
        )  # fmt: skip
        assert ReportMailer(there, site.engine).sweep() == 2
        assert [one.to for one in server.got] == [["ana@example.org"], ["jefe@example.org"]]
        assert server.got[0].message["Subject"].startswith("Report: All campaigns")
    page = client.get(path).text
    assert "The mail server has it" in page and "taken as 42" in page
    assert "ana@example.org and 1 more" in client.get(PAGE).text
    client.post(f"{path}/pause")
    assert "Paused" in client.get(path).text
    client.post(f"{path}/resume")
    assert mails(site)[0].paused_at is None
    gone = client.post(f"{path}/remove").location
    assert client.get(path).status_code == 404
    assert "Bring it back" in client.get(gone).text
    client.post(f"{path}/restore")
    assert "It is back, paused." in client.get(path).text
    assert client.post(f"{path}/restore").status_code == 404, "it is there already"
    with site.engine.connect() as c:
        trail = c.execute(
            select(t.audit.c.action, t.audit.c.target, t.audit.c.company_id).where(
                t.audit.c.action.like("report_mail%")
            )
        ).all()
    assert [row.action.partition(".")[2] for row in trail] == [
        "create", "pause", "resume", "remove", "restore",
    ]  # fmt: skip
    assert {row.company_id for row in trail} == {site.acme}


@pytest.mark.database("sqlite")
def test_what_is_wrong_is_said_in_its_place_and_nothing_is_set_up(site: Site) -> None:
    client = site.client("super")
    for changes, said in (
        ({"addresses": "nobody"}, "That is no address: nobody"),
        ({"addresses": " "}, "Write one address at least."),
        ({"addresses": " ".join(f"a{n}@b.es" for n in range(21))}, "20 addresses at most."),
        ({"hour_from": "9", "hour_to": "9"}, "Later than the first hour."),
        ({"format": "doc"}, "Choose one of the list."),
        ({"every": "minute"}, "Choose one of the list."),
    ):
        answer = client.post(PAGE, FORM | changes)
        assert answer.status_code == 422 and said in answer.text, changes
    theirs = campaign(site, site.other)
    assert client.post(PAGE, FORM | {"campaign": str(theirs)}).status_code == 404
    assert mails(site) == []


@pytest.mark.database("sqlite")
def test_another_company_s_is_not_there_and_an_auditor_only_reads(site: Site) -> None:
    path = set_up(site.client("super"))
    rival, auditor = site.client("rival"), site.client("auditor")
    assert rival.get(path).status_code == 404 and "ana@" not in rival.get(PAGE).text
    for what in ("test", "pause", "resume", "remove", "restore", "sendings/1/again"):
        assert rival.post(f"{path}/{what}").status_code == 404
        assert auditor.post(f"{path}/{what}").status_code == 403
    assert "jefe@example.org" in auditor.get(path).text
    assert "Send a test" not in auditor.get(path).text
    assert auditor.get(f"{PAGE}/new").status_code == 403
    assert [row.removed_at for row in mails(site)] == [None]


@pytest.mark.database("sqlite")
def test_an_administrator_of_all_sends_that_of_one_campaign_in_its_company_s_time(
    site: Site,
) -> None:
    with site.engine.begin() as c:
        c.execute(
            update(t.company).where(t.company.c.id == site.other).values(timezone="America/Bogota")
        )
    client = site.client("admin")
    set_up(client, campaign=str(campaign(site, site.other)))
    set_up(client)
    one, every = mails(site)
    assert (one.company_id, one.timezone) == (site.other, "America/Bogota")
    assert (every.company_id, every.timezone) == (None, "Europe/Madrid")
    assert "ana@" in site.client("rival").get(PAGE).text, "it is about their company"


@pytest.mark.database("sqlite")
def test_what_failed_is_sent_again_by_a_person(site: Site) -> None:
    client = site.client("super")
    path = set_up(client)
    client.post(f"{path}/test")
    with site.engine.begin() as c:
        c.execute(update(t.report_sending).values(state="handed", tries=1, error="hung up"))
        ids = c.execute(select(t.report_sending.c.id)).scalars().all()
    page = client.get(path).text
    assert page.count("May have arrived") == 2 and "hung up" in page
    client.post(f"{path}/sendings/{ids[0]}/again")
    client.post(f"{path}/sendings/{ids[0]}/again")
    assert "nothing to send again" in client.get(path).text
    with site.engine.connect() as c:
        rows = c.execute(select(t.report_sending).order_by(t.report_sending.c.id)).all()
    assert [(row.state, row.tries) for row in rows] == [("pending", 0), ("handed", 1)]
    assert rows[0].next_at <= datetime.now(UTC)
