"""The audit log, and the users whose names are in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field

from dialer.domain.access import Role
from dialer.domain.api import Scope
from dialer.store import audit_views, users
from dialer.store.audit_views import Wanted
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import company_of
from web.api.shapes import Answer, Id, Page, Paged, Text
from web.api.times import utc


class Entry(Answer):
    """Who changed what, and how. ``actor``: like `user:3` or `api_key:7`; ``target``: like
    `campaign:12`; names where they are known."""

    id: int
    at: datetime
    actor: str
    actor_name: str | None
    action: str
    target: str
    target_name: str | None
    before: Any
    after: Any


class EntryPage(Page[Entry]):
    """Entries, the newest first."""


class EntriesAsked(Paged):
    """Which entries."""

    company_id: Id | None = None
    actor: Text | None = Field(None, description="Like `user:3`; `outside`: no user.")
    action: Text | None = Field(None, description="Like `campaign.start`, or `campaign.` for all.")
    target: Text | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(None, description="Not included.")


class User(Answer):
    """Somebody who may log in to the console. ``company_id``: null: every company."""

    id: int
    company_id: int | None
    name: str
    email: str
    role: Role
    agent_id: int | None
    active: bool
    second_factor: bool
    last_seen_at: datetime | None


class UserPage(Page[User]):
    """Users."""


@operation("GET", "/audit", Scope.AUDIT_READ, EntryPage, "The audit log", query=EntriesAsked)
def list_audit(ask: Asked) -> EntryPage:
    """What people and programs changed. What is no company's is for keys of every company."""
    asked: EntriesAsked = ask.query
    if asked.company_id is not None:
        company_of(ask, asked.company_id)
    wanted = Wanted(
        seen_by=ask.token.company_id,
        company_id=asked.company_id,
        actor=asked.actor,
        action=asked.action,
        target=asked.target,
        since=utc(asked.since, "since") if asked.since else None,
        until=utc(asked.until, "until") if asked.until else None,
    )
    before = keys_of(asked.cursor, int)
    page = audit_views.page(ask.connection, wanted, before[0] if before else None, asked.limit)
    return EntryPage(
        items=[
            Entry(**{name: getattr(one, name) for name in Entry.model_fields})
            for one in page.entries
        ],
        next=None if page.after_this is None else cursor_of(page.after_this),
    )


@operation("GET", "/users", Scope.USERS_READ, UserPage, "Users of the console", query=Paged)
def list_users(ask: Asked) -> UserPage:
    """A company's, or all of them. They are made and changed in the console alone: a user chooses
    a password by a link that an administrator hands over."""
    after = keys_of(ask.query.cursor, int)
    found = sorted(users.list_users(ask.connection, ask.token.company_id), key=lambda one: one.id)
    rows = [one for one in found if after is None or one.id > after[0]]
    kept = rows[: ask.query.limit]
    return UserPage(
        items=[User(**{name: getattr(one, name) for name in User.model_fields}) for one in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )
