"""What the walk of refusals asks for: every route there is, with ids of a company in its path, and
a company that has one of everything.

A new route comes along by itself. A new part of a path has to be said in ``Theirs.values``; until
then ``doors`` raises.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from api_office import webhook
from console_world import attempt, campaign, debtor, lead, put
from fixtures_site import Site
from sqlalchemy import Connection, select, update
from test_console_recordings import record
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import AnyConverter, Rule

from dialer.domain.access import ApprovalKind, ApprovalState
from dialer.domain.api import Scope
from dialer.store import api_tokens, approvals
from dialer.store import tables as t
from web.console.uploads import Uploads

WORDS = (
    "Acme", "Quiteria", "Zurbano", "611222333", "611 222 333", "611 22 23 33", "611222334",
    "ZX-90210", "ambar", "Ana Ruiz", "Super Example", "super@example.com", "qz@example.net",
    "73.91", "73,91",
)  # fmt: skip
"""What only those of the company may read: its name, names, numbers and amounts. What a form of the
walk names by itself, and a page may repeat in its fields (ids, the document that is searched for),
is none of them."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOBODYS = frozenset(
    {"name", "filename", "language", "action", "key", "flow", "template", "version_id"}
)
"""Parts of paths that belong to no company: kinds of things, files of the product, texts of all."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """A company that has one of everything. ``values``: for the parts of paths; ``words``: what
    only those who belong to it may ever read."""

    company_id: int
    values: Mapping[str, Any]
    words: tuple[str, ...]
    document: str
    number: str
    session: str
    attempt_id: str
    agent_id: int

    @property
    def form(self) -> dict[str, Any]:
        """Every field in which a form, or an address, could name what is theirs."""
        told = {name: str(value) for name, value in self.values.items() if name not in NOBODYS}
        campaign_id, agent_id = told["campaign_id"], str(self.agent_id)
        return told | {
            "company": str(self.company_id), "company_id": str(self.company_id),
            "campaign": campaign_id, "like": campaign_id, "place": f"campaign:{campaign_id}",
            "agent": agent_id, "agent_id": agent_id, "pool": told["pool_id"],
            "debtor": told["debtor_id"], "account": told["account_id"], "user": told["user_id"],
            "actor": f"user:{told['user_id']}", "target": f"campaign:{campaign_id}",
            "words": self.document, "document": self.document, "number": self.number,
            "attempt": self.attempt_id, "session": self.session, "do": "import",
            # What is right otherwise, so that a company alone is what is wrong.
            "name": "mole", "email": "mole@example.com", "role": "supervisor",
            "numbers": "910 123 499", "scopes": "leads:write", "flow": "reminder",
        }  # fmt: skip

    def form_of(self, endpoint: str | None) -> dict[str, Any]:
        """The form of a route; some name a company, and what it has, by name."""
        if endpoint == "campaign_new.make":
            return self.form | {"company": "Acme", "pool": "pool of ambar quieto", "whom": "all"}
        return self.form


@dataclass(frozen=True, slots=True)
class Door:
    """One way in: a path, a method, and the route that answers; None where none does. ``owned``:
    something of a company is in the path."""

    method: str
    path: str
    endpoint: str | None
    owned: bool

    @property
    def blueprint(self) -> str:
        """Of the route."""
        return (self.endpoint or "").rpartition(".")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def doors(site: Site, theirs: Theirs) -> Iterator[Door]:
    """Each path of the route table with each method, whether there is a route for it or not.

    Raises KeyError for a part of a path that nothing is known for.
    """
    adapter = site.app.url_map.bind("localhost")
    seen: dict[str, Rule] = {}
    for rule in site.app.url_map.iter_rules():
        values = {name: _value(rule, name, theirs) for name in rule.arguments}
        seen.setdefault(adapter.build(rule.endpoint, values, method=_a_method(rule)), rule)
    for path, rule in sorted(seen.items()):
        owned = bool(rule.arguments - NOBODYS)
        for method in METHODS:
            try:
                endpoint, _values = adapter.match(path, method=method)
            except (MethodNotAllowed, NotFound):
                endpoint = None
            yield Door(method, path, endpoint, owned)


def _a_method(rule: Rule) -> str | None:
    return min(rule.methods) if rule.methods else None


def _value(rule: Rule, name: str, theirs: Theirs) -> Any:
    converter = rule._converters[name]
    if isinstance(converter, AnyConverter):
        return sorted(converter.items)[0]
    if rule.endpoint.startswith("gateways."):
        return "test"
    return theirs.values[name]


# --- a company with one of everything ---------------------------------------------------------


def one_of_everything(site: Site) -> Theirs:
    """Acme's."""
    now = datetime.now(UTC)
    campaign_id = campaign(site, site.acme, "ambar quieto", record=True)
    who = debtor(site, name="Quiteria Zurbano", document="48219376Q", email="qz@example.net")
    with site.engine.begin() as c:
        c.execute(update(t.phone).values(number="+34611222333"))
        c.execute(update(t.account).values(reference="ZX-90210"))
        account_id = c.scalar(select(t.account.c.id))
        agent_id = c.scalar(select(t.agent.c.id))
    lead_id = lead(site, who, campaign_id)
    # A sound is named like its attempt: an id as they really are, which no other text contains.
    called = attempt(site, lead_id, uuid4().hex, now - timedelta(hours=2))
    record(site.settings, called)
    talk = attempt(
        site, lead_id, uuid4().hex, now - timedelta(minutes=2), state="answered", ended_at=None,
        disposition=None,
    )  # fmt: skip
    of = {"company_id": site.acme, "debtor_id": who}
    session = _at_the_desk(site, agent_id, talk, of | {"campaign_id": campaign_id}, now)
    payment_id = _money(site, of | {"account_id": account_id}, called, now)
    values = {
        "campaign_id": campaign_id, "company_id": site.acme, "debtor_id": who,
        "user_id": site.ids["super"], "agent_id": agent_id, "account_id": account_id,
        "lead_id": lead_id, "attempt_id": called, "payment_id": payment_id, "session": session,
        "approval_id": _asked(site, payment_id, now), "token": "x" * 43, "name": "reminder",
        "filename": "app.css", "language": "es", "template": "missed_call", "version_id": 1,
        **_lists(site, campaign_id, now),
        **_programs(site, now), **_mailed(site, campaign_id, now),
    }  # fmt: skip
    with site.engine.connect() as c:
        values["pool_id"] = c.scalar(select(t.caller_id_pool.c.id))
    return Theirs(
        company_id=site.acme, values=values, words=WORDS, document="48219376Q",
        number="+34611222333", session=session, attempt_id=talk, agent_id=int(agent_id or 0),
    )  # fmt: skip


