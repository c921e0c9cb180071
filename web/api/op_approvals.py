"""What one asks for and another one grants: refunds, and rules of contact looser than usual."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from sqlalchemy import Row

from dialer.config import ConfigError
from dialer.domain.access import ApprovalKind, ApprovalState, may_decide
from dialer.domain.api import Scope
from dialer.logs import mask_text
from dialer.payments import refunding
from dialer.store import approvals, payment_pages, policy_approvals
from dialer.store.policy_approvals import REASON_SHORTEST
from web.api.paging import cursor_of, keys_of
from web.api.person import maker_of
from web.api.registry import Asked, operation
from web.api.scoping import campaign_of, not_found
from web.api.shapes import Answer, Given, Page, Paged, Text, fields_of
from web.problems import Problem, invalid_fields

Reason = Annotated[Text, StringConstraints(min_length=REASON_SHORTEST)]
"""Why, for whoever decides: at most as long as it is kept."""


class Approval(Answer):
    """A request for a second person. ``detail``: what is to be done; ``api_key`` in it: a program
    asked, with the key of that number. ``result``: what came of carrying it out."""

    id: int
    company_id: int | None
    kind: ApprovalKind
    target: str = Field(description="Like `payment:...` or `campaign:12`.")
    detail: dict[str, Any]
    reason: str
    state: ApprovalState
    asked_by: int
    asker: str
    asked_at: datetime
    decided_by: int | None
    decider: str | None
    decided_at: datetime | None
    result: str | None


class ApprovalPage(Page[Approval]):
    """Requests, the newest first."""


class ApprovalsAsked(Paged):
    """Which requests."""

    state: ApprovalState | None = None


class Why(Given):
    """``reason``: a sentence for whoever decides."""

    reason: Reason


class RefundAsked(Why):
    """``amount_minor``: in minor units of the payment's currency. ``forgive``: the debt does not
    come back with the money."""

    amount_minor: int = Field(ge=1, le=2**53)
    forgive: bool = False


@operation(
    "GET", "/approvals", Scope.APPROVALS_READ, ApprovalPage, "Requests", query=ApprovalsAsked
)
def list_approvals(ask: Asked) -> ApprovalPage:
    """What waits for a second person and what was decided."""
    below = keys_of(ask.query.cursor, int)
    rows = approvals.page(
        ask.connection, ask.token.company_id, ask.query.state, below[0] if below else None,
        ask.query.limit + 1,
    )  # fmt: skip
    kept = rows[: ask.query.limit]
    return ApprovalPage(
        items=[_told(row) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


@operation("GET", "/approvals/{approval_id}", Scope.APPROVALS_READ, Approval, "One request")
def get_approval(ask: Asked, approval_id: int) -> Approval:
    """As it stands."""
    return _told(_found(ask, approval_id))


@operation(
    "POST",
    "/campaigns/{campaign_id}/ask-approval",
    Scope.APPROVALS_ASK,
    Approval,
    "Ask for looser rules",
    body=Why,
    status=201,
    example={"reason": "The creditor calls on Sundays, as agreed."},
)
def ask_for_rules(ask: Asked, campaign_id: int) -> Approval:
    """For a campaign whose start is refused with `needs_approval`; once it is granted, start it
    again. It is asked in the name of who made the key. 409 where nothing has to be granted, or it
    was asked for already."""
    row = campaign_of(ask, campaign_id)
    maker = maker_of(ask, row.company_id)
    made = policy_approvals.ask(
        ask.connection, campaign_id, _reason(ask), maker.user_id, ask.now, key_id=ask.token.id
    )
    return _told(_found(ask, made))


@operation(
    "POST",
    "/payments/{payment_id}/refund",
    Scope.APPROVALS_ASK,
    Approval,
    "Ask for a refund",
    body=RefundAsked,
    status=201,
    example={"amount_minor": 1250, "reason": "Charged twice for one debt."},
)
def ask_for_refund(ask: Asked, payment_id: str) -> Approval:
    """All of a payment or a part of it. No money leaves before somebody else has granted it. It is
    asked in the name of who made the key. 409 where less is left of the payment, which `detail`
    says."""
    one = payment_pages.one(ask.connection, payment_id)
    if one is None or not ask.token.sees(one.company_id):
        raise not_found("payment")
    maker = maker_of(ask, one.company_id)
    made = refunding.ask_in(
        ask.connection, payment_id, ask.body.amount_minor, _reason(ask), maker.user_id, ask.now,
        forgive=ask.body.forgive, key_id=ask.token.id,
    )  # fmt: skip
    if made is None:
        left = refunding.left(ask.connection, payment_id)
        raise _no(f"At most {left} can be asked back, in minor units of {one.currency}.")
    return _told(_found(ask, made))


@operation(
    "POST", "/approvals/{approval_id}/grant", Scope.APPROVALS_DECIDE, Approval, "Grant a request"
)
def grant_approval(ask: Asked, approval_id: int) -> Approval:
    """In the name of who made the key, who must not be who asked; what a program has asked for is
    decided in the console alone. A refund that is granted is sent by the workers, within
    some minutes: see `result` and the payment."""
    one, user_id = _to_decide(ask, approval_id)
    if one.kind == ApprovalKind.REFUND.value:
        try:
            done = refunding.grant_in(
                ask.connection, ask.settings, one, user_id, ask.now, ask.token.id
            )
        except ConfigError as error:
            raise _no("The gateway of this payment is not set up; nothing was decided.") from error
    else:
        done = approvals.decide(
            ask.connection, approval_id, ApprovalState.GRANTED, user_id, ask.now, actor=ask.actor
        )
    if not done:
        raise _no("Somebody has decided it already.")
    return _told(_found(ask, approval_id))


@operation(
    "POST", "/approvals/{approval_id}/refuse", Scope.APPROVALS_DECIDE, Approval, "Refuse a request"
)
def refuse_approval(ask: Asked, approval_id: int) -> Approval:
    """Nothing is done. By whom: as with granting."""
    _one, user_id = _to_decide(ask, approval_id)
    if not approvals.decide(
        ask.connection, approval_id, ApprovalState.REFUSED, user_id, ask.now, actor=ask.actor
    ):
        raise _no("Somebody has decided it already.")
    return _told(_found(ask, approval_id))


@operation(
    "POST",
    "/approvals/{approval_id}/withdraw",
    Scope.APPROVALS_ASK,
    Approval,
    "Take a request back",
)
def withdraw_approval(ask: Asked, approval_id: int) -> Approval:
    """One that who made the key has asked for, with a key or without, while nobody has decided;
    409 for any other."""
    maker = maker_of(ask, _found(ask, approval_id).company_id)
    if not approvals.withdraw(ask.connection, approval_id, maker.user_id, ask.now, actor=ask.actor):
        raise _no("It is not of who made this key, or somebody has decided it already.")
    return _told(_found(ask, approval_id))


def _to_decide(ask: Asked, approval_id: int) -> tuple[Row[Any], int]:
    """The request, and in whose name it is decided. Raises Problem: 404, 403, 409."""
    one = _found(ask, approval_id)
    maker = maker_of(ask, one.company_id)
    if not may_decide(one.asked_by, maker):
        raise Problem(
            403, "own_request", "Who asked does not decide",
            "It was asked for by who made this key: another manager has to decide it.",
        )  # fmt: skip
    if approvals.KEY in one.detail:
        raise Problem(
            403, "program_asked", "A person decides what a program asked for",
            "Another manager decides it in the console, under Approvals.",
        )  # fmt: skip
    if one.state != ApprovalState.ASKED.value:
        raise _no("Somebody has decided it already.")
    return one, maker.user_id


def _reason(ask: Asked) -> str:
    """Raises Problem (422) for one with a long number in it: many read it, and it stays."""
    reason: str = " ".join(ask.body.reason.split())
    if len(reason) < REASON_SHORTEST:
        raise invalid_fields([("reason", "say why in a sentence")])
    if mask_text(reason) != reason:
        raise invalid_fields([("reason", "take the long number or the address out")])
    return reason


def _found(ask: Asked, approval_id: int) -> Row[Any]:
    row = approvals.load(ask.connection, approval_id)
    if row is None or not ask.token.sees(row.company_id):
        raise not_found("request")
    return row


def _told(row: Row[Any]) -> Approval:
    return Approval(**fields_of(row, Approval))


def _no(detail: str) -> Problem:
    return Problem(409, "not_possible", "That cannot be done", detail)
