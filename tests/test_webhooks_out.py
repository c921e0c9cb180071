"""Webhooks: told once of what happened, signed, tried again, never into our own network."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from api_office import program, webhook
from console_world import attempt, campaign, debtor, lead, past, put
from fixtures_site import Site
from sqlalchemy import select, update

from dialer.domain import ledger
from dialer.domain.api import WAITS, DeliveryState, EventType, next_try
from dialer.store import suppressions, webhook_events, webhooks
from dialer.store import tables as t
from dialer.store.companies import NotPossible
from dialer.store.ledger import post
from dialer.webhooks.addresses import AddressError, check_url, target_of
from dialer.webhooks.sending import WebhookSender
from dialer.webhooks.signing import SECRET_SIGNING, secret_of, verified


def now() -> datetime:
    return datetime.now(UTC)


class Receiver:
    """Somebody's endpoint: remembers what came, answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.slow = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802 - as the library has it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                time.sleep(outer.slow)
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks?from=dialer"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def sender(site: Site, *private: str) -> WebhookSender:
    settings = site.settings.model_copy(update={"webhook_private": list(private or ["127.0.0.1"])})
    return WebhookSender(settings, site.engine)


def sweep(one: WebhookSender) -> None:
    for thread in one.sweep():
        thread.join(15)
        assert not thread.is_alive()


def rows(site: Site) -> list[Any]:
    with site.engine.connect() as c:
        return list(c.execute(select(t.webhook_delivery).order_by(t.webhook_delivery.c.id)))


def at_once(site: Site) -> None:
    """What waits is due now."""
    with site.engine.begin() as c:
        c.execute(update(t.webhook_delivery).values(next_at=now() - timedelta(seconds=1)))


# --- what is told ---------------------------------------------------------------------------


def test_each_kind_is_told_once_and_tells_nobody(site: Site, receiver: Receiver) -> None:
    june, ana = campaign(site, site.acme, "june"), debtor(site, site.acme)
    one = lead(site, ana, june)
    before = now() - timedelta(seconds=30)
    attempt(site, one, "old", before, ended_at=before)
    made = webhook(site, site.acme, receiver.url)
    theirs = webhook(site, site.other, receiver.url + "&theirs")
    attempt(site, one, "call", now(), ended_at=now(), disposition="promise")
    with site.engine.connect() as c:
        account = c.execute(select(t.account.c.id)).scalar_one()
    put(
        site, t.promise, account_id=account, attempt_id="call", due=date(2026, 12, 1),
        amount_minor=500, currency="EUR", made_at=now(),
    )  # fmt: skip
    put(
        site, t.payment, id="p1", order_ref="O1", company_id=site.acme, account_id=account,
        attempt_id="call", source="call", gateway="test", mode="charge", amount_minor=500,
        currency="EUR", state="approved", created_at=now(), send_before=now(), last_four="4242",
        fingerprint="secret",
    )  # fmt: skip
    with site.engine.begin() as c:
        for moved in (ledger.reserve("p1", 500), ledger.settle("p1", 500)):
            post(c, moved, account_id=account, currency="EUR", payment_id="p1", now=now())
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
        suppressions.add_numbers(c, site.acme, ["+34600100013"], "file", now())
        c.execute(update(t.campaign).values(state="finished", ended_at=now()))
    mine = sender(site)
    for _ in range(3):
        sweep(mine)
    told = {event["type"]: event["data"] for event in receiver.events}
    assert len(receiver.got) == len(told) == len(EventType)
    assert told["attempt.ended"]["id"] == "call"
    assert told["attempt.ended"]["disposition"] == "promise"
    assert told["promise.made"]["due"] == "2026-12-01"
    assert told["payment.settled"]["amount_minor"] == 500
    assert told["campaign.finished"]["name"] == "june"
    assert told["optout.made"]["debtor_ids"] == [ana]
    assert {event["company_id"] for event in receiver.events} == {site.acme}
    whole = b"".join(body for _, body in receiver.got)
    for personal in (b"Ana", b"600100", b"10000012A", b"4242", b"secret"):
        assert personal not in whole
    assert {row.state for row in rows(site)} == {"delivered"}
    assert {row.endpoint_id for row in rows(site)} == {made.id} != {theirs.id}


