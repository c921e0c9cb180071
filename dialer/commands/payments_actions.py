"""``dialer payments refund|void|capture|resolve|link``: what people do to payments.

Each is written down with who and why before anything leaves. Exit code 3: the gateway has not said
yet; the workers go on asking.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from sqlalchemy import Connection, Engine, select

from dialer.commands import common
from dialer.commands.exits import FAILED, OK, PARTLY
from dialer.config import Settings, load_settings
from dialer.domain.currency import parse_written, written
from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentOutcome, PaymentSource, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.messaging.links import make_link
from dialer.payments import reversals, service
from dialer.payments.gateway import Gateway, GatewayError, Reply
from dialer.payments.gateways import choose, gateway_named
from dialer.payments.resolving import Resolver
from dialer.payments.service import NotBegun, PaymentRequest
from dialer.store import audit, payment_reports
from dialer.store.companies import find_company
from dialer.store.ledger import balance_of
from dialer.store.payments import Payment
from dialer.store.tables import account, company

yes_option = click.option("--yes", is_flag=True, help="Do not ask whether to do it.")
reason_option = click.option("--reason", required=True, help="Why; kept with the payment.")
amount_option = click.option("--amount", help="In major units (20.00); without it, all of it.")
forgive_option = click.option(
    "--forgive", is_flag=True, help="What is given back is not owed again."
)


@contextmanager
def _open(settings: Settings) -> Iterator[Engine]:
    engine = common.require_database(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def _find(engine: Engine, name: str) -> Payment:
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        return payment_reports.find(connection, name)


def money(minor: int, currency: str) -> str:
    """``20.00 EUR``."""
    return written(Money(minor, currency))


def minor_units(text: str | None, currency: str) -> int | None:
    """Minor units of ``20``, ``20.00`` or ``20.00 EUR``. Raises UsageError."""
    if text is None:
        return None
    try:
        named = text if text.strip()[-1:].isalpha() else f"{text} {currency}"
        amount = parse_written(named)
    except ValueError:
        amount = None
    if amount is None or amount.currency != currency:
        raise click.UsageError(f"--amount: write it like {money(2000, currency)}, not {text!r}")
    return amount.minor


def _ask(question: str, yes: bool) -> None:
    """Raises Abort where somebody says no, UsageError where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is nobody to ask here: add --yes")
    click.confirm(question, abort=True)


def _of(one: Payment) -> str:
    card = (
        f" ({one.brand.value if one.brand else 'card'} *{one.last_four})" if one.last_four else ""
    )
    return f"payment {one.id[:8]} of {money(one.amount.minor, one.amount.currency)}{card}"


# --- giving back -------------------------------------------------------------------------


@click.command("refund")
@click.argument("payment")
@amount_option
@reason_option
@forgive_option
@yes_option
@common.actor_option
@common.json_option
def refund(
    payment: str,
    amount: str | None,
    reason: str,
    forgive: bool,
    yes: bool,
    actor: str,
    as_json: bool,
) -> int:
    """Give back PAYMENT, or a part of it. The debt is owed again unless it is forgiven."""
    settings = load_settings()
    with _open(settings) as engine:
        one = _find(engine, payment)
        minor = minor_units(amount, one.amount.currency)
        what = "all that is left" if minor is None else money(minor, one.amount.currency)
        _ask(f"Give back {what} of {_of(one)}?", yes)
        done = reversals.refund(
            engine, gateway_named(settings, one.gateway), one.id, minor,
            reason=reason, actor=actor, clock=common.now, forgive=forgive,
        )  # fmt: skip
    return _tell(one, "refund", done, as_json)


@click.command("void")
@click.argument("payment")
@reason_option
@forgive_option
@yes_option
@common.actor_option
@common.json_option
def void(payment: str, reason: str, forgive: bool, yes: bool, actor: str, as_json: bool) -> int:
    """Undo PAYMENT as if it had not been: a charge of today, or an authorisation."""
    settings = load_settings()
    with _open(settings) as engine:
        one = _find(engine, payment)
        _ask(f"Undo {_of(one)}?", yes)
        done = reversals.void(
            engine, gateway_named(settings, one.gateway), one.id,
            reason=reason, actor=actor, clock=common.now, forgive=forgive,
        )  # fmt: skip
    return _tell(one, "void", done, as_json)


