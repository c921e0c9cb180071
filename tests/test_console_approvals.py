"""Four eyes: a refund is asked for by one and granted by another, and the money leaves once."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from fixtures_refunds import RefundingBank
from fixtures_site import Client, Site, make_user
from sqlalchemy import select
from world import NOW

from dialer.config import ConfigError
from dialer.domain.access import ApprovalState, Role
from dialer.payments import refunding
from dialer.payments.gateway import RefundState
from dialer.payments.refunding import parse_amount
from dialer.store import approvals
from dialer.store import tables as t


def ask(client: Client, payment_id: str, amount: str = "20,00", **more: str) -> Any:
    """The form of a payment's page."""
    form = {"amount": amount, "reason": "charged for two months", **more}
    return client.post(f"/payments/{payment_id}/refund", form)


def request_of(site: Site) -> Any:
    """The newest request."""
    with site.engine.connect() as c:
        return c.execute(select(t.approval).order_by(t.approval.c.id.desc())).first()


def refunds(site: Site) -> list[Any]:
    with site.engine.connect() as c:
        return list(c.execute(select(t.refund)))


def second(site: Site) -> Client:
    """Another supervisor of acme."""
    make_user(site.engine, "second", Role.SUPERVISOR, site.acme)
    return site.client("second")


def test_one_asks_another_grants_and_it_is_given_back_once(
    site: Site, paid: str, refunding_bank: RefundingBank
) -> None:
    asks, grants = site.client("super"), second(site)
    assert ask(asks, paid, forgive="1").status_code == 302
    one = request_of(site)
    assert (one.detail, one.company_id) == (
        {"minor": 2000, "currency": "EUR", "forgive": True}, site.acme
    )  # fmt: skip
    assert refunding_bank.sent == []
    waiting = grants.get("/approvals").text
    assert "€20.00" in waiting
    assert "charged for two months" in waiting
    assert "Super Example" in waiting
    path = f"/approvals/{one.id}"
    # Who asked never decides, whatever is sent.
    for verb in ("grant", "refuse"):
        asks.post(f"{path}/{verb}")
        assert request_of(site).state == "asked"
    assert f"{path}/grant" not in asks.get("/approvals").text
    grants.post(f"{path}/grant")
    (back,) = refunds(site)
    assert refunding_bank.sent == [(back.id, 2000)]
    assert (back.state, back.forgive, back.actor) == (
        "done", True, f"user:{request_of(site).decided_by}"
    )  # fmt: skip
    grants.post(f"{path}/grant")  # again: a double click, a page left open
    site.client("admin").post(f"{path}/refuse")
    assert len(refunding_bank.sent) == len(refunds(site)) == 1
    page = grants.get("/approvals").text
    assert "Given back" in page
    assert "Second Example" in page
    with site.engine.connect() as c:
        noted = [
            (row.actor, row.action)
            for row in c.execute(select(t.audit).order_by(t.audit.c.id))
            if row.action.startswith(("approval.", "payment."))
        ]
        texts = str([row.after for row in c.execute(select(t.audit))
                     if row.action.startswith("approval.")])  # fmt: skip
    decider = f"user:{one.asked_by}", f"user:{request_of(site).decided_by}"
    assert noted == [
        (decider[0], "approval.ask"), (decider[1], "approval.grant"),
        (decider[1], "payment.refund"),
    ]  # fmt: skip
    assert "charged for" not in texts
    shown = grants.get(f"/payments/{paid}").text
    assert "At most €103.45" in shown


def test_two_who_decide_at_once_one_wins(
    site: Site, paid: str, refunding_bank: RefundingBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(site.client("super"), paid)
    one = request_of(site)
    clients = [second(site), site.client("admin")]
    tokens = [client.token() for client in clients]
    barrier = threading.Barrier(2, timeout=10)
    decided = refunding._decided

    def together(*given: Any) -> bool:
        with_ = threading.current_thread()
        if not getattr(with_, "met", False):
            with_.met = True  # type: ignore[attr-defined]
            if site.engine.dialect.name == "postgresql":
                barrier.wait()
        return decided(*given)

    monkeypatch.setattr(refunding, "_decided", together)

    def grant(client: Client, token: str) -> int:
        form = {"csrf_token": token}
        return client.http.post(f"/approvals/{one.id}/grant", data=form).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(grant, clients, tokens)) == [302, 302]
    assert len(refunding_bank.sent) == len(refunds(site)) == 1


def test_nobody_asks_for_more_than_is_left(
    site: Site, paid: str, refunding_bank: RefundingBank
) -> None:
    boss = site.client("super")
    for wrong in ("0", "-5", "123.46", "1.234,00", "abc", "", "12345678901234"):
        answer = ask(boss, paid, wrong)
        assert answer.status_code == 422, wrong
        assert request_of(site) is None
    assert "number out" in ask(boss, paid, reason="card 4548812049400004").text
    assert ask(boss, paid, reason=" ").status_code == 422
    ask(boss, paid, "100")
    # What waits for a decision cannot be asked for again.
    assert ask(boss, paid, "23.46").status_code == 422
    assert ask(boss, paid, "23.45").status_code == 302
    assert "Nothing of this payment can be given back" in boss.get(f"/payments/{paid}").text
    boss.post(f"/approvals/{request_of(site).id}/withdraw")
    assert request_of(site).state == "withdrawn"
    assert ask(boss, paid, "23.45").status_code == 302
    assert refunding_bank.sent == []


