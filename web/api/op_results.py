"""Results: calls, messages and promises as they come, and the agents."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import Field

from dialer.domain.api import Scope
from dialer.domain.model import AttemptState
from dialer.store import api_views, reports
from dialer.store.story import masked
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of
from web.api.shapes import Answer, Feed, Page, Paged, fields_of


class Step(Answer):
    """A step considered after a call that the debtor cut short: refused, or what it made."""

    step: int
    kind: str
    refused: str | None
    at: datetime
    hangup_at: datetime | None
    made_attempt_id: str | None
    made_message_id: int | None
    message_state: str | None
    latency_ms: float | None


class Attempt(Answer):
    """A call, as `dialer attempts --json` has it, with ``reference``: the account's. ``number`` is
    whole for a key with the scope debtors:read, else its last digits."""

    id: str
    campaign_id: int
    lead_id: int
    debtor_id: int
    reference: str
    phone_id: int
    number: str
    caller_id: str
    trunk: str
    node: str
    flow: str
    follows: str | None
    fallback_index: int
    state: AttemptState
    placed_at: datetime
    dialled_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    first_key_at: datetime | None
    hangup_requested_at: datetime | None
    ended_at: datetime | None
    hung_up_by_debtor: bool
    q850: int | None
    sip_status: int | None
    detection: str | None
    detection_reason: str | None
    last_node: str | None
    last_prompt: str | None
    keys: str = Field(description="Pressed in menus; never digits of a card.")
    identity_confirmed: bool
    outcome: str | None
    outcome_node: str | None
    disposition: str | None
    failure: str | None
    mode: str
    inbound: bool
    agent_joined_at: datetime | None
    abandoned_at: datetime | None
    fallback: list[Step]
    fallback_latency_ms: float | None


class Message(Answer):
    """A message, without its text."""

    id: int
    company_id: int
    debtor_id: int
    reference: str | None
    campaign_id: int | None
    attempt_id: str | None
    channel: str
    template: str
    state: str
    tries: int
    error: str | None
    created_at: datetime
    updated_at: datetime


class Promise(Answer):
    """A promise to pay, made in a call."""

    id: int
    company_id: int
    debtor_id: int
    reference: str
    campaign_id: int
    attempt_id: str
    due: date
    amount_minor: int
    currency: str
    made_at: datetime


class Agent(Answer):
    """``state``: of their desk; null: they are not logged in."""

    id: int
    company_id: int
    login: str
    name: str
    skills: list[str]
    languages: list[str]
    active: bool
    state: str | None
    since: datetime | None


class AttemptsAsked(Paged):
    """Which calls."""

    open: bool = Field(False, description="Also those that go on, as far as they are.")


class AttemptFeed(Feed[Attempt]):
    """Calls in the order they were placed."""


class MessageFeed(Feed[Message]):
    """Messages in the order they were made."""


class PromiseFeed(Feed[Promise]):
    """Promises in the order they were made."""


class AgentPage(Page[Agent]):
    """Agents."""


@operation(
    "GET",
    "/campaigns/{campaign_id}/attempts",
    Scope.RESULTS_READ,
    AttemptFeed,
    "Results: the calls of a campaign",
    query=AttemptsAsked,
)
def list_attempts(ask: Asked, campaign_id: int) -> AttemptFeed:
    """In the order they were placed. Keep `next` and ask again with it whenever you like: each
    call comes once, when it is over. A page ends before a call that goes on, so that none is
    passed over; with `open=true` it does not, and a call that goes on may come unfinished."""
    campaign_of(ask, campaign_id)
    limit = ask.query.limit
    after = keys_of(ask.query.cursor, datetime, str)
    found, _ = reports.attempt_page(ask.connection, campaign_id, after, limit + 1)
    rows, held = found[:limit], False
    if not ask.query.open:
        rows, held = _ended(rows)
    references = api_views.references_of(ask.connection, {row["lead_id"] for row in rows})
    whole = Scope.DEBTORS_READ in ask.token.scopes
    return AttemptFeed(
        items=[_attempt(row, references, whole) for row in rows],
        next=cursor_of(rows[-1]["placed_at"], rows[-1]["id"]) if rows else _same(ask),
        more=len(found) > limit and not held,
    )


@operation("GET", "/messages", Scope.RESULTS_READ, MessageFeed, "Messages", query=Paged)
def list_messages(ask: Asked) -> MessageFeed:
    """In the order they were made, each as it stands now. Their texts are not told: links in them
    let pay."""
    rows, end, more = _page(ask, api_views.messages)
    items = [Message(**fields_of(row, Message)) for row in rows]
    return MessageFeed(items=items, next=end, more=more)


@operation("GET", "/promises", Scope.RESULTS_READ, PromiseFeed, "Promises to pay", query=Paged)
def list_promises(ask: Asked) -> PromiseFeed:
    """In the order they were made."""
    rows, end, more = _page(ask, api_views.promises)
    items = [Promise(**fields_of(row, Promise)) for row in rows]
    return PromiseFeed(items=items, next=end, more=more)


@operation("GET", "/agents", Scope.AGENTS_READ, AgentPage, "Agents", query=Paged)
def list_agents(ask: Asked) -> AgentPage:
    """Who takes the calls, and whether they are at their desk."""
    after = keys_of(ask.query.cursor, int)
    rows = api_views.agents(
        ask.connection, ask.token.company_id, after[0] if after else None, ask.query.limit + 1
    )
    kept = rows[: ask.query.limit]
    return AgentPage(
        items=[Agent(**fields_of(row, Agent)) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


def _page(ask: Asked, query: Any) -> tuple[list[Any], str, bool]:
    """Rows by growing id, the cursor after them, whether there is more."""
    after = keys_of(ask.query.cursor, int)
    start = after[0] if after else 0
    rows = query(ask.connection, ask.token.company_id, start, ask.query.limit + 1)
    kept = rows[: ask.query.limit]
    return list(kept), cursor_of(kept[-1].id if kept else start), len(rows) > len(kept)


def _ended(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """Those before the first that goes on; whether one was in the way."""
    for place, row in enumerate(rows):
        if row["state"] != AttemptState.ENDED.value:
            return rows[:place], True
    return rows, False


def _same(ask: Asked) -> str:
    return ask.query.cursor or cursor_of("0001-01-01T00:00:00+00:00", "")


def _attempt(row: dict[str, Any], references: dict[int, str], whole: bool) -> Attempt:
    values = {**row, "reference": references[row["lead_id"]]}
    if not whole:
        values["number"] = masked(row["number"])
    return Attempt(**fields_of(values, Attempt))