def test_a_call_that_goes_on_is_told_whenever_it_ends(site: Site, receiver: Receiver) -> None:
    june = campaign(site, site.acme, "june")
    one = lead(site, debtor(site, site.acme), june)
    webhook(site, site.acme, receiver.url, EventType.ATTEMPT_ENDED)
    began = now() - timedelta(minutes=50)
    attempt(site, one, "long", began, state="answered", ended_at=None, disposition=None)
    mine = sender(site)
    attempt(site, one, "short", now(), ended_at=now())
    sweep(mine)
    sweep(mine)
    assert [event["data"]["id"] for event in receiver.events] == ["short"]
    with site.engine.begin() as c:
        c.execute(
            update(t.attempt)
            .where(t.attempt.c.id == "long")
            .values(state="ended", ended_at=now(), disposition="paid")
        )
    sweep(sender(site))  # another process, after a crash
    assert [event["data"]["id"] for event in receiver.events] == ["short", "long"]
    with site.engine.connect() as c:
        cursor = c.execute(select(t.webhook_endpoint.c.cursors)).scalar_one()["attempt.ended"]
    assert datetime.fromisoformat(cursor) > began, "what is over is not looked at for ever"


def test_rows_that_were_committed_late_are_told(site: Site) -> None:
    ana = debtor(site, site.acme)
    one = lead(site, ana, campaign(site, site.acme, "june"))
    attempt(site, one, "a", now())
    attempt(site, one, "b", now())
    of = webhook(site, site.acme, "https://crm.example.com/x", EventType.PROMISE_MADE)
    with site.engine.connect() as c:
        account = c.scalar(select(t.account.c.id))
    values = {
        "account_id": account, "due": date(2026, 12, 1), "amount_minor": 5, "currency": "EUR",
        "made_at": now(),
    }  # fmt: skip
    put(site, t.promise, id=12, attempt_id="a", **values)
    assert look(site, of) == ["promise:12"]
    put(site, t.promise, id=11, attempt_id="b", **values)
    assert look(site, of) == ["promise:11"]
    assert look(site, of) == []


def look(site: Site, of: Any) -> list[str]:
    with site.engine.begin() as c:
        fresh = webhooks.endpoint(c, of.id)
        assert fresh is not None
        events, cursors = webhook_events.look(c, fresh, now())
        webhooks.put(c, fresh, events, cursors, now())
        return [one.key for one in events]


@pytest.mark.database("sqlite")
def test_more_than_one_look_takes_is_told_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    june = campaign(site, site.acme, "june")
    of = webhook(site, site.acme, "https://crm.example.com/x")
    past(site, june, debtors=20, attempts=120)
    with site.engine.begin() as c:
        c.execute(update(t.webhook_endpoint).values(created_at=now() - timedelta(days=90)))
        start = (now() - timedelta(days=90)).isoformat()
        c.execute(update(t.webhook_endpoint).values(cursors={"attempt.ended": start}))
    monkeypatch.setattr(webhook_events, "MOST", 7)
    found: list[str] = []
    while new := look(site, of):
        found += new
    assert len(found) == len(set(found))
    with site.engine.connect() as c:
        for table, kind in ((t.attempt, "attempt:"), (t.promise, "promise:")):
            wanted = {f"{kind}{key}" for key in c.execute(select(table.c.id)).scalars()}
            assert {key for key in found if key.startswith(kind)} == wanted


# --- how it is sent -------------------------------------------------------------------------


def test_it_is_signed_and_a_receiver_can_tell(site: Site, receiver: Receiver) -> None:
    crm = program(site, site.acme)
    refused = crm.post("/webhooks", {"url": receiver.url, "events": ["optout.made"]}, status=422)
    assert "network" in refused["errors"][0]["reason"]
    made = webhook(site, site.acme, receiver.url, EventType.OPTOUT_MADE)
    secret = secret_of(site.settings.secret(SECRET_SIGNING), made.id, made.salt)
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    sweep(sender(site))
    ((headers, body),) = receiver.got
    assert headers["Dialer-Event"] == json.loads(body)["id"]
    assert verified(secret, body, headers["Dialer-Signature"], time.time())
    assert not verified(secret, body + b" ", headers["Dialer-Signature"], time.time())
    assert not verified(secret, body, headers["Dialer-Signature"], time.time() + 301)
    assert not verified("whsec_other", body, headers["Dialer-Signature"], time.time())
    with site.engine.connect() as c:
        assert secret.encode() not in str(list(c.execute(select(t.webhook_endpoint)))).encode()