def test_what_cannot_be_done_any_more_is_said_and_not_done(
    site: Site, paid: str, refunding_bank: RefundingBank
) -> None:
    ask(site.client("super"), paid, "123.45")
    one = request_of(site)
    with site.engine.begin() as c:  # given back meanwhile from the command line
        c.execute(
            t.refund.insert().values(
                id="f" * 32, payment_id=paid, kind="refund", amount_minor=100, currency="EUR",
                state="sending", reason="x", actor="root", created_at=NOW,
            )
        )  # fmt: skip
    page = second(site).http
    client = Client(page)
    client.post(f"/approvals/{one.id}/grant")
    assert request_of(site).result == refunding.IMPOSSIBLE
    assert request_of(site).state == "granted"
    assert refunding_bank.sent == []
    assert len(refunds(site)) == 1
    assert "Could not be done" in client.get("/approvals").text


@pytest.mark.database("sqlite")
def test_a_gateway_that_is_not_set_up_decides_nothing(
    site: Site, paid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_given: object) -> None:
        raise ConfigError("no key")

    monkeypatch.setattr(refunding, "gateway_named", missing)
    ask(site.client("super"), paid)
    admin = site.client("admin")
    admin.post(f"/approvals/{request_of(site).id}/grant")
    assert request_of(site).state == "asked"
    assert "not set up" in admin.get("/approvals").text


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("says", "words"),
    [
        (RefundState.REFUSED, "the gateway refused"),
        (RefundState.UNKNOWN, "has not said yet"),
        (RefundState.DONE, "on its way back"),
    ],
)
def test_what_the_gateway_says_is_shown(
    site: Site, paid: str, refunding_bank: RefundingBank, says: RefundState, words: str
) -> None:
    refunding_bank.says = says
    ask(site.client("super"), paid)
    admin = site.client("admin")
    admin.post(f"/approvals/{request_of(site).id}/grant")
    assert words in admin.get("/approvals").text


@pytest.mark.database("sqlite")
def test_who_dies_before_sending_leaves_it_to_the_workers(
    site: Site, paid: str, refunding_bank: RefundingBank
) -> None:
    """The decision and the refund are there, once; a second grant does nothing."""
    ask(site.client("super"), paid)
    one = request_of(site)
    refunding_bank.breaks = True
    with pytest.raises(KeyboardInterrupt):
        refunding.grant(site.engine, site.settings, one, site.ids["admin"])
    refunding_bank.breaks = False
    (back,) = refunds(site)
    assert back.state == "sending"
    assert request_of(site).result == f"refund:{back.id}"
    again = refunding.grant(site.engine, site.settings, one, site.ids["admin"])
    assert again == refunding.Granted(decided=False)
    assert len(refunds(site)) == 1


@pytest.mark.database("sqlite")
def test_another_company_does_not_see_it_and_an_auditor_only_looks(
    site: Site, paid: str, refunding_bank: RefundingBank
) -> None:
    ask(site.client("super"), paid)
    since = (NOW - timedelta(days=1)).date()
    assert paid[:8] not in site.client("rival").get(f"/payments?from={since}").text
    auditor = site.client("auditor").get("/approvals").text
    assert "Another manager decides" in auditor
    assert request_of(site).state == "asked"
    assert refunding_bank.sent == []


def test_the_list_is_masked_and_read_page_by_page(site: Site, paid: str) -> None:
    boss = site.client("super")
    days = f"from={(NOW - timedelta(days=1)).date()}&to={NOW.date()}"
    page = boss.get(f"/payments?{days}").text
    assert "Visa ····4242" in page
    assert "600000501" not in page
    assert "Debtor 1" not in page
    with site.engine.begin() as c:
        row = dict(c.execute(select(t.payment)).one()._mapping)
        for number in range(70):
            same = {"id": f"{number:032x}", "order_ref": f"{number:012x}", "state": "declined"}
            c.execute(t.payment.insert().values(row | same))
    seen: list[str] = []
    path: str | None = f"/payments?{days}"
    while path:
        text = boss.get(path).text
        seen += re.findall(r"/payments/([0-9a-f]{32})", text)
        more = re.search(r'rel="next" href="([^"]+)"', text)
        path = more.group(1).replace("&amp;", "&") if more else None
    assert len(seen) == len(set(seen)) == 71
    assert len(re.findall(r"/payments/[0-9a-f]{32}", boss.get(f"/payments?{days}&state=approved")
                          .text)) == 1  # fmt: skip
    assert "No payment here" in boss.get("/payments?from=2020-01-01&to=2020-01-02").text
    assert boss.get("/payments?campaign=999").status_code == 404
    assert boss.get("/payments?before=x&state=x&from=0001-01-01&to=0001-01-01").status_code == 200


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12,50", "EUR", 1250), ("12.5", "EUR", 1250), ("12", "EUR", 1200),
        ("12,50 eur", "EUR", 1250), ("1500", "CLP", 1500), ("15,5", "CLP", None),
        ("1.234,50", "EUR", None), ("1,234.50", "EUR", None), ("12,505", "EUR", None),
        ("12 USD", "EUR", None), ("", "EUR", None),
    ],
)  # fmt: skip
def test_amounts_are_never_guessed(text: str, currency: str, minor: int | None) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.database("sqlite")
def test_the_store_lets_nobody_decide_alone(site: Site, paid: str) -> None:
    """Also where a page forgot to look."""
    ask(site.client("super"), paid)
    one = request_of(site)
    now = datetime.now(NOW.tzinfo)
    with site.engine.begin() as c:
        assert not approvals.decide(c, one.id, ApprovalState.GRANTED, one.asked_by, now)
        assert not approvals.withdraw(c, one.id, site.ids["admin"], now)
        assert approvals.decide(c, one.id, ApprovalState.REFUSED, site.ids["admin"], now)
        assert not approvals.decide(c, one.id, ApprovalState.GRANTED, site.ids["admin"], now)
