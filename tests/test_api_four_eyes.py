"""Four eyes through the API: a key is no second person, whoever holds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from api_office import Program, key, program
from fixtures_refunds import RefundingBank
from fixtures_site import Site, make_user
from sqlalchemy import select, update
from test_console_approvals import ask as by_hand
from test_policy_approvals import draft

from dialer.domain.access import Role
from dialer.domain.api import Scope
from dialer.payments import reversals
from dialer.payments.gateway import RefundState
from dialer.store import audit
from dialer.store import tables as t

WHY = "charged for two months"


def of(site: Site, maker: str | None) -> Program:
    """A program of acme, with a key that ``maker`` made."""
    return Program(site, key(site, site.acme, maker=maker))


@pytest.fixture
def boss(site: Site) -> str:
    """Another administrator of acme."""
    site.ids["boss"] = make_user(site.engine, "boss", Role.ADMINISTRATOR, site.acme)
    return "boss"


def ask(crm: Program, payment_id: str, minor: int = 2000, status: int = 201, **more: Any) -> Any:
    body = {"amount_minor": minor, "reason": WHY, **more}
    return crm.post(f"/payments/{payment_id}/refund", body, status=status)


def refunds(site: Site) -> list[Any]:
    with site.engine.connect() as c:
        return list(c.execute(select(t.refund)))


def test_a_refund_a_program_asks_for_is_granted_by_another_person(
    site: Site,
    paid: str,
    refunding_bank: RefundingBank,
    boss: str,
) -> None:
    made = ask(of(site, "admin"), paid)
    assert (made["state"], made["asked_by"]) == ("asked", site.ids["admin"])
    path = f"/approvals/{made['id']}"
    assert (
        f"by a program, key {made['detail']['api_key']}"
        in site.client("super").get("/approvals").text
    )
    own = of(site, "admin").post(f"{path}/grant", status=403)
    assert own["code"] == "own_request", "another key of the same maker is the same person"
    others = of(site, boss)
    for verb in ("grant", "refuse"):
        assert others.post(f"{path}/{verb}", status=403)["code"] == "program_asked"
    site.client("admin").post(path + "/grant")
    assert refunds(site) == [] and others.get(path)["state"] == "asked", "nor its maker by hand"
    site.client("super").post(path + "/grant")
    assert (
        others.get(path)["state"] == "granted"
        and len(refunding_bank.sent) == len(refunds(site)) == 1
    )
    with site.engine.connect() as c:
        asked = audit.of_target(c, f"approval:{made['id']}")[0]
    assert asked.actor.startswith("api_key:") and asked.company_id == site.acme


def test_what_a_person_asked_for_a_program_of_another_grants(
    site: Site,
    paid: str,
    refunding_bank: RefundingBank,
    boss: str,
) -> None:
    by_hand(site.client("super"), paid)
    crm = of(site, boss)
    (waits,) = crm.get("/approvals", state="asked")["items"]
    granted = crm.post(f"/approvals/{waits['id']}/grant")
    assert (granted["state"], granted["decided_by"]) == ("granted", site.ids["boss"])
    (refund,) = refunds(site)
    assert granted["result"] == f"refund:{refund.id}" and refund.amount_minor == 2000
    assert refund.state != RefundState.DONE.value and refunding_bank.sent == [], "workers send it"
    later = datetime.now(UTC) + reversals.SENDER_SECONDS + timedelta(seconds=1)
    reversals.look_up(
        site.engine, cast(Any, refunding_bank), refund.id, lambda: later, site.settings
    )
    assert refunding_bank.sent == [(refund.id, 2000)]
    again = crm.post(f"/approvals/{waits['id']}/grant", status=409)
    assert "already" in again["detail"] and len(refunds(site)) == 1
    with site.engine.connect() as c:
        actors = [row.actor for row in audit.of_target(c, f"approval:{waits['id']}")]
    assert actors[0] == f"user:{site.ids['super']}" and actors[1].startswith("api_key:")


def test_the_maker_of_a_key_does_not_grant_their_own_with_it(
    site: Site,
    paid: str,
    refunding_bank: RefundingBank,
    boss: str,
) -> None:
    by_hand(site.client("boss"), paid)
    (waits,) = of(site, boss).get("/approvals")["items"]
    assert of(site, boss).post(f"/approvals/{waits['id']}/grant", status=403)["code"] == (
        "own_request"
    )
    assert of(site, "admin").post(f"/approvals/{waits['id']}/refuse")["state"] == "refused"
    assert refunds(site) == [] and refunding_bank.sent == []


def test_behind_a_key_stands_a_person_who_may(site: Site, paid: str, boss: str) -> None:
    assert ask(of(site, None), paid, status=403)["code"] == "no_person"
    assert ask(of(site, "rival"), paid, status=403)["code"] == "no_person", "of another company"
    assert ask(of(site, "auditor"), paid, status=403)["code"] == "no_person"
    crm = of(site, boss)
    with site.engine.begin() as c:
        gone = t.app_user.c.id == site.ids["boss"]
        c.execute(update(t.app_user).where(gone).values(active=False))
    assert ask(crm, paid, status=403)["code"] == "no_person"
    assert of(site, "admin").get("/approvals")["items"] == []


@pytest.mark.database("sqlite")
def test_no_more_is_asked_for_than_is_left(
    site: Site, paid: str, refunding_bank: RefundingBank
) -> None:
    crm = of(site, "admin")
    ask(crm, paid, 12000)
    assert "At most 345" in ask(crm, paid, 346, status=409)["detail"]
    assert crm.get(f"/payments/{paid}")["refundable_minor"] == 345
    last = ask(crm, paid, 345)
    other = Program(site, key(site, site.acme, maker="super"))
    assert other.post(f"/approvals/{last['id']}/withdraw", status=409)["code"] == "not_possible"
    assert crm.post(f"/approvals/{last['id']}/withdraw")["state"] == "withdrawn"
    assert crm.get(f"/payments/{paid}")["refundable_minor"] == 345
    for wrong in ({"amount_minor": 0}, {"reason": "why"}, {"reason": "card 4111111111111111"}):
        assert ask(crm, paid, status=422, **wrong)["code"] == "invalid"
    assert len(crm.all_of("/approvals", limit=1)) == 2
    assert ask(program(site, site.other), paid, status=404)["code"] == "not_found"
    assert ask(program(site, site.acme, Scope.APPROVALS_READ), paid, status=403)["code"] == "scope"


def test_looser_rules_are_asked_for_granted_and_then_it_starts(site: Site, boss: str) -> None:
    crm, path = of(site, "admin"), f"/campaigns/{draft(site)}"
    assert crm.post(f"{path}/start", status=409)["code"] == "needs_approval"
    body = {"reason": "The creditor agreed to six a day."}
    made = crm.post(f"{path}/ask-approval", body, status=201)
    assert made["kind"] == "policy" and made["detail"]["rules"][0]["rule"] == "max_per_day"
    assert "already" in crm.post(f"{path}/ask-approval", body, status=409)["detail"]
    assert crm.post(f"/approvals/{made['id']}/grant", status=403)["code"] == "own_request"
    crm.post(f"{path}/start", status=409)
    site.client("super").post(f"/approvals/{made['id']}/grant")
    assert crm.post(f"{path}/start")["state"] == "running"
