"""Webhooks in the browser: made, their secret shown once, paused, sent again, taken away."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from console_world import campaign, debtor, lead, put
from fixtures_site import Client, Site, make_user
from sqlalchemy import select, update
from test_webhooks_out import Receiver, sender

from dialer.domain.access import Role
from dialer.domain.api import EventType
from dialer.store import suppressions
from dialer.store import tables as t
from dialer.webhooks.signing import verified
from web import create_app

PAGE = "/webhooks"


@pytest.fixture
def own(site: Site) -> Site:
    """A site whose webhooks may go to this machine; ``boss`` administrates acme alone."""
    settings = site.settings.model_copy(update={"webhook_private": ["127.0.0.1"]})
    site.app = create_app(settings, site.engine)
    make_user(site.engine, "boss", Role.ADMINISTRATOR, site.acme)
    return site


def hooks(site: Site) -> list[Any]:
    with site.engine.connect() as c:
        return list(c.execute(select(t.webhook_endpoint)))


def make(client: Client, url: str, *events: EventType) -> str:
    form = {"url": url, "events": [one.value for one in events or EventType]}
    answer = client.post(PAGE, form)
    assert answer.status_code == 200, answer.text
    found = re.search(r'value="(whsec_[0-9a-f]{64})"', answer.text)
    assert found is not None
    return found[1]


def wants_peace(site: Site) -> None:
    """Something happens that a webhook is told of."""
    who = debtor(site, document=f"{datetime.now(UTC).timestamp()}")
    lead(site, who, campaign(site, site.acme, f"c{who}"))
    with site.engine.begin() as c:
        number = f"+3460099{who:04d}"
        c.execute(update(t.phone).where(t.phone.c.debtor_id == who).values(number=number))
        suppressions.add_number(c, site.acme, number, "test", datetime.now(UTC))


def sweep(site: Site) -> None:
    one = sender(site)
    for thread in one.sweep():
        thread.join()


def test_it_is_made_told_paused_sent_again_and_taken_away(own: Site) -> None:
    client, receiver = own.client("boss"), Receiver()
    try:
        assert "No program is told of anything" in client.get(PAGE).text
        secret = make(client, receiver.url, EventType.OPTOUT_MADE)
        assert secret not in client.get(PAGE).text, "it is shown once"
        (row,) = hooks(own)
        path = f"{PAGE}/{row.id}"
        assert (row.company_id, row.events) == (own.acme, ["optout.made"])
        client.post(f"{path}/pause")
        wants_peace(own)
        sweep(own)
        assert receiver.got == [] and "Waits" in client.get(path).text
        client.post(f"{path}/resume")
        receiver.answers = [500]
        sweep(own)
        assert "answered 500" in client.get(path).text
        with own.engine.begin() as c:
            c.execute(update(t.webhook_delivery).values(state="failed"))
            delivery = c.scalar(select(t.webhook_delivery.c.id))
        assert "1 given up" in client.get(PAGE).text
        client.post(f"{path}/deliveries/{delivery}/again")
        sweep(own)
        headers, body = receiver.got[-1]
        assert verified(secret, body, headers["Dialer-Signature"], datetime.now(UTC).timestamp())
        page = client.get(f"{path}?state=delivered").text
        assert "Taken" in page and "Somebody wants no more contact" in page
        assert "Nothing yet" in client.get(f"{path}?state=failed").text
        client.post(f"{path}/deliveries/{delivery}/again")
        client.post(f"{path}/deliveries/{delivery}/again")
        assert "waits to be sent anyway" in client.get(path).text
        client.post(f"{path}/remove")
        assert client.get(path).status_code == 404
        before = len(receiver.got)
        sweep(own)
        assert len(receiver.got) == before
    finally:
        receiver.close()
    with own.engine.connect() as c:
        query = select(t.audit.c.action).where(t.audit.c.target == f"webhook:{row.id}")
        actions = c.execute(query.order_by(t.audit.c.id)).scalars().all()
    assert actions == ["webhook.create", "webhook.pause", "webhook.resume", "webhook.remove"]


@pytest.mark.database("sqlite")
def test_what_is_wrong_is_said_in_its_place(own: Site) -> None:
    client = own.client("boss")
    for form, said in (
        ({"url": "https://10.0.0.1/", "events": ["attempt.ended"]}, "That address will not do"),
        ({"url": "crm", "events": ["attempt.ended"]}, "https://crm.example.com/hooks"),
        ({"url": "https://x.example.com/", "events": ["nothing"]}, "Choose one thing at least"),
        ({"url": "https://x.example.com/", "events": ["attempt.ended"], "company": str(own.other)},
         "New webhook"),
    ):  # fmt: skip
        answer = client.post(PAGE, form)
        assert answer.status_code == 422 and said in answer.text, form
    make(client, "https://x.example.com/")
    answer = client.post(PAGE, {"url": "https://x.example.com/", "events": ["attempt.ended"]})
    assert answer.status_code == 422 and "of that address already" in answer.text
    assert len(hooks(own)) == 1


@pytest.mark.database("sqlite")
def test_another_company_s_is_not_there_and_it_is_the_administrators_alone(own: Site) -> None:
    admin = own.client("admin")
    form = {"url": "https://x.example.com/", "events": ["attempt.ended"], "company": str(own.other)}
    assert admin.post(PAGE, form).status_code == 200
    (row,) = hooks(own)
    boss = own.client("boss")
    assert "x.example.com" not in boss.get(PAGE).text and "x.example.com" in admin.get(PAGE).text
    for what in ("pause", "resume", "remove", "deliveries/1/again"):
        assert boss.post(f"{PAGE}/{row.id}/{what}").status_code == 404
        assert own.client("super").post(f"{PAGE}/{row.id}/{what}").status_code == 403
    assert own.client("super").get(PAGE).status_code == 403
    assert hooks(own) == [row]


@pytest.mark.database("sqlite")
def test_many_deliveries_are_turned_page_by_page(own: Site) -> None:
    client = own.client("boss")
    make(client, "https://x.example.com/")
    (row,) = hooks(own)
    now = datetime.now(UTC)
    for n in range(55):
        put(
            own, t.webhook_delivery, endpoint_id=row.id, event_id=f"evt_{n:032d}", key=f"k{n}",
            type="attempt.ended", body="{}", state="failed", tries=1, next_at=now, created_at=now,
        )  # fmt: skip
    page = client.get(f"{PAGE}/{row.id}").text
    assert page.count("Given up</span>") == 50
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older is not None
    assert client.get(older[1].replace("&amp;", "&")).text.count("Given up</span>") == 5