def _at_the_desk(
    site: Site, agent_id: Any, attempt_id: str, of: Mapping[str, Any], now: datetime
) -> str:
    """Ana talks with the debtor, and has agreed to call again; her session."""
    session: str = put(
        site, t.agent_session, id=uuid4().hex, agent_id=agent_id, node=site.settings.node,
        leg_token=uuid4().hex, state="talking", since=now, started_at=now, heartbeat_at=now,
    )  # fmt: skip
    at = now - timedelta(minutes=1)
    put(
        site, t.agent_call, attempt_id=attempt_id, session_id=session, agent_id=agent_id,
        kind="escalation", queued_at=at, joined_at=at, **of,
    )  # fmt: skip
    with site.engine.connect() as c:
        account_id = c.scalar(select(t.account.c.id))
    put(
        site, t.callback, company_id=of["company_id"], debtor_id=of["debtor_id"],
        account_id=account_id, agent_id=agent_id, due_at=now, state="due", made_by="test",
        note="ring the Zurbano bell", created_at=now,
    )  # fmt: skip
    return session


def _money(site: Site, of: Mapping[str, Any], attempt_id: str, now: datetime) -> str:
    """A payment, a promise, a text, a number that is not to be called."""
    at = now - timedelta(hours=1)
    payment_id = uuid4().hex
    put(
        site, t.payment, id=payment_id, order_ref=payment_id[:12], company_id=of["company_id"],
        account_id=of["account_id"], attempt_id=attempt_id, source="call", gateway="test",
        mode="charge", provider_ref=f"p-{payment_id}", amount_minor=7391, currency="EUR",
        state="approved", outcome="approved", brand="visa", last_four="4242", created_at=at,
        send_before=at, settled_at=at, captured_at=at, look_ups=0,
    )  # fmt: skip
    put(
        site, t.promise, account_id=of["account_id"], attempt_id=attempt_id, due=now.date(),
        amount_minor=7391, currency="EUR", made_at=at,
    )  # fmt: skip
    put(
        site, t.message, key=f"link:{attempt_id}", channel="sms", number="+34611222333",
        template="payment_link", body="Quiteria: 73,91", state="sent", created_at=at,
        updated_at=at, attempt_id=attempt_id, **of,
    )  # fmt: skip
    put(
        site, t.suppression, company_id=of["company_id"], number="+34611222334",
        reason="operator", source="user:1", at=at,
    )  # fmt: skip
    return payment_id


