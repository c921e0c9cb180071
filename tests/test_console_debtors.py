"""Debtors' pages: found without a trace in addresses, one line of time, stopped and allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from console_world import AT, attempt, campaign, debtor, lead, past, put
from fixtures_site import Client, Site
from sqlalchemy import func, insert, select, update

from dialer.store import debtor_history, debtor_view
from dialer.store import tables as t
from dialer.store.timeline import EntryKind
from web.console.debtor_contact import LATER, NEVER, NOW, standings


def find(client: Client, words: str) -> str:
    """The page that a search leads to."""
    answer = client.post("/debtors/search", {"words": words})
    assert answer.status_code == 302
    place = answer.headers["Location"]
    assert words not in place
    assert re.fullmatch(r"/debtors\?search=[\w-]+", place)
    return client.get(place).text


def test_found_by_what_is_at_hand(site: Site) -> None:
    one = debtor(site)
    debtor(site, document="20000012B", name="Ana Ruiz")
    debtor(site, site.other, name="Anastasia Sol")
    boss = site.client("super")
    for words in ("10000012a", "10.000.012-A", f"R-{one}", "Ana L", "ana lópez", "ANA LÓPEZ"):
        page = find(boss, words)
        assert f"/debtors/{one}" in page, words
        assert "Ana Ruiz" not in page, words
    assert "***12A" in page
    assert "10000012A" not in page  # lists show the end of a document only
    both = find(boss, "600 10 00 12")
    assert "Ana López" in both
    assert "Ana Ruiz" in both
    assert "Anastasia" not in find(boss, "Ana")
    assert "Anastasia" in find(site.client("auditor"), "Ana")
    assert "Nobody was found" in find(boss, "R-unknown")
    assert "Nobody was found" in find(boss, "%a")


@pytest.mark.database("sqlite")
def test_a_search_is_of_whoever_searched(site: Site) -> None:
    debtor(site)
    place = site.client("super").post("/debtors/search", {"words": "Ana"}).headers["Location"]
    assert "Ana" not in site.client("auditor").get(place).text.replace("Ana Ruiz", "")
    assert site.client("super").post("/debtors/search", {"words": "a"}).headers["Location"] == (
        "/debtors"
    )


def everything(site: Site) -> int:
    """A debtor with an entry of each kind."""
    one = debtor(site)
    made = campaign(site, site.acme)
    of = lead(site, one, made)
    with site.engine.connect() as c:
        account = c.scalar(select(t.account.c.id).where(t.account.c.debtor_id == one))
        agent = c.scalar(select(t.agent.c.id))
    first = attempt(
        site, of, "a1", AT, disposition="answered_abandoned", hung_up_by_debtor=True,
        last_prompt="greeting", last_node="greeting",
    )  # fmt: skip
    second = attempt(
        site, of, "a2", AT + timedelta(seconds=5), disposition="promise", keys="12",
        identity_confirmed=True, last_prompt="promised", last_node="promised", follows=first,
    )  # fmt: skip
    text = put(
        site, t.message, company_id=site.acme, debtor_id=one, campaign_id=made, key="k",
        channel="sms", number="+34600100012", template="missed_call", body="https://pay.test/x",
        state="delivered", created_at=AT + timedelta(hours=1), updated_at=AT,
    )  # fmt: skip
    put(
        site, t.fallback, attempt_id=first, step=0, kind="redial", refused="no_caller_id", at=AT,
    )  # fmt: skip
    put(
        site, t.fallback, attempt_id=first, step=1, kind="sms", at=AT, latency_ms=812.4,
        made_message_id=text,
    )  # fmt: skip
    put(
        site, t.promise, account_id=account, attempt_id=second, due=date(2026, 3, 30),
        amount_minor=123456, currency="EUR", made_at=AT + timedelta(minutes=1),
    )  # fmt: skip
    put(
        site, t.payment, id="p1", order_ref="o1", company_id=site.acme, account_id=account,
        source="link", gateway="redsys", mode="charge", amount_minor=5000, currency="EUR",
        state="approved", brand="visa", last_four="1111", send_before=AT,
        created_at=AT + timedelta(days=1),
    )  # fmt: skip
    put(
        site, t.refund, id="r1", payment_id="p1", kind="refund", amount_minor=1000,
        currency="EUR", state="done", reason="x", actor="test", created_at=AT + timedelta(days=2),
    )  # fmt: skip
    put(
        site, t.callback, company_id=site.acme, debtor_id=one, account_id=account,
        agent_id=agent, due_at=AT + timedelta(days=4), state="due", note="after six", made_by="x",
        created_at=AT + timedelta(days=3),
    )  # fmt: skip
    put(
        site, t.suppression, company_id=site.acme, number="+34600100012", reason="keypad",
        source="attempt:a2", at=AT + timedelta(days=5),
    )  # fmt: skip
    put(
        site, t.agent_call, attempt_id=second, company_id=site.acme, debtor_id=one,
        campaign_id=made, agent_id=agent, kind="escalation", queued_at=AT,
        joined_at=AT + timedelta(seconds=10), left_at=AT + timedelta(seconds=70),
        result="served", disposition="promise", notes="Pays on Friday",
    )  # fmt: skip
    return one


def test_one_line_of_time(site: Site) -> None:
    """Everything is there, the newest first, and what belongs to a call stands with it."""
    one = everything(site)
    with site.engine.connect() as c:
        entries = debtor_history.history(c, one).entries
    assert [entry.kind for entry in entries] == [
        EntryKind.OPT_OUT, EntryKind.CALLBACK, EntryKind.REFUND, EntryKind.PAYMENT,
        EntryKind.MESSAGE, EntryKind.PROMISE, EntryKind.CALL, EntryKind.CALL,
    ]  # fmt: skip
    second, first = entries[6:]
    assert [step.refused for step in first.fallbacks] == ["no_caller_id", None]
    assert [talk.notes for talk in second.talks] == ["Pays on Friday"]
    page = site.client("super").get(f"/debtors/{one}").text
    for words in (
        "Answered and hung up", "No number left to call from that they have not seen",
        "812 ms after hanging up", "Ana Ruiz", "Pays on Friday", "identity confirmed",
        "€1,234.56", "…1111", "By keypad in a call", "missed_call", "after six", "Given back",
        "Atlantic/Canary", "12:00:00 +0100", "11:00:00 +0000",
    ):  # fmt: skip
        assert words in page, words
    assert "pay.test" not in page


@pytest.mark.database("sqlite")
def test_in_spanish(site: Site) -> None:
    one = everything(site)
    with site.engine.begin() as c:
        c.execute(update(t.app_user).values(language="es"))
    page = site.client("super").get(f"/debtors/{one}").text
    assert "Contestó y colgó" in page
    assert "1.234,56" in page


def test_pages_lose_nothing(site: Site) -> None:
    """Also where several entries are of one moment, right at the end of a page."""
    one = debtor(site)
    of = lead(site, one, campaign(site, site.acme))
    for n in range(9):
        attempt(site, of, f"a{n}", AT + timedelta(minutes=n // 3))
    seen: list[str] = []
    with site.engine.connect() as c:
        before, pages = None, 0
        while True:
            page = debtor_history.history(c, one, before, 2)
            seen += [entry.row.id for entry in page.entries]
            pages += 1
            if page.older is None:
                break
            before = page.older
    assert sorted(seen) == [f"a{n}" for n in range(9)]
    assert pages == 3
    older = site.client("super").get(f"/debtors/{one}?before={AT.isoformat().replace('+', '%2B')}")
    assert "Nothing yet" in older.text
    assert site.client("super").get(f"/debtors/{one}?before=x").status_code == 404


def test_may_they_be_called(site: Site) -> None:
    """Now, later with the moment, or never with the reason: as the engine decides it."""
    one = debtor(site)
    made = campaign(site, site.acme)
    of = lead(site, one, made)

    def now() -> tuple[str, str, datetime | None, bool]:
        with site.engine.connect() as c:
            found = standings(c, debtor_view.leads(c, one), AT)[0]
        return found.when, found.why, found.at, found.retry

    assert now() == (NOW, "", None, False)
    set_lead = update(t.lead).where(t.lead.c.id == of)
    with site.engine.begin() as c:
        c.execute(set_lead.values(next_at=AT + timedelta(hours=2)))
    assert now() == (LATER, "", AT + timedelta(hours=2), True)
    with site.engine.begin() as c:
        c.execute(set_lead.values(next_at=AT))
        c.execute(
            insert(t.contact),
            [
                {
                    "company_id": site.acme, "debtor_id": one, "channel": "voice",
                    "at": AT - timedelta(minutes=n + 1), "source": f"attempt:{n}",
                }
                for n in range(10)
            ],
        )  # fmt: skip
    when, why, at, _ = now()
    assert (when, why) == (LATER, "daily_cap")
    assert at == datetime(2026, 3, 17, tzinfo=UTC)  # midnight in the Canaries
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(state="paused"))
    assert now()[:2] == (LATER, "campaign_not_running")
    with site.engine.begin() as c:
        c.execute(set_lead.values(state="done", closed_reason="attempts_exhausted"))
    assert now()[:2] == (NEVER, "attempts_exhausted")
    assert "All attempts used" in site.client("super").get(f"/debtors/{one}").text


def test_stopped_and_allowed_again(site: Site) -> None:
    one = debtor(site)
    boss = site.client("super")
    assert "Do not contact" in boss.get(f"/debtors/{one}").text
    assert boss.post(f"/debtors/{one}/stop").status_code == 302
    page = boss.get(f"/debtors/{one}").text
    assert "Do not call" in page
    assert "Allow contact again" in page
    with site.engine.connect() as c:
        assert c.scalar(select(t.suppression.c.number)) == "+34600100012"
        assert c.scalar(select(t.debtor.c.opted_out_at)) is not None
    assert boss.post(f"/debtors/{one}/allow").status_code == 302
    with site.engine.connect() as c:
        assert c.scalar(select(func.count()).select_from(t.suppression)) == 0
        assert c.scalar(select(t.debtor.c.opted_out_at)) is None
        rows = c.execute(select(t.audit).where(t.audit.c.actor == f"user:{site.ids['super']}"))
        done = [(row.action, str(row.before) + str(row.after)) for row in rows]
    assert [action for action, _ in done if action != "user.log_in"] == [
        "dnc.add", "debtor.stop_contact", "dnc.remove", "debtor.allow_contact"
    ]  # fmt: skip
    assert not any("600100012" in said for _, said in done)


@pytest.mark.database("sqlite")
def test_an_auditor_is_offered_nothing_to_change(site: Site) -> None:
    one = debtor(site)
    assert "Do not contact" in site.client("super").get(f"/debtors/{one}").text
    assert "Do not contact" not in site.client("auditor").get(f"/debtors/{one}").text


def _ids(site: Site) -> Iterator[int]:
    with site.engine.connect() as c:
        yield from c.execute(select(t.debtor.c.id).order_by(t.debtor.c.id).limit(15)).scalars()


def test_every_debtor_of_a_believable_past(site: Site) -> None:
    past(site, campaign(site, site.acme))
    boss = site.client("super")
    for one in _ids(site):
        assert boss.get(f"/debtors/{one}").status_code == 200