def _tell(one: Payment, what: str, done: reversals.Reversed, as_json: bool) -> int:
    code = {RefundLife.DONE: OK, RefundLife.REFUSED: FAILED}.get(done.state, PARTLY)
    if as_json:
        common.write_json(
            {
                "payment": one.id,
                what: done.refund_id,
                "state": done.state.value,
                "reason": done.reason,
            }
        )
        return code
    why = f" ({done.reason})" if done.reason else ""
    if code == OK:
        click.echo(f"{what} {done.refund_id[:8]} of payment {one.id[:8]} is done")
    elif code == FAILED:
        click.echo(f"{one.gateway} refused the {what} of payment {one.id[:8]}{why}", err=True)
    else:
        click.echo(
            f"{one.gateway} has not said what became of the {what} of payment {one.id[:8]}{why}:"
            f" do not repeat it; `dialer payments resolve {one.id[:8]}` asks again, and so do the"
            " workers"
        )
    return code


# --- taking what is held -----------------------------------------------------------------


@click.command("capture")
@click.argument("payment")
@amount_option
@click.option("--reason", default="captured", show_default=True, help="Kept with the payment.")
@yes_option
@common.actor_option
@common.json_option
def capture(
    payment: str, amount: str | None, reason: str, yes: bool, actor: str, as_json: bool
) -> int:
    """Take the money that PAYMENT only authorised, or a part of it; the rest is let go."""
    settings = load_settings()
    with _open(settings) as engine:
        one = _find(engine, payment)
        minor = minor_units(amount, one.amount.currency)
        what = money(one.amount.minor if minor is None else minor, one.amount.currency)
        _ask(f"Take {what} of {_of(one)}?", yes)
        reply = reversals.capture(
            engine, gateway_named(settings, one.gateway), one.id, minor,
            reason=reason, actor=actor, clock=common.now,
        )  # fmt: skip
    taken = reply.outcome is PaymentOutcome.APPROVED
    unknown = reply.outcome is PaymentOutcome.UNKNOWN
    code = OK if taken else PARTLY if unknown else FAILED
    if as_json:
        common.write_json(
            {"payment": one.id, "outcome": reply.outcome.value, "reason": reply.reason}
        )
    elif taken:
        click.echo(f"{what} of payment {one.id[:8]} taken")
    elif unknown:
        click.echo(
            f"{one.gateway} has not said whether it took {what}: run the same command again"
            " (a gateway takes an authorisation once)"
        )
    else:
        why = reply.reason or reply.outcome.value
        click.echo(f"{one.gateway} did not take it: {why}", err=True)
    return code


# --- asking ------------------------------------------------------------------------------


@click.command("resolve")
@click.argument("payment", required=False)
@common.json_option
def resolve(payment: str | None, as_json: bool) -> int:
    """Ask the gateways now what became of PAYMENT, or of everything in doubt, refunds too."""
    settings = load_settings()
    with _open(settings) as engine:
        only = _find(engine, payment).id if payment else None
        # Texts that this makes are found by the workers' sweep.
        service.reconcile(engine, common.now(), settings)
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            ids, back = payment_reports.open_ids(connection, only)
        resolver = Resolver(settings, engine)
        if only is not None and not ids:
            ids = [only]  # a link that was paid, for one
        found = {one: resolver.look_up(one, now=True) for one in ids}
        returned = {one: resolver.look_up_refund(one, now=True) for one in back}
    doubt = [one for one, state in found.items() if state.open]
    doubt += [one for one, state in returned.items() if RefundLife(state).open]
    if as_json:
        common.write_json(
            {
                "payments": {one: state.value for one, state in found.items()},
                "refunds": returned,
                "in_doubt": len(doubt),
            }
        )
        return PARTLY if doubt else OK
    for one, state in found.items():
        click.echo(f"payment {one[:8]}: {_words(state)}")
    for one, said in returned.items():
        click.echo(f"refund {one[:8]}: {said}")
    if not found and not returned:
        click.echo("nothing is in doubt")
    return PARTLY if doubt else OK


def _words(state: PaymentState) -> str:
    if state in (PaymentState.CREATED, PaymentState.SENDING):
        return f"{state.value}: still under way; ask again in some minutes"
    return f"{state.value}: the gateway does not know yet" if state.open else state.value


# --- a link ------------------------------------------------------------------------------