def test_what_is_not_taken_is_tried_again_later_and_at_last_not(
    site: Site, receiver: Receiver
) -> None:
    webhook(site, site.acme, receiver.url, EventType.OPTOUT_MADE)
    with site.engine.begin() as c:
        for number in ("+34600100012", "+34600100013"):
            suppressions.add_number(c, site.acme, number, "test", now())
    receiver.answers = [500, 302]
    mine = sender(site)
    sweep(mine)
    assert len(receiver.got) == 1, "the second waits for its turn: the first was not taken"
    first, _ = rows(site)
    assert (first.state, first.status, first.tries) == ("pending", 500, 1)
    assert timedelta(seconds=5) < first.next_at - now() < timedelta(seconds=15)
    at_once(site)
    sweep(mine)
    assert len(receiver.got) == 2, "a redirection is not followed, and is no success"
    at_once(site)
    sweep(mine)
    assert {row.state for row in rows(site)} == {"delivered"}
    assert len({event["id"] for event in receiver.events}) == 2
    with site.engine.begin() as c:
        c.execute(update(t.webhook_delivery).values(state="pending", tries=len(WAITS)))
    receiver.answers = [500, 500]
    at_once(site)
    sweep(mine)
    assert rows(site)[0].state == DeliveryState.FAILED.value


def test_two_workers_send_nothing_twice(site: Site, receiver: Receiver) -> None:
    webhook(site, site.acme, receiver.url, EventType.OPTOUT_MADE)
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    receiver.slow = 0.3
    begun = [*sender(site).sweep(), *sender(site).sweep()]
    for thread in begun:
        thread.join(15)
    assert len(receiver.got) == 1


@pytest.mark.database("sqlite")
def test_one_that_is_dead_holds_up_nobody(site: Site, receiver: Receiver) -> None:
    webhook(site, site.acme, "http://127.0.0.1:9/dead", EventType.OPTOUT_MADE)
    webhook(site, site.acme, receiver.url, EventType.OPTOUT_MADE)
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    mine = sender(site)
    sweep(mine)
    assert len(receiver.got) == 1
    assert {row.error for row in rows(site)} == {None, "ConnectError"}
    assert mine.check() is None
    with site.engine.begin() as c:
        c.execute(update(t.webhook_delivery).values(state="pending", next_at=now() - WAITS[4]))
    assert mine.check() == "2 webhook deliveries are late"
    mine.close()


