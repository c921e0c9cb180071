"""Four eyes for a campaign that is looser than its country's rules: what is looser, who asks, who
grants, and that nothing starts before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from api_office import new_lead, program
from console_world import AT, debtor, lead, put
from fixtures_messaging import wait_until
from fixtures_site import Client, Site, make_user
from sqlalchemy import select, update
from world import NOW, POOL, SPANISH, plan

from dialer.domain.access import Role
from dialer.domain.looser import Looser, Rule, looser, window_text
from dialer.domain.model import CampaignPlan, DayWindow
from dialer.store import campaigns, policy_approvals
from dialer.store import tables as t
from dialer.store.campaign_file import parse_window
from dialer.store.campaigns import SCHEDULE, Action
from dialer.store.companies import NotPossible
from dialer.store.plans import plan_json
from dialer.store.policy_approvals import NeedsApproval, preset_of

SPAIN = preset_of("ES", NOW.date())
REASON = "A court has set the hours of this one"


def rules(**changes: Any) -> CampaignPlan:
    return plan(rules=replace(SPANISH, **changes))


def terms(**changes: Any) -> CampaignPlan:
    usual = plan(rules=SPANISH)
    return replace(usual, agents=replace(usual.agents, **changes))


# --- what is looser -------------------------------------------------------------------------


def test_what_a_country_has_is_no_looser_than_itself() -> None:
    assert looser(plan(rules=SPANISH), SPAIN) == ()


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (rules(max_per_day=5), Looser(Rule.MAX_PER_DAY, "5", "4")),
        (rules(max_per_week=8), Looser(Rule.MAX_PER_WEEK, "8", "7")),
        (
            rules(window=(*SPANISH.window, DayWindow(5, time(10), time(10, 1)))),
            Looser(
                Rule.WINDOW, "mon-fri 09:00-21:00, sat 10:00-10:01", "mon-fri 09:00-21:00"
            ),
        ),
        (rules(holidays=SPANISH.holidays - {date(2026, 12, 25)}), Looser(Rule.HOLIDAYS, "1", "0")),
        (terms(hold=2.5), Looser(Rule.HOLD, "2.5", "2")),
        (terms(max_abandoned=0.05), Looser(Rule.MAX_ABANDONED, "0.05", "0.03")),
        (terms(ring_min=14.0), Looser(Rule.RING_MIN, "14", "15")),
        (terms(lock_out_hours=0.0), Looser(Rule.LOCK_OUT, "0", "72")),
    ],
)  # fmt: skip
def test_each_rule_that_is_loosened_is_found_alone(one: CampaignPlan, found: Looser) -> None:
    assert looser(one, SPAIN) == (found,)


def test_what_is_stricter_needs_nobody() -> None:
    strict = rules(
        window=(DayWindow(0, time(10), time(11)),), max_per_day=1, max_per_week=1,
        holidays=SPANISH.holidays | {date(2026, 5, 2)},
    )  # fmt: skip
    one = replace(
        strict, agents=replace(strict.agents, hold=1.0, max_abandoned=0.01, ring_min=20.0)
    )
    assert looser(one, SPAIN) == ()


def test_holidays_of_before_it_was_made_are_no_matter() -> None:
    later = preset_of("ES", date(2026, 12, 26))
    assert date(2026, 12, 25) not in later.days_off and date(2027, 12, 25) in later.days_off


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("mon-fri 09:00-21:00", "mon-fri 09:00-21:00"),
        ("mon-sun 00:00-24:00", "mon-sun 00:00-24:00"),
        ("mon,wed 14:00-24:00", "mon 14:00-24:00, wed 14:00-24:00"),
        ("fri-mon 10:00-14:00", "mon 10:00-14:00, fri-sun 10:00-14:00"),
    ],
)
def test_a_window_is_written_as_it_is_read(text: str, again: str) -> None:
    window = parse_window([text])
    assert window_text(window) == again
    assert parse_window(again.split(", ")) == window


# --- in the browser -------------------------------------------------------------------------


def draft(site: Site, **changes: Any) -> int:
    """A draft of acme's with somebody to call; looser unless told otherwise."""
    pool = put(site, t.caller_id_pool, company_id=site.acme, name="pool")
    for number in POOL:
        put(site, t.caller_id, pool_id=pool, number=number)
    one = rules(**{"max_per_day": 6, **changes})
    made = put(
        site, t.campaign, company_id=site.acme, name="june", state="draft", pool_id=pool,
        created_at=AT, plan=plan_json(replace(one, name="june")),
    )  # fmt: skip
    lead(site, debtor(site), made)
    return int(made)