@click.command("link")
@click.argument("payment", required=False)
@click.option("--account", "reference", help="The reference of a debt, where there is no payment.")
@click.option("--company", "company_name", help="Where there are several.")
@click.option("--gateway", "gateway_name", help="Another one than the country's.")
@click.option("--days", type=click.IntRange(1, 30), default=3, show_default=True, help="Its life.")
@common.actor_option
@common.json_option
def link(
    payment: str | None,
    reference: str | None,
    company_name: str | None,
    gateway_name: str | None,
    days: int,
    actor: str,
    as_json: bool,
) -> None:
    """Make an address at the gateway where what is open of a debt can be paid.

    Of the debt of PAYMENT (one that needed 3-D Secure, or was declined), or of --account.
    """
    if (payment is None) is (reference is None):
        raise click.UsageError("give a payment, or --account with the reference of a debt")
    settings = load_settings()
    with _open(settings) as engine:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            row, usual = _debt(connection, settings, payment, reference, company_name)
        gateway = gateway_named(settings, _named(gateway_name or usual, row.country))
        if not gateway.capabilities().links:
            raise click.ClickException(
                f"{gateway.name} makes no payment pages: name another one with --gateway, or send"
                f" {make_link(settings, row.id)}"
            )
        made = _make_link(engine, settings, gateway, row.id, timedelta(days=days), actor)
    if as_json:
        common.write_json(made)
        return
    click.echo(made["url"])
    click.echo(
        f"{money(made['amount_minor'], made['currency'])}, until {made['expires']:%Y-%m-%d %H:%M}"
        f" UTC; payment {made['payment'][:8]}",
        err=True,
    )


def _named(name: str | None, country: str) -> str:
    if name is None:
        raise click.ClickException(
            f"no gateway takes payments in {country}: set DIALER_GATEWAYS, or name one with"
            " --gateway"
        )
    return name


def _debt(
    connection: Connection,
    settings: Settings,
    payment: str | None,
    reference: str | None,
    company_name: str | None,
) -> tuple[Any, str | None]:
    """The account's row (id, country), and the gateway that usually takes its payments."""
    query = select(account.c.id, company.c.country).join(
        company, company.c.id == account.c.company_id
    )
    if payment is not None:
        one = payment_reports.find(connection, payment)
        return connection.execute(query.where(account.c.id == one.account_id)).one(), one.gateway
    found = find_company(connection, company_name)
    row = connection.execute(
        query.where(account.c.company_id == found.id, account.c.reference == reference)
    ).first()
    if row is None:
        raise click.ClickException(f"{found.name} has no debt with the reference {reference!r}")
    return row, choose(settings, None, row.country)


def _make_link(
    engine: Engine,
    settings: Settings,
    gateway: Gateway,
    account_id: int,
    life: timedelta,
    actor: str,
) -> dict[str, Any]:
    """The payment is written down first; it holds nothing (the link may never be used), and is
    settled by the gateway's webhook."""
    with engine.begin() as connection:
        stands = balance_of(connection, account_id)
        if stands.open <= 0:
            raise click.ClickException("nothing is open of this debt: there is nothing to pay")
        begun = service.begin(
            connection,
            PaymentRequest(
                account_id=account_id,
                amount=Money(stands.open, stands.currency),
                mode=PaymentMode.CHARGE,
                gateway=gateway.name,
                source=PaymentSource.LINK,
            ),
            common.now(),
        )
    if isinstance(begun, NotBegun):
        raise click.ClickException(_NOT_BEGUN.get(begun.why, f"too many payments: {begun.why}"))
    expires = common.now() + life
    url = None
    try:
        url = gateway.payment_link(begun.order, expires, make_link(settings, account_id))
    except GatewayError as error:
        why = str(error)
    else:
        why = f"{gateway.name} gave no address"
    with engine.begin() as connection:
        if url is None:
            service.abandon(connection, begun.payment_id, common.now())
        else:
            reply = Reply(PaymentOutcome.NEEDS_ACTION, reason="link")
            service.settle(connection, begun.payment_id, reply, common.now(), settings)
            audit.record(
                connection,
                actor=actor,
                action="payment.link",
                target=f"payment:{begun.payment_id}",
                now=common.now(),
                after={"minor": begun.order.amount.minor, "expires": expires.isoformat()},
            )
    if url is None:
        raise click.ClickException(f"no link was made: {why}")
    return {
        "payment": begun.payment_id,
        "url": url,
        "amount_minor": begun.order.amount.minor,
        "currency": begun.order.amount.currency,
        "expires": expires,
    }


_NOT_BEGUN = {
    "under_way": "another payment of this debt is under way or in doubt:"
    " `dialer payments --unresolved`",
    "nothing_open": "nothing is open of this debt: there is nothing to pay",
    "less_open": "the debt has just changed: try again",
}

ACTIONS: tuple[click.Command, ...] = (refund, void, capture, resolve, link)