def _asked(site: Site, payment_id: str, now: datetime) -> int:
    """Two requests, one of them decided; the other one's number."""

    def ask(connection: Connection, minor: int) -> int:
        return approvals.ask(
            connection, ApprovalKind.REFUND, f"payment:{payment_id}", site.acme,
            {"minor": minor, "currency": "EUR", "forgive": False},
            "the ambar quieto mistake", site.ids["super"], now,
        )  # fmt: skip

    with site.engine.begin() as c:
        approvals.decide(c, ask(c, 50), ApprovalState.REFUSED, site.ids["admin"], now)
        return ask(c, 100)


def _lists(site: Site, campaign_id: int, now: datetime) -> dict[str, Any]:
    """A list that waits, and one that was imported with rejected rows."""
    rows = "dni;nombre;telefono;ref;importe;vence\n48219376Q;Quiteria Zurbano;611222333;ZX-90210;1,00;2026-01-31\n"  # noqa: E501
    uploads = Uploads(site.settings.home)
    sent = FileStorage(io.BytesIO(rows.encode()), "morosos-ambar.csv")
    one = uploads.keep(sent, site.acme, None, site.ids["super"])
    uploads.note(
        one, fields=["document", "name", "phone", "reference", "amount", "due"],
        how={"currency": "EUR"},
    )  # fmt: skip
    batch_id = put(
        site, t.import_batch, company_id=site.acme, campaign_id=campaign_id,
        file_name="morosos-ambar.csv", sha256="0" * 64, started_at=now, finished_at=now, rows=2,
        accepted=1, rejected=1, unchanged=0,
    )  # fmt: skip
    uploads.rejects_being_written(one).write_text("48219376Q;Quiteria Zurbano\n")
    uploads.keep_rejects(one, batch_id)
    return {"upload_id": one.id, "batch_id": batch_id}


def _mailed(site: Site, campaign_id: int, now: datetime) -> dict[str, Any]:
    """A report that is sent every day, and a message of it that nobody knows the end of."""
    mail_id = put(
        site, t.report_mail, company_id=site.acme, campaign_id=campaign_id,
        owner_id=site.ids["super"], format="csv", every="day", hour=7, timezone="UTC",
        language="es", addresses=["boss@ambar.example"], next_at=now + timedelta(days=1),
        created_at=now,
    )  # fmt: skip
    sending_id = put(
        site, t.report_sending, report_mail_id=mail_id, key="run:1", address="boss@ambar.example",
        first_day=now.date(), last_day=now.date(), state="handed", next_at=now, created_at=now,
    )  # fmt: skip
    return {"mail_id": mail_id, "sending_id": sending_id}


def _programs(site: Site, now: datetime) -> dict[str, Any]:
    """A key, a webhook, a delivery."""
    with site.engine.begin() as c:
        key_id, _token = api_tokens.create_token(
            c, company_id=site.acme, name="ambar feed", scopes=[Scope.LEADS_WRITE], actor="test",
            now=now,
        )  # fmt: skip
    endpoint = webhook(site, site.acme, "https://crm.example.com/ambar")
    delivery = put(
        site, t.webhook_delivery, endpoint_id=endpoint.id, event_id=uuid4().hex, key="k",
        type="promise.made", body="{}", state="failed", next_at=now, created_at=now,
    )  # fmt: skip
    return {"endpoint_id": endpoint.id, "delivery_id": delivery, "key_id": key_id}
