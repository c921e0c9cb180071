"""What else the console can do, through the API: the look before a campaign, caller IDs, texts,
reports, recordings, the audit log, users."""

from __future__ import annotations

import io
import shutil
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_office import Program, key, program
from console_world import attempt, campaign, debtor, lead, past
from fixtures_site import Site, make_site
from sqlalchemy import Engine, func, select
from test_console_recordings import calls, record

from dialer.config import ROOT, Settings
from dialer.domain.api import Scope
from dialer.store import tables as t

NEW = {"name": "june", "flow": "reminder", "caller_ids": ["+34910000000", "+34910000001"]}


def trail(site: Site, action: str) -> list[Any]:
    """Who did it."""
    with site.engine.connect() as c:
        query = select(t.audit).where(t.audit.c.action == action).order_by(t.audit.c.id)
        return list(c.execute(query))


def count(site: Site, table: Any) -> int:
    with site.engine.connect() as c:
        return int(c.scalar(select(func.count()).select_from(table)) or 0)


# --- before a campaign ----------------------------------------------------------------------


def test_a_look_says_what_would_be_and_keeps_nothing(site: Site) -> None:
    crm = program(site, site.acme)
    for document in ("10000012A", "10000013B", "10000014C"):
        debtor(site, site.acme, document=document)
    debtor(site, site.other)
    looked = crm.post("/campaigns/look", NEW)
    seen = looked["outlook"]
    assert looked["plan"]["flow"] == "reminder" and seen["leads"] == seen["looked_at"] == 3
    groups = [seen[name] for name in ("now", "today", "week", "later", "never")]
    assert sum(groups) == 3 and seen["never"] < 3 and seen["soonest"] < seen["latest"]
    assert sum(seen["why"].values()) == 3 - seen["now"] and seen["calls"] >= 3
    empty = crm.post("/campaigns/look", {**NEW, "everybody": False})
    assert empty["outlook"] is None and empty["plan"] == looked["plan"]
    assert (
        count(site, t.campaign)
        == count(site, t.lead)
        == count(site, t.audit.alias())
        - len(trail(site, "api_key.create"))
        - len(trail(site, "user.create"))
        - len(trail(site, "agent.create"))
    )
    assert crm.post("/campaigns/look", {**NEW, "flow": "nothing"}, status=422)["errors"]
    past_time = {**NEW, "start_at": "2020-01-01T00:00:00Z"}
    wrong = crm.post("/campaigns/look", past_time, status=422)
    assert wrong["errors"][0]["field"] == "start_at"
    crm.post("/campaigns/look", {**NEW, "company": "Other"}, status=404)


@pytest.mark.database("sqlite")
def test_a_draft_starts_at_a_time_and_is_told_as_of_then(site: Site) -> None:
    crm = program(site, site.acme)
    made = crm.post("/campaigns", NEW, status=201)
    path = f"/campaigns/{made['id']}"
    assert crm.get(f"{path}/outlook")["outlook"] is None
    lead(site, debtor(site), made["id"])
    at = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    told = crm.post(f"{path}/schedule", {"start_at": at.isoformat()})
    assert datetime.fromisoformat(told["start_at"]) == at and told["state"] == "draft"
    assert datetime.fromisoformat(crm.get(f"{path}/outlook")["outlook"]["at"]) == at
    assert crm.post(f"{path}/schedule", {"start_at": None})["start_at"] is None
    gone = crm.post(f"{path}/schedule", {"start_at": "2020-01-01T00:00:00Z"}, status=409)
    assert "passed" in gone["detail"]
    naive = crm.post(f"{path}/schedule", {"start_at": "2030-01-01T00:00:00"}, status=422)
    assert naive["errors"][0]["field"] == "start_at"
    assert crm.post(f"{path}/mode", {"mode": "progressive"})["mode"] == "progressive"
    crm.post(f"{path}/mode", {"mode": "sideways"}, status=422)
    assert all(one.actor.startswith("api_key:") for one in trail(site, "campaign.schedule"))
    assert len(trail(site, "campaign.schedule")) == 2