@pytest.mark.database("sqlite")
def test_what_cannot_be_read_for_one_is_told_to_the_others(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = webhook(site, site.acme, "https://crm.example.com/x", EventType.OPTOUT_MADE)
    webhook(site, site.acme, receiver.url, EventType.OPTOUT_MADE)
    gone = webhook(site, site.acme, receiver.url + "&gone", EventType.OPTOUT_MADE)
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    real = webhook_events.look

    def look_at(c: Any, of: Any, moment: datetime) -> Any:
        if of.id == broken.id:
            raise ValueError
        return real(c, of, moment)

    monkeypatch.setattr(webhook_events, "look", look_at)
    with site.engine.begin() as c:
        webhooks.remove_endpoint(c, gone.id, "test", now())
        webhooks.put(c, gone, *real(c, gone, now()), now())  # by a worker that had it at hand
    sweep(sender(site))
    assert len(receiver.got) == 1


@pytest.mark.database("sqlite")
def test_the_api_of_webhooks(site: Site) -> None:
    crm = program(site, site.acme)
    wanted = {"url": "https://crm.example.com/x", "events": ["optout.made"]}
    made = crm.post("/webhooks", wanted, status=201)
    assert made["secret"].startswith("whsec_")
    crm.post("/webhooks", wanted, status=409)
    assert "secret" not in crm.get("/webhooks")["items"][0]
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    look(site, webhook_row(site, made["id"]))
    path = f"/webhooks/{made['id']}/deliveries"
    (waiting,) = crm.get(path, state="pending")["items"]
    crm.post(f"{path}/{waiting['id']}/again", status=404)
    with site.engine.begin() as c:
        c.execute(update(t.webhook_delivery).values(state="failed", tries=9))
    crm.post(f"{path}/{waiting['id']}/again")
    assert crm.get(path)["items"][0]["state"] == "pending"
    assert program(site, site.other).get("/webhooks")["items"] == []
    assert crm.ask("DELETE", f"/webhooks/{made['id']}").status_code == 200
    assert crm.ask("DELETE", f"/webhooks/{made['id']}").status_code == 404
    assert [row.state for row in rows(site)] == ["failed"]
    for n in range(webhooks.MOST_ENDPOINTS):
        webhook(site, site.acme, f"https://x.example/{n}")
    with pytest.raises(NotPossible, match="20 webhooks"):
        webhook(site, site.acme, "https://x.example/more")


def webhook_row(site: Site, endpoint_id: int) -> Any:
    with site.engine.connect() as c:
        return webhooks.endpoint(c, endpoint_id)


@pytest.mark.database("sqlite")
def test_what_is_long_over_is_forgotten(site: Site) -> None:
    of = webhook(site, site.acme, "https://crm.example.com/x")
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    look(site, of)
    with site.engine.begin() as c:
        assert webhooks.purge(c, now() + timedelta(days=40)) == 0, "what waits stays"
        c.execute(update(t.webhook_delivery).values(state="delivered"))
        assert webhooks.purge(c, now() + timedelta(days=20)) == 0
        assert webhooks.purge(c, now() + timedelta(days=40)) == 1


# --- where it may go ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com/x", "ftp://crm.example.com", "https://", "crm.example.com",
        "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "https://169.254.169.254/x",
        "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
        "https://localhost/", "https://2130706433/", "https://0x7f.0.0.1/", "https://127.1/",
        "https://me:pw@crm.example.com/", "https://crm.example.com/#a", "https://a b.example/",
        "https://crm.example.com:99999/", "https://crm.example.com\\@10.0.0.1/",
        "https://224.0.0.1/", "https://0.0.0.0/", "https://100.64.0.1/", "https://ñ.example/",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(AddressError):
        check_url(url, [])


def test_a_name_is_judged_by_what_it_stands_for_when_it_is_sent() -> None:
    url = "https://crm.example.com:8443/x?y=1"
    check_url(url, [])
    found = target_of(url, [], lambda *_: ["93.184.216.34"])
    assert found.url == "https://93.184.216.34:8443/x?y=1"
    assert (found.host, found.host_header) == ("crm.example.com", "crm.example.com:8443")
    for answer in (["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["fe80::1%eth0"]):
        with pytest.raises(AddressError):
            target_of(url, [], lambda *_, answer=answer: answer)
    assert target_of(url, ["10.0.0.0/8"], lambda *_: ["10.0.0.1"]).address == "10.0.0.1"
    with pytest.raises(AddressError):
        target_of("http://crm.example.com/", ["10.0.0.0/8"], lambda *_: ["93.184.216.34"])
    assert target_of("http://in.example/", ["10.0.0.0/8"], lambda *_: ["10.0.0.1"]).port == 80
    with pytest.raises(OSError, match="no address"):
        target_of(url, [], lambda *_: [])
    check_url("https://93.184.216.34/", [])


@pytest.mark.database("sqlite")
def test_nothing_leaves_for_our_own_network(site: Site, receiver: Receiver) -> None:
    """An address that got in anyway: by a name that has changed since."""
    webhook(site, site.acme, receiver.url, EventType.OPTOUT_MADE)
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100012", "test", now())
    sweep(sender(site, "10.0.0.0/8"))
    assert receiver.got == []
    assert "within a network" in rows(site)[0].error


def test_waits_grow_for_about_three_days() -> None:
    assert list(WAITS) == sorted(WAITS)
    assert timedelta(days=2.5) < sum(WAITS, timedelta()) < timedelta(days=3.5)
    assert next_try(1, now()) is not None and next_try(len(WAITS) + 1, now()) is None
