"""Approvals: what one manager asked for and another one grants or refuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Connection, Row, select
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from dialer.config import ConfigError
from dialer.domain.access import MANAGERS, READERS, ApprovalKind, ApprovalState, may_decide
from dialer.domain.payment_states import RefundLife
from dialer.payments import refunding
from dialer.store import approvals as store
from dialer.store import payment_pages, policy_approvals
from dialer.store.tables import campaign
from web.access.doors import viewer
from web.access.rules import allow
from web.console import policy
from web.ui.words import gettext as _

if TYPE_CHECKING:
    from web.parts import Parts


def approvals(parts: Parts) -> Blueprint:
    """The pages, at /approvals."""
    blueprint = Blueprint("approvals", __name__, url_prefix="/approvals")

    @blueprint.get("")
    @allow(READERS)
    def index() -> str:
        """What waits, and what was decided."""
        before = request.args.get("before", type=int)
        with parts.readonly() as connection:
            waiting = store.open_requests(connection, viewer().company_id)
            found = store.decided(connection, viewer().company_id, before)
            decided = found[: store.PAGE]
            campaigns = _campaigns(connection, [*waiting, *decided])
            refunds = payment_pages.refunds_by_id(
                connection, [key for row in decided if (key := _refund_id(row))]
            )
        return render_template(
            "approvals/index.html", waiting=waiting, decided=decided, before=before,
            may_decide={row.id for row in waiting if may_decide(row.asked_by, viewer())},
            campaigns=campaigns, rules_of=policy_approvals.rules_of, said=policy.said,
            results={row.id: _result(row, refunds) for row in decided},
            older=decided[-1].id if len(found) > len(decided) else None,
        )  # fmt: skip

    @blueprint.post("/<int:approval_id>/grant")
    @allow(MANAGERS)
    def grant(approval_id: int) -> AnyResponse:
        """Granted: done at once."""
        one = _found(parts, approval_id)
        if not may_decide(one.asked_by, viewer()):
            return _told(_("Who asked does not decide. Another manager has to."), "bad")
        if one.kind == ApprovalKind.POLICY.value:
            return _grant_rules(parts, approval_id)
        if one.kind != ApprovalKind.REFUND.value:
            raise NotFound
        try:
            done = refunding.grant(parts.engine, parts.settings, one, viewer().user_id)
        except ConfigError:
            return _told(
                _(
                    "The gateway of this payment is not set up here, so nothing was decided. An"
                    " administrator can set it up."
                ),
                "bad",
            )
        if not done.decided:
            return _decided_before()
        if done.refund is None:
            return _told(
                _("It cannot be given back: the payment has less left, or its gateway refuses it."),
                "bad",
            )
        return _told(*_said(done.refund.state))

    @blueprint.post("/<int:approval_id>/refuse")
    @allow(MANAGERS)
    def refuse(approval_id: int) -> AnyResponse:
        """Refused: nothing is done."""
        one = _found(parts, approval_id)
        if not may_decide(one.asked_by, viewer()):
            return _told(_("Who asked does not decide. Another manager has to."), "bad")
        with parts.engine.begin() as connection:
            done = store.decide(
                connection, approval_id, ApprovalState.REFUSED, viewer().user_id, datetime.now(UTC)
            )
        if not done:
            return _decided_before()
        if one.kind == ApprovalKind.POLICY.value:
            return _told(_("Refused. The campaign does not start as it is."), "good")
        return _told(_("Refused. No money leaves."), "good")

    @blueprint.post("/<int:approval_id>/withdraw")
    @allow(MANAGERS)
    def withdraw(approval_id: int) -> AnyResponse:
        """Taken back by who asked."""
        _found(parts, approval_id)
        with parts.engine.begin() as connection:
            done = store.withdraw(connection, approval_id, viewer().user_id, datetime.now(UTC))
        return _told(_("Taken back."), "good") if done else _decided_before()

    return blueprint


def _grant_rules(parts: Parts, approval_id: int) -> AnyResponse:
    """A campaign may be looser than its country's rules; nobody starts it by that."""
    with parts.engine.begin() as connection:
        done = store.decide(
            connection, approval_id, ApprovalState.GRANTED, viewer().user_id, datetime.now(UTC)
        )
    return _told(_("Granted. The campaign can be started."), "good") if done else _decided_before()


def _campaigns(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, Any]:
    """Of requests about rules: target -> the campaign's id and name."""
    ids = {
        int(row.target.rpartition(":")[2]) for row in rows if row.kind == ApprovalKind.POLICY.value
    }
    found = select(campaign.c.id, campaign.c.name).where(campaign.c.id.in_(ids))
    return {policy_approvals.target_of(row.id): row for row in connection.execute(found)}


def _found(parts: Parts, approval_id: int) -> Row[Any]:
    """Raises NotFound for what is not there, or another company's."""
    with parts.readonly() as connection:
        one = store.load(connection, approval_id)
    if one is None or not viewer().sees(one.company_id):
        raise NotFound
    return one


def _told(text: str, kind: str) -> AnyResponse:
    flash(text, kind)
    return redirect(url_for("approvals.index"))


def _decided_before() -> AnyResponse:
    return _told(_("Somebody has decided it already. Nothing was done twice."), "bad")


def _said(state: RefundLife) -> tuple[str, str]:
    if state is RefundLife.DONE:
        return _("Granted, and the money is on its way back to the card."), "good"
    if state is RefundLife.REFUSED:
        return _("Granted, but the gateway refused to give it back."), "bad"
    return (
        _(
            "Granted. The gateway has not said yet what became of it; it is asked again by itself."
            " Do not ask for it a second time."
        ),
        "good",
    )


def _refund_id(row: Row[Any]) -> str | None:
    result: str = row.result or ""
    return result.removeprefix(refunding.REFUND) if result.startswith(refunding.REFUND) else None


def _result(row: Row[Any], refunds: dict[str, Row[Any]]) -> str | None:
    """The state of what was carried out: of a RefundLife, or ``impossible``."""
    key = _refund_id(row)
    if key is None:
        told: str | None = row.result
        return told
    one = refunds.get(key)
    return None if one is None else str(one.state)