# --- caller IDs -----------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_pools_get_numbers_and_let_them_rest(site: Site) -> None:
    crm = program(site, site.acme)
    body = {"name": " Madrid ", "numbers": ["910 000 010", "+34910000011", "+34910000010"]}
    headers = {"Idempotency-Key": "pool-1"}
    made = crm.post("/caller-id-pools", body, status=201, headers=headers)
    assert made["name"] == "Madrid" and made["numbers"] == ["+34910000010", "+34910000011"]
    assert crm.post("/caller-id-pools", body, status=201, headers=headers) == made
    assert crm.post("/caller-id-pools", body, status=409)["code"] == "not_possible"
    path = f"/caller-id-pools/{made['id']}"
    wrong = crm.post(f"{path}/add", {"numbers": ["+34910000012", "12"]}, status=422)
    assert [one["field"] for one in wrong["errors"]] == ["numbers.1"]
    assert "mobile" in str(crm.post(f"{path}/add", {"numbers": ["+34600100012"]}, status=422))
    assert len(crm.post(f"{path}/add", {"numbers": ["910000012"]})["numbers"]) == 3
    for number in ("+34910000010", "+34910000011"):
        left = crm.post(f"{path}/rest", {"number": number})["numbers"]
    assert left == ["+34910000012"]
    crm.post(f"{path}/rest", {"number": "+34910000010"}, status=409)
    crm.post(f"{path}/rest", {"number": "+34910000012"}, status=409)
    assert crm.all_of("/caller-id-pools", limit=1)[0]["numbers"] == left
    assert program(site, site.other).get("/caller-id-pools")["items"] == []
    assert trail(site, "pool.create")[0].actor.startswith("api_key:")


@pytest.mark.database("sqlite")
def test_how_a_number_does(site: Site) -> None:
    crm = program(site, site.acme)
    june = campaign(site, site.acme, "june")
    (pool,) = crm.get("/caller-id-pools")["items"]
    shown = "+34910000000"
    assert shown in pool["numbers"]
    one = lead(site, debtor(site), june)
    at = datetime.now(UTC) - timedelta(hours=1)
    attempt(site, one, "a1", at)
    attempt(site, one, "a2", at - timedelta(days=20))
    for days, calls_made in ((7, 1), (30, 2)):
        use = crm.get(f"/caller-id-pools/{pool['id']}/use", days=days)
        assert use["campaigns"] == ["june"]
        (number,) = (one for one in use["numbers"] if one["number"] == shown)
        assert (number["calls"], number["answered"]) == (calls_made, calls_made)
        assert number["health"] == "new" and number["share"] == 1.0


# --- texts ----------------------------------------------------------------------------------


@pytest.fixture
def own(database: Engine, redis_url: str, tmp_path: Path) -> Site:
    """A site with texts of its own."""
    flows = tmp_path / "flows"
    shutil.copytree(ROOT / "ivr_flows", flows)
    return make_site(Settings(home=tmp_path, redis_url=redis_url, flows_dir=flows), database)


