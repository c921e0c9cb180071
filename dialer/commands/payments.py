"""``dialer payments``: payments as people look at them, and the books."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from dialer.commands import common
from dialer.commands.exits import FAILED, OK
from dialer.commands.payments_actions import ACTIONS, money
from dialer.config import load_settings
from dialer.domain.payment import PaymentState
from dialer.store import campaigns, ledger, payment_reports
from dialer.store.companies import find_company
from dialer.store.payment_reports import Wanted

SHOWN = 50


@click.group("payments", invoke_without_command=True)
@click.option("--campaign", help="Only those of one campaign's calls.")
@click.option("--company", help="Only those of one company.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Only those made since then (UTC).",
)
@click.option(
    "--state", type=click.Choice([one.value for one in PaymentState]), help="Only those in a state."
)
@click.option("--unresolved", is_flag=True, help="Only those in doubt: charged or not is unknown.")
@click.option("--uncaptured", is_flag=True, help="Only those authorised and not captured.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    show_default=f"{SHOWN} in a table, all as JSON",
    help="The newest so many.",
)
@common.json_option
@click.pass_context
def payments(
    context: click.Context,
    campaign: str | None,
    company: str | None,
    since: datetime | None,
    state: str | None,
    unresolved: bool,
    uncaptured: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List payments: of a card the brand and the last four digits, of a telephone the last three.

    \b
    dialer payments --unresolved
    dialer payments show 3f9a0c12
    dialer payments resolve                    ask the gateways about what is in doubt
    dialer payments refund 3f9a0c12 --amount 20.00 --reason "charged for two months"
    dialer payments books                      does everything add up?

    A payment goes by its id, the first digits of it, or its order reference. docs/payments.md
    explains states and outcomes.
    """
    if context.invoked_subcommand is not None:
        return
    with common.reading(load_settings()) as connection:
        wanted = Wanted(
            campaign_id=campaigns.find(connection, campaign).id if campaign else None,
            company_id=find_company(connection, company).id if company else None,
            since=since.replace(tzinfo=UTC) if since else None,
            state=PaymentState(state) if state else None,
            unresolved=unresolved,
            uncaptured=uncaptured,
            # One more than is shown tells whether there are more.
            limit=limit or (None if as_json else SHOWN + 1),
        )
        found = payment_reports.payment_list(connection, wanted)
    if as_json:
        common.write_json(found)
        return
    more = limit is None and len(found) > SHOWN
    _table(found[1:] if more else found)
    if more:
        click.echo(f"older ones are not shown: --limit, or --json, shows more than {SHOWN}")


def _table(found: list[dict[str, Any]]) -> None:
    common.write_table(
        "",
        ("made (UTC)", "id", "campaign", "debt", "amount", "card", "state", "why", "gateway",
         "given back"),
        [
            (
                one["created_at"].strftime("%Y-%m-%d %H:%M:%S"),
                one["id"][:8],
                one["campaign"] or one["source"],
                one["account"],
                money(one["amount_minor"], one["currency"]),
                _card(one),
                _state(one),
                one["reason"] or one["outcome"],
                one["gateway"],
                _given_back(one),
            )
            for one in found
        ],
    )  # fmt: skip


def _card(one: dict[str, Any]) -> str:
    return f"{one['brand'] or ''} *{one['last_four']}".strip() if one["last_four"] else ""


def _state(one: dict[str, Any]) -> str:
    if one["disputed_at"] is not None:
        return f"{one['state']}, disputed"
    held = one["mode"] == "authorise" and one["state"] == "approved" and not one["captured_at"]
    return "authorised" if held else str(one["state"])


def _given_back(one: dict[str, Any]) -> str:
    return ", ".join(
        f"{money(back['amount_minor'], one['currency'])} {back['state']}"
        for back in one["refunds"]
        if back["state"] != "refused"
    )


@payments.command("show")
@click.argument("payment")
@common.json_option
def show(payment: str, as_json: bool) -> None:
    """Everything known of PAYMENT: its life, its entries, its refunds, who did what."""
    with common.reading(load_settings()) as connection:
        found = payment_reports.find(connection, payment)
        told = payment_reports.timeline(connection, found.id)
    if as_json:
        common.write_json(told)
        return
    parts = ("events", "ledger", "balance", "audit", "refunds")
    facts = {key: value for key, value in told.items() if key not in parts and value is not None}
    currency = facts.pop("currency")
    facts["amount"] = money(facts.pop("amount_minor"), currency)
    common.write_table(f"payment {told['id']}", ("", ""), list(facts.items()))
    common.write_table(
        "what happened",
        ("at", "what", "details"),
        [(one["at"], one["kind"], _pairs(one["detail"])) for one in told["events"]],
    )
    common.write_table(
        "ledger",
        ("at", "transaction", "book", "amount"),
        [
            (one["at"], one["transaction"].split(":")[0], one["book"],
             money(one["minor"], currency))
            for one in told["ledger"]
        ],
    )  # fmt: skip
    stands = told["balance"]
    common.write_table(
        "the debt now",
        ("", ""),
        [
            (key, money(value, stands["currency"]))
            for key, value in stands.items()
            if key != "currency" and (value or key in ("claim", "open", "paid"))
        ],
    )
    _backs(told, currency)
    if told["audit"]:
        common.write_table(
            "by whom",
            ("at", "who", "what", "details"),
            [
                (one["at"], one["actor"], one["action"], _pairs(one["after"] or {}))
                for one in told["audit"]
            ],
        )


def _backs(told: dict[str, Any], currency: str) -> None:
    if not told["refunds"]:
        return
    common.write_table(
        "given back",
        ("at", "id", "what", "amount", "state", "owed again", "reason", "gateway's reason", "by"),
        [
            (
                one["created_at"],
                one["id"][:8],
                one["kind"],
                money(one["amount_minor"], currency),
                one["state"],
                "no" if one["forgive"] else "yes",
                one["reason"],
                one["provider_reason"],
                one["actor"],
            )
            for one in told["refunds"]
        ],
    )


def _pairs(details: dict[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (details or {}).items() if value)


@payments.command("books")
@common.json_option
def books(as_json: bool) -> int:
    """Check that everything adds up: entries, payments, refunds, balances; exit code 1 if not."""
    with common.reading(load_settings()) as connection:
        wrong = ledger.audit_books(connection)
    if as_json:
        common.write_json({"ok": not wrong, "wrong": wrong})
    elif wrong:
        for line in wrong:
            click.echo(line)
        click.echo(
            f"{len(wrong)} things do not add up; `dialer payments show` tells the life of a payment"
        )
    else:
        click.echo("the books add up")
    return FAILED if wrong else OK


for _action in ACTIONS:
    payments.add_command(_action)
