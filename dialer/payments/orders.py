"""Orders as gateways are given them, read from the database."""

from __future__ import annotations

from sqlalchemy import Connection, select

from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode
from dialer.payments.booking import UnknownPaymentError
from dialer.payments.gateway import Order
from dialer.store.tables import account, company, debtor, pay_session, payment


def order_of(connection: Connection, payment_id: str) -> Order:
    """The order as it is given to the gateway, the same at every asking. Raises
    UnknownPaymentError."""
    row = connection.execute(
        select(
            payment,
            company.c.spoken_name,
            company.c.country,
            account.c.reference,
            debtor.c.language.label("own_language"),
            pay_session.c.language.label("spoken"),
        )
        .join(account, account.c.id == payment.c.account_id)
        .join(debtor, debtor.c.id == account.c.debtor_id)
        .join(company, company.c.id == payment.c.company_id)
        .join(pay_session, pay_session.c.id == payment.c.session_id, isouter=True)
        .where(payment.c.id == payment_id)
    ).first()
    if row is None:
        raise UnknownPaymentError(f"there is no payment {payment_id}")
    return Order(
        payment_id=row.id,
        order_ref=row.order_ref,
        amount=Money(row.amount_minor, row.currency),
        mode=PaymentMode(row.mode),
        description=f"{row.spoken_name} {row.reference}",
        country=row.country,
        language=row.spoken or row.own_language or "es",
        created_at=row.created_at,
    )