@pytest.mark.database("sqlite")
def test_a_text_is_changed_by_who_sees_every_company_and_brought_back(own: Site) -> None:
    crm, path = Program(own, key(own, None)), "/texts/es/missed_call"
    before = crm.get(path)
    assert before in crm.all_of("/texts", limit=2, language="es") and before["faults"] == []
    new = {"source": "{{ company }}: llame al {{ callback }}\nBAJA o STOP", "mark": before["mark"]}

    def put(who: Program, body: Any, status: int) -> Any:
        answer = who.ask("PUT", path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json

    assert put(program(own, own.acme), new, 403)["code"] == "every_company"
    assert put(Program(own, key(own, None, maker=None)), new, 403)["code"] == "no_person"
    for source, lacks in (
        ("{{ company }}: {{ callback }}", "STOP"),
        ("{{ company }}: su deuda, {{ callback }} BAJA o STOP", "debt"),
        ("{{ 7 * 7 }}", "no"),
    ):
        wrong = put(crm, {**new, "source": source}, 422)["errors"][0]
        assert wrong["field"] == "source" and lacks in wrong["reason"]
    after = put(crm, new, 200)
    assert after["filled_in"].startswith("Empresa: llame al +34910") and after["segments"] == 1
    assert crm.get(path) == after
    assert "meanwhile" in put(crm, new, 409)["detail"]
    versions = crm.get(f"{path}/versions")["items"]
    assert [one["source"] for one in versions] == [new["source"], before["source"]]
    assert versions[0]["user_id"] == own.ids["admin"] and versions[1]["user_id"] is None
    back = put(crm, {"source": versions[1]["source"], "mark": after["mark"]}, 200)
    assert back == before
    assert trail(own, "text.change")[0].actor.startswith("api_key:")
    for nothing in ("/texts/fr/missed_call", "/texts/es/nothing", "/texts/es/..%2f..%2fx"):
        assert crm.ask("GET", nothing).status_code == 404


# --- reports --------------------------------------------------------------------------------


def test_the_figures_are_those_that_were_counted(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    past(site, june, debtors=30, attempts=200)
    with site.engine.connect() as c:
        query = select(func.min(t.attempt.c.placed_at), func.max(t.attempt.c.placed_at))
        first, last = c.execute(query).one()
        ended = c.scalar(select(func.count()).where(t.attempt.c.disposition.is_not(None))) or 0
    days = {
        "first": (first - timedelta(days=1)).date().isoformat(),
        "last": (last + timedelta(days=1)).date().isoformat(),
    }
    whole = crm.get("/reports", **days)
    found = whole["calls"]
    assert whole["timezone"] == "Europe/Madrid" and whole["money"] is None
    assert sum(found["outcomes"].values()) == ended > 100
    for part in ("days", "hours"):
        assert sum(one["calls"] for one in found[part]) == ended
        assert all(one["talked"] <= one["answered"] <= one["calls"] for one in found[part])
    morning = crm.get("/reports", **days, hour_from=0, hour_to=12)["calls"]
    assert {one["hour"] for one in morning["hours"]} == {
        one["hour"] for one in found["hours"] if one["hour"] < 12
    }
    money = crm.get("/reports", **days, part="money", campaign_id=june)["money"]
    assert sum(one["count"] for one in money["promises"]) == count(site, t.promise) > 0
    assert {one["currency"] for one in money["money"]} == {"EUR"}
    fruits = crm.get("/reports", **days, part="effect")["effect"]
    assert fruits and all(one["contacted"] <= one["debtors"] for one in fruits)
    rival = program(site, site.other)
    assert rival.get("/reports", **days)["calls"]["outcomes"] == {}
    assert rival.ask("GET", f"/reports?campaign_id={june}").status_code == 404
    for wrong in ("hour_from=9&hour_to=9", "timezone=Mars", "first=2026-02-02&last=2026-02-01"):
        assert crm.ask("GET", f"/reports?{wrong}").status_code == 422, wrong


@pytest.mark.database("sqlite")
def test_reports_by_mail_are_set_up_paused_and_taken_away(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    body = {"addresses": ["boss@example.com"], "every": "week", "campaign_id": june, "hour": 9}
    made = crm.post("/reports/by-mail", body, status=201)
    assert (made["timezone"], made["owner_id"]) == ("Europe/Madrid", site.ids["admin"])
    assert made["company_id"] == site.acme and made["paused_at"] is None
    path = f"/reports/by-mail/{made['id']}"
    assert crm.post(f"{path}/pause")["paused_at"] is not None
    crm.post(f"{path}/pause")
    assert len(trail(site, "report_mail.pause")) == 1, "what was paused is not paused again"
    assert crm.post(f"{path}/resume")["paused_at"] is None
    assert crm.get(path) == crm.all_of("/reports/by-mail", limit=1)[0]
    assert crm.get(f"{path}/sendings")["items"] == []
    wrong: dict[str, Any]
    for wrong in ({"addresses": ["no address"]}, {"addresses": []}, {"hour_from": 9, "hour_to": 9}):
        crm.post("/reports/by-mail", {**body, **wrong}, status=422)
    program(site, site.other).post("/reports/by-mail", body, status=404)
    nobody = Program(site, key(site, site.acme, maker=None))
    assert nobody.post("/reports/by-mail", body, status=403)["code"] == "no_person"
    assert crm.ask("DELETE", path).status_code == 200
    assert crm.ask("GET", path).status_code == 404 and crm.get("/reports/by-mail")["items"] == []
    assert all(one.actor.startswith("api_key:") for one in trail(site, "report_mail.create"))


# --- recordings, the audit log, users ---------------------------------------------------------


def test_recordings_are_found_and_fetched_on_record(site: Site) -> None:
    made = calls(site)
    for name in ("a1", "a3"):
        record(site.settings, name)
    crm = program(site, site.acme)
    found = crm.all_of("/recordings", limit=1)
    assert [one["attempt_id"] for one in found] == ["a3", "a1"]
    assert crm.get("/recordings", campaign_id=made)["items"] == found
    with crm.ask("GET", "/recordings/a1") as answer:
        assert answer.mimetype == "audio/wav" and answer.headers["RateLimit-Limit"]
        with wave.open(io.BytesIO(answer.data)) as sound:
            assert sound.getnframes() == 800
    assert [one.target for one in trail(site, "recording.play")] == ["attempt:a1"]
    for nothing in ("a2", "none", "..%2fa1"):
        assert crm.ask("GET", f"/recordings/{nothing}").status_code == 404
    rival = program(site, site.other)
    assert rival.get("/recordings")["items"] == []
    assert rival.ask("GET", "/recordings/a1").status_code == 404
    assert rival.ask("GET", f"/recordings?campaign_id={made}").status_code == 404
    assert len(trail(site, "recording.play")) == 1
    assert crm.get("/recordings", since="2020-01-01T00:00:00Z", until="2020-01-02T00:00:00Z") == {
        "items": [], "next": None,
    }  # fmt: skip


def test_the_audit_log_is_read_page_by_page(site: Site) -> None:
    crm, admin = program(site, site.acme), program(site)
    made = crm.post("/campaigns", NEW, status=201)
    crm.post(f"/campaigns/{made['id']}/schedule", {"start_at": None})
    own = crm.all_of("/audit", limit=2)
    assert len(own) == len({one["id"] for one in own}) >= 3
    assert own[0]["action"] == "campaign.schedule" and own[0]["target_name"] == "june"
    of_campaign = crm.all_of("/audit", target=f"campaign:{made['id']}", action="campaign.")
    assert {one["action"] for one in of_campaign} == {"campaign.create", "campaign.schedule"}
    assert crm.get("/audit", until="2020-01-01T00:00:00Z")["items"] == []
    assert len(admin.all_of("/audit")) > len(own)
    assert admin.all_of("/audit", company_id=site.acme) == own
    assert crm.ask("GET", f"/audit?company_id={site.other}").status_code == 404
    assert "june" not in str(program(site, site.other).all_of("/audit"))


@pytest.mark.database("sqlite")
def test_users_are_seen_and_not_made(site: Site) -> None:
    own = program(site, site.acme).all_of("/users", limit=1)
    assert {one["email"] for one in own} == {"super@example.com", "agent@example.com"}
    assert not {"password_hash", "has_password"} & set(own[0])
    assert len(program(site).all_of("/users", limit=2)) == len(site.ids)
    assert program(site).ask("POST", "/users", json={}).status_code == 405
    assert program(site, site.acme, Scope.AUDIT_READ).ask("GET", "/users").status_code == 403