def state(site: Site) -> str:
    with site.engine.connect() as c:
        return str(c.scalar(select(t.campaign.c.state)))


def second(site: Site) -> Client:
    site.ids["second"] = make_user(site.engine, "second", Role.SUPERVISOR, site.acme)
    return site.client("second")


def request_id(site: Site) -> int:
    with site.engine.connect() as c:
        return int(c.scalar(select(t.approval.c.id).order_by(t.approval.c.id.desc())) or 0)


def test_one_asks_another_grants_and_then_it_starts(site: Site) -> None:
    made, boss, other = draft(site), site.client("super"), second(site)
    path = f"/campaigns/{made}"
    page = boss.get(path).text
    assert "Calls and messages a day: 6, where 4 is usual" in page
    assert 'form="do-start"' not in page, "nothing to press in vain"
    boss.post(f"{path}/start")
    assert state(site) == "draft"
    assert "somebody else to grant it" in boss.get(path).text
    boss.post(f"{path}/ask-approval", {"reason": REASON})
    page = boss.get(path).text
    assert "Super Example has asked for it" in page and "Ask for approval" not in page
    waits = other.get("/approvals").text
    assert REASON in waits and "june" in waits and "6, where 4 is usual" in waits
    grant = f"/approvals/{request_id(site)}/grant"
    boss.post(grant)
    assert "Who asked does not decide" in boss.get("/approvals").text
    boss.post(f"{path}/start")
    assert state(site) == "draft"
    other.post(grant)
    assert "The campaign can be started" in other.get("/approvals").text
    wait_until(lambda: 'form="do-start"' in boss.get(path).text)
    boss.post(f"{path}/start")
    assert state(site) == "running"
    assert "Super Example asked for it and Second Example granted it" in boss.get(path).text
    told = boss.get("/audit?action=campaign.start").text
    for name in ("super", "second"):
        assert f"{name.title()} Example (user:{site.ids[name]})" in told
    with site.engine.connect() as c:
        trail = {row.action: row for row in c.execute(select(t.audit).order_by(t.audit.c.id))}
    asked, granted, started = (
        trail[f"{one}"] for one in ("approval.ask", "approval.grant", "campaign.start")
    )
    assert asked.actor == f"user:{site.ids['super']}"
    assert granted.actor == f"user:{site.ids['second']}"
    assert asked.company_id == granted.company_id == started.company_id == site.acme
    assert started.after == {
        "state": "running", "looser": ["max_per_day"], "approval": request_id(site),
        "asked_by": f"user:{site.ids['super']}", "granted_by": f"user:{site.ids['second']}",
    }  # fmt: skip


def test_what_is_refused_or_taken_back_starts_nothing_and_may_be_asked_again(site: Site) -> None:
    made, boss, other = draft(site), site.client("super"), second(site)
    path = f"/campaigns/{made}"
    for decide, client in (("refuse", other), ("withdraw", boss)):
        boss.post(f"{path}/ask-approval", {"reason": REASON})
        client.post(f"/approvals/{request_id(site)}/{decide}")
        boss.post(f"{path}/start")
        assert state(site) == "draft", decide
        assert "Ask for approval" in boss.get(path).text
    with site.engine.connect() as c:
        states = [row.state for row in c.execute(select(t.approval).order_by(t.approval.c.id))]
    assert states == ["refused", "withdrawn"]


@pytest.mark.database("sqlite")
def test_a_reason_is_a_sentence_and_one_request_waits_at_a_time(site: Site) -> None:
    path = f"/campaigns/{draft(site)}"
    boss = site.client("super")
    boss.post(f"{path}/ask-approval", {"reason": " why? "})
    assert "Say why, in a sentence" in boss.get(path).text
    assert request_id(site) == 0
    boss.post(f"{path}/ask-approval", {"reason": REASON})
    first = request_id(site)
    boss.post(f"{path}/ask-approval", {"reason": REASON})
    assert "asked for already" in boss.get(path).text
    assert request_id(site) == first > 0


@pytest.mark.database("sqlite")
def test_what_was_granted_is_those_rules_and_no_others(site: Site) -> None:
    made, boss, other = draft(site), site.client("super"), second(site)
    boss.post(f"/campaigns/{made}/ask-approval", {"reason": REASON})
    other.post(f"/approvals/{request_id(site)}/grant")
    looser_still = plan_json(replace(rules(max_per_day=9), name="june"))
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(plan=looser_still))
    boss.post(f"/campaigns/{made}/start")
    assert state(site) == "draft"
    assert "9, where 4 is usual" in boss.get(f"/campaigns/{made}").text


