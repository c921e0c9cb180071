"""What tests of the API share: programs with keys, campaigns with a past."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fixtures_site import Site

from dialer.domain.api import EventType, Scope
from dialer.store import api_tokens, webhook_events, webhooks

V1 = "/api/v1"


def key(
    site: Site,
    company_id: int | None,
    scopes: Iterable[Scope] = tuple(Scope),
    expires_at: datetime | None = None,
    maker: str | None = "admin",
) -> str:
    """A key, as its program has it. ``maker``: the user of the site who made it; None: somebody on
    the command line."""
    with site.engine.begin() as connection:
        _, token = api_tokens.create_token(
            connection, company_id=company_id, name="a program", scopes=list(scopes),
            actor="test" if maker is None else f"user:{site.ids[maker]}",
            now=datetime.now(UTC), expires_at=expires_at,
        )  # fmt: skip
    return token


def webhook(site: Site, company_id: int, url: str, *events: EventType) -> Any:
    """One that is told of these events, or of all; its row."""
    now = datetime.now(UTC)
    with site.engine.begin() as connection:
        return webhooks.create_endpoint(
            connection, company_id=company_id, url=url, events=events or tuple(EventType),
            cursors=webhook_events.start(connection, now), actor="test", now=now,
        )  # fmt: skip


class Program:
    """Asks with its key."""

    def __init__(self, site: Site, token: str | None) -> None:
        self._http = site.app.test_client()
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, headers: Any = None, **more: Any) -> Any:
        """Whatever comes of it."""
        return self._http.open(
            V1 + path, method=method, headers={**self._headers, **(headers or {})}, **more
        )

    def get(self, path: str, **query: Any) -> Any:
        """What a GET that works says."""
        answer = self.ask("GET", path, query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str, body: Any = None, *, status: int = 200, headers: Any = None) -> Any:
        """What a POST says."""
        more = {} if body is None else {"json": body}
        answer = self.ask("POST", path, headers, **more)
        assert answer.status_code == status, answer.text
        return answer.json

    def all_of(self, path: str, **query: Any) -> list[Any]:
        """Every item, page by page."""
        found: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, **query, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next"]
            if cursor is None or not page.get("more", True):
                return found


def program(site: Site, company_id: int | None = None, *scopes: Scope) -> Program:
    """One of a company with these scopes; all of them where none is named."""
    return Program(site, key(site, company_id, scopes or tuple(Scope)))


def new_lead(**changes: Any) -> dict[str, Any]:
    """Ana, who owes 123.45."""
    return {
        "document": "10000012A", "name": "Ana López", "phones": ["600 100 012"],
        "reference": "R-1", "amount_minor": 12345, "currency": "EUR", "due": "2026-12-31",
        **changes,
    }  # fmt: skip
