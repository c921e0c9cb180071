"""What programs do through the API: push, start, watch, stop, fetch; mistakes say what they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from api_office import Program, key, new_lead, program
from console_world import AT, attempt, campaign, debtor, lead, past, put
from fixtures_site import Site
from sqlalchemy import func, select, update

from dialer.domain.api import Scope
from dialer.store import tables as t
from web.api import openapi
from web.api.registry import OPERATIONS
from web.api.routes import PREFIX


def count(site: Site, table: Any) -> int:
    with site.engine.connect() as c:
        return int(c.scalar(select(func.count()).select_from(table)) or 0)


# --- leads ----------------------------------------------------------------------------------


def test_leads_are_pushed_started_watched_and_stopped(site: Site) -> None:
    crm = program(site, site.acme)
    made = crm.post(
        "/campaigns",
        {"name": "june", "flow": "reminder", "caller_ids": ["+34910000000", "+34910000001"]},
        status=201,
    )
    assert (made["state"], made["company"], made["leads"]) == ("draft", "Acme", 0)
    path = f"/campaigns/{made['id']}"
    refused = crm.post(f"{path}/start", status=409)
    assert refused["code"] == "not_possible" and "no lead to call" in refused["detail"]
    pushed = crm.post(f"{path}/leads", {"items": [new_lead(), new_lead(reference="R-2")]})
    assert (pushed["accepted"], pushed["rejected"], pushed["leads"]) == (2, 0, 2)
    assert crm.post(f"{path}/start")["state"] == "running"
    live = crm.get(f"{path}/live")
    assert live["leads"] == {"waiting": 2, "claimed": 0, "done": 0}
    assert set(live["calls"]) == {"created", "dialling", "ringing", "answered"}
    assert crm.post(f"{path}/pause")["state"] == "paused"
    assert "paused" in " ".join(crm.get(f"{path}/why")["reasons"])
    assert crm.post(f"{path}/resume")["state"] == "running"
    assert crm.post(f"{path}/stop")["state"] == "stopped"
    late = crm.post(f"{path}/leads", {"items": [new_lead()]}, status=409)
    assert "stopped" in late["detail"]
    crm.post(f"{path}/leads/all", status=409)
    with site.engine.connect() as c:
        actors = set(c.execute(select(t.audit.c.actor)).scalars())
    assert any(actor.startswith("api_key:") for actor in actors)
    copied = crm.post(f"{path}/copy", {"name": "july"}, status=201)
    assert copied["state"] == "draft" and copied["flow"] == "reminder"
    assert crm.post(f"{path}/copy", {"name": "july"}, status=409)["code"] == "not_possible"
    assert [one["name"] for one in crm.get("/campaigns")["items"]] == ["july", "june"]
    assert [one["name"] for one in crm.get("/campaigns", state="draft")["items"]] == ["july"]


@pytest.mark.database("sqlite")
def test_every_account_of_the_company_becomes_a_lead(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    debtor(site, site.acme)
    debtor(site, site.other)
    assert crm.post(f"/campaigns/{june}/leads/all")["leads"] == 1
    assert crm.post(f"/campaigns/{june}/leads/all")["leads"] == 0


def test_each_lead_is_judged_by_itself(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    sent = [
        new_lead(),
        new_lead(reference="R-2", phones=["12"], name=""),
        new_lead(reference="R-3", due="31/02/2026"),
        new_lead(reference="R-4", amount_minor=0),
        new_lead(reference="R-5", currency="EURO?"),
        new_lead(reference="R-6", name="=HYPERLINK(1)"),
        new_lead(reference="R-7", phones=["600100013", "no number"]),
        new_lead(reference="R-8", amount_minor=1),
        new_lead(reference="R-8", amount_minor=2),
        new_lead(reference="R-9", amount_minor=5, currency="JPY", country="US"),
    ]
    told = crm.post(f"/campaigns/{june}/leads", {"items": sent})
    assert [one["index"] for one in told["items"]] == list(range(10))
    accepted = [one["index"] for one in told["items"] if one["result"] == "new"]
    assert accepted == [0, 6]
    assert {one["result"] for one in told["items"] if one["index"] not in accepted} == {"rejected"}
    assert len(told["items"][1]["reasons"]) == 2, "all that is wrong at once"
    assert "more than once" in told["items"][7]["reasons"][0]
    assert told["items"][6]["cautions"]
    assert told["accepted"] == told["leads"] == 2
    again = crm.post(f"/campaigns/{june}/leads", {"items": sent[:1]})
    assert again["items"][0]["result"] == "unchanged" and again["leads"] == 0
    with site.engine.connect() as c:
        row = c.execute(select(t.account).where(t.account.c.reference == "R-1")).one()
        assert (row.amount_minor, row.currency, row.due_date.year) == (12345, "EUR", 2026)
        assert c.scalar(select(t.debtor.c.name)) == "Ana López"
        trail = str([tuple(one) for one in c.execute(select(t.audit))])
    assert "Ana" not in trail and "600100" not in trail


@pytest.mark.database("sqlite")
def test_the_shape_of_a_request_is_held(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    path = f"/campaigns/{june}/leads"
    too_many = crm.post(path, {"items": [new_lead()] * 501}, status=422)
    assert too_many["errors"][0]["field"] == "items"
    assert crm.post(path, {"items": [new_lead(shoe_size=44)]}, status=422)["code"] == "invalid"
    assert crm.ask("POST", path, data="{", content_type="application/json").status_code == 400
    assert crm.ask("POST", path, data="a=1", content_type="text/plain").status_code == 415
    huge = crm.ask("POST", path, data=" " * 1_100_000, content_type="application/json")
    assert huge.status_code == 413
    full = [new_lead(reference=f"R-{n}", document=f"{n + 1:08d}") for n in range(500)]
    assert crm.post(path, {"items": full})["accepted"] == 500
    assert crm.ask("GET", path, query_string="limit=501").status_code == 422
    assert crm.ask("GET", path, query_string="limit=1&limit=2").status_code == 422
    assert crm.ask("GET", path, query_string="sort=name").status_code == 422
    for cursor in ("nonsense", "W10", "WzEsMl0", "=", "ñ", "WyJhIl0"):
        wrong = crm.ask("GET", path, query_string={"cursor": cursor})
        assert wrong.status_code == 422 and wrong.json["errors"][0]["field"] == "cursor"
    assert crm.ask("GET", "/nothing").mimetype == "application/problem+json"
    assert crm.ask("GET", "/campaigns/99999999999999999999").status_code == 404
    wrong_way = crm.ask("PUT", "/campaigns")
    assert wrong_way.status_code == 405 and "POST" in wrong_way.headers["Allow"]


def test_pages_lose_nothing_and_repeat_nothing(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    items = [new_lead(reference=f"R-{n:02d}", document=f"{n + 1:08d}") for n in range(25)]
    crm.post(f"/campaigns/{june}/leads", {"items": items})
    found = crm.all_of(f"/campaigns/{june}/leads", limit=7)
    assert [one["reference"] for one in found] == [f"R-{n:02d}" for n in range(25)]
    assert found[0]["state"] == "waiting"
    assert crm.all_of(f"/campaigns/{june}/leads", state="done") == []
    for n in range(5):
        campaign(site, site.acme, f"c{n}")
    names = [one["name"] for one in crm.all_of("/campaigns", limit=2)]
    assert names == ["c4", "c3", "c2", "c1", "c0", "june"]


def test_a_repeat_is_done_once(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    path, body = f"/campaigns/{june}/leads", {"items": [new_lead()]}
    headers = {"Idempotency-Key": "push-1"}
    first = crm.ask("POST", path, headers, json=body)
    again = crm.ask("POST", path, headers, json=body)
    assert first.json == again.json and first.json["items"][0]["result"] == "new"
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "RateLimit-Limit" in again.headers
    reused = crm.ask("POST", path, headers, json={"items": [new_lead(reference="R-9")]})
    assert reused.status_code == 422 and reused.json["code"] == "key_reused"
    other = program(site, site.acme).ask("POST", path, headers, json=body)
    assert other.json["items"][0]["result"] == "unchanged", "another program's key is another"


# --- results --------------------------------------------------------------------------------


def test_results_come_once_each_when_they_are_over(site: Site) -> None:
    crm, june = program(site, site.acme), campaign(site, site.acme, "june")
    one = lead(site, debtor(site), june)
    for n in range(5):
        state = "answered" if n == 3 else "ended"
        attempt(site, one, f"a{n}", AT + timedelta(minutes=n), state=state)
    path = f"/campaigns/{june}/attempts"
    first = crm.get(path, limit=2)
    assert [item["id"] for item in first["items"]] == ["a0", "a1"] and first["more"]
    second = crm.get(path, cursor=first["next"])
    assert [item["id"] for item in second["items"]] == ["a2"] and not second["more"]
    third = crm.get(path, cursor=second["next"])
    assert third["items"] == [] and third["next"] == second["next"]
    with site.engine.begin() as c:
        c.execute(update(t.attempt).values(state="ended").where(t.attempt.c.id == "a3"))
    last = crm.get(path, cursor=third["next"])
    assert [item["id"] for item in last["items"]] == ["a3", "a4"]
    assert crm.get(path, cursor=last["next"])["items"] == []
    assert first["items"][0]["reference"].startswith("R-")
    assert first["items"][0]["number"] == "+34600100012"
    modest = program(site, site.acme, Scope.RESULTS_READ).get(path)["items"][0]
    assert modest["number"] == "***012"
    empty = crm.get(f"/campaigns/{campaign(site, site.acme, 'new')}/attempts")
    assert empty["items"] == [] and not empty["more"]
    assert crm.get(f"/campaigns/{june}/attempts", cursor=empty["next"])["items"] != []


def test_a_past_is_read_in_all_its_lists(site: Site) -> None:
    june = campaign(site, site.acme, "june")
    past(site, june, debtors=40, attempts=300)
    crm = program(site, site.acme)
    for path, table in (
        (f"/campaigns/{june}/attempts", t.attempt),
        (f"/campaigns/{june}/leads", t.lead),
        ("/messages", t.message),
        ("/promises", t.promise),
        ("/payments", t.payment),
    ):
        found = crm.all_of(path, limit=13)
        assert len(found) == len({one["id"] for one in found}) == count(site, table), path
        assert found, path
        assert "body" not in found[0] and "fingerprint" not in found[0]
    report = crm.get(f"/campaigns/{june}/report")
    assert report["attempts"]["total"] == count(site, t.attempt)
    assert crm.get("/agents")["items"][0]["login"] == "ana"
    assert [one["name"] for one in crm.get("/companies")["items"]] == ["Acme"]
    every = Program(site, key(site, None))
    assert [one["name"] for one in every.get("/companies")["items"]] == ["Acme", "Other"]
    busy = crm.get("/promises")["items"][0]["debtor_id"]
    kinds = {one["kind"] for one in crm.get(f"/debtors/{busy}/timeline", limit=200)["items"]}
    assert {"call", "promise"} <= kinds
    stranger = program(site, site.other)
    for path in ("/messages", "/promises", "/payments"):
        assert stranger.all_of(path) == []


def test_a_debtor_is_found_and_no_number_is_told(site: Site) -> None:
    crm, ana = program(site, site.acme), debtor(site)
    (found,) = crm.post("/debtors/find", {"document": "10.000.012-a"})["items"]
    assert found["id"] == ana and found["phones"][0]["number"] == "***012"
    assert found["accounts"][0]["open_minor"] == 123456
    assert crm.post("/debtors/find", {"reference": f"R-{ana}"})["items"] == [found]
    assert crm.get(f"/debtors/{ana}") == found
    assert crm.post("/debtors/find", {"reference": "R"})["items"] == []
    crm.post("/debtors/find", {}, status=422)
    assert program(site, site.other).post("/debtors/find", {"document": "10000012A"}) == {
        "items": []
    }


def test_the_do_not_call_list(site: Site) -> None:
    crm = program(site, site.acme)
    debtor(site)
    assert crm.post("/do-not-call/check", {"number": "600100012"}) == {
        "listed": False, "changed": False, "debtors": 1,
    }  # fmt: skip
    assert crm.post("/do-not-call", {"number": "600 100 012"})["changed"]
    assert not crm.post("/do-not-call", {"number": "+34600100012"})["changed"]
    assert crm.post("/do-not-call/check", {"number": "600100012"})["listed"]
    other = program(site, site.other)
    assert not other.post("/do-not-call/check", {"number": "600100012"})["listed"]
    assert crm.post("/do-not-call/remove", {"number": "600100012"})["changed"]
    assert not crm.post("/do-not-call/remove", {"number": "600100012"})["changed"]
    wrong = crm.post("/do-not-call", {"number": "12"}, status=422)
    assert wrong["errors"][0]["field"] == "number"
    every = Program(site, key(site, None))
    assert every.post("/do-not-call", {"number": "600100012"}, status=422)["errors"] == [
        {"field": "company_id", "reason": "this key opens every company: say which"}
    ]
    assert every.post("/do-not-call", {"number": "600100012", "company_id": site.other})["changed"]
    crm.post("/do-not-call", {"number": "600100012", "company_id": site.other}, status=404)


@pytest.mark.database("sqlite")
def test_a_wrong_plan_is_said_field_by_field(site: Site) -> None:
    crm = program(site, site.acme)
    wrong = crm.post(
        "/campaigns",
        {"name": "june", "flow": "nowhere", "trunk": "none", "caller_ids": ["12"]},
        status=422,
    )
    assert {one["field"] for one in wrong["errors"]} >= {"flow", "trunk"}
    crm.post("/campaigns", {"name": "june", "flow": "reminder", "speed": 1}, status=422)
    theirs = {"name": "june", "flow": "reminder", "company": "Other", "caller_ids": ["910000000"]}
    crm.post("/campaigns", theirs, status=404)
    assert count(site, t.campaign) == count(site, t.caller_id_pool) == 0


@pytest.mark.database("sqlite")
def test_what_goes_wrong_inside_is_not_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    crm = program(site, site.acme)
    put(site, t.caller_id_pool, company_id=site.acme, name="p")
    monkeypatch.setattr("dialer.store.api_views.promises", lambda *_: 1 // 0)
    answer = crm.ask("GET", "/promises")
    assert answer.status_code == 503
    assert "division" not in answer.text and answer.headers["RateLimit-Remaining"]


# --- the description ------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_the_description_has_every_route_and_no_other(site: Site) -> None:
    told = site.app.test_client().get("/api/v1/openapi.json").json
    assert told == openapi.document(site.settings.web_url + PREFIX)
    described = {(method.upper(), path) for path, ways in told["paths"].items() for method in ways}
    assert described == {(one.method, one.path) for one in OPERATIONS}
    served = {
        (method, rule.rule)
        for rule in site.app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.document"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {(one.method, PREFIX + one.rule) for one in OPERATIONS}
    text = str(told)
    for name in told["components"]["schemas"]:
        assert f"#/components/schemas/{name}'" in text, f"{name} is described and not used"