@pytest.mark.database("sqlite")
def test_within_the_rules_nobody_is_asked(site: Site) -> None:
    made, boss = draft(site, max_per_day=4), site.client("super")
    page = boss.get(f"/campaigns/{made}").text
    assert "Looser than" not in page
    boss.post(f"/campaigns/{made}/ask-approval", {"reason": REASON})
    assert request_id(site) == 0
    boss.post(f"/campaigns/{made}/start")
    assert state(site) == "running"
    with site.engine.connect() as c:
        row = c.execute(select(t.audit).where(t.audit.c.action == "campaign.start")).one()
    assert row.after == {"state": "running"}


@pytest.mark.database("sqlite")
def test_every_rule_is_said_in_words(site: Site) -> None:
    made = draft(site, window=parse_window(["mon-sun 00:00-24:00"]), holidays=frozenset())
    with site.engine.begin() as c:
        loose = replace(
            rules(max_per_day=6, max_per_week=9, holidays=frozenset(),
                  window=parse_window(["mon-sun 00:00-24:00"])),
            name="june", agents=terms(hold=3.0, max_abandoned=0.1, ring_min=5.0,
                                      lock_out_hours=1.0).agents,
        )  # fmt: skip
        c.execute(update(t.campaign).values(plan=plan_json(loose)))
    page = site.client("super").get(f"/campaigns/{made}").text
    for words in (
        "Hours: Mon–Sun 00:00–24:00, where Mon–Fri 09:00–21:00 is usual", "public holidays",
        "a day: 6, where 4", "seven days: 9, where 7", "waits for an agent: 3, where 2",
        "without an agent: 10, where 3", "rings at least: 5, where 15", "abandoned: 1, where 72",
    ):  # fmt: skip
        assert words in page


# --- elsewhere ------------------------------------------------------------------------------


def test_a_program_is_told_what_stands_in_the_way_and_what_to_do(site: Site) -> None:
    crm = program(site, site.acme)
    made = crm.post(
        "/campaigns",
        {"name": "june", "flow": "reminder", "caller_ids": list(POOL), "max_per_day": 6},
        status=201,
    )
    path = f"/campaigns/{made['id']}"
    crm.post(f"{path}/leads", {"items": [new_lead()]})
    refused = crm.post(f"{path}/start", status=409)
    assert refused["code"] == "needs_approval"
    assert f"{site.settings.web_url}{path}" in refused["detail"]
    assert refused["errors"] == [
        {"field": "max_per_day", "reason": "6 is looser than 4, which is the rule for ES"}
    ]
    site.client("super").post(f"{path}/ask-approval", {"reason": REASON})
    assert "under Approvals" in crm.post(f"{path}/start", status=409)["detail"]
    second(site).post(f"/approvals/{request_id(site)}/grant")
    assert crm.post(f"{path}/start")["state"] == "running"


def test_its_time_alone_does_not_start_it(site: Site) -> None:
    made, due = draft(site), AT + timedelta(hours=1)
    with site.engine.begin() as c:
        campaigns.schedule(c, "june", due, "ana", AT)
        assert campaigns.start_due(c, due) == []
        user = site.ids["super"]
        approval = policy_approvals.ask(c, made, REASON, user, AT)
    second(site).post(f"/approvals/{approval}/grant")
    with site.engine.begin() as c:
        assert campaigns.start_due(c, due) == ["june"]
        row = c.execute(select(t.audit).where(t.audit.c.action == "campaign.start")).one()
    assert (row.actor, row.after["approval"]) == (SCHEDULE, approval)


def test_who_has_the_machine_starts_it_alone_and_the_audit_says_so(site: Site) -> None:
    draft(site)

    def start(now: datetime, **how: Any) -> Any:
        with site.engine.begin() as c:
            return campaigns.change_state(c, "june", Action.START, "root", now, **how)

    with pytest.raises(NeedsApproval, match="max_per_day"):
        start(AT)
    start(AT, alone=True)
    with site.engine.connect() as c:
        row = c.execute(select(t.audit).where(t.audit.c.action == "campaign.start")).one()
    assert row.after["looser"] == ["max_per_day"] and row.after["approval"] is None


def test_two_who_ask_at_once_ask_once(site: Site) -> None:
    made, user = draft(site), site.ids["super"]
    together = threading.Barrier(2, timeout=10)

    def ask(_n: int) -> bool:
        together.wait()
        try:
            with site.engine.begin() as c:
                policy_approvals.ask(c, made, REASON, user, AT)
        except NotPossible:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ask, range(2))) == [False, True]
