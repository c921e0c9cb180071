"""What debtors answer by message, written down; a stop ends all contact with that number."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, union, update

from dialer.store.tables import debtor, message, message_event, phone, suppression
from dialer.store.upsert import insert_ignore

SMS_STOP = "sms_stop"


def record_reply(
    connection: Connection,
    *,
    number: str,
    kind: str,
    stop: bool,
    provider_key: str,
    now: datetime,
) -> int:
    """Write an answer from ``number`` down; for how many companies it ended contact.

    ``kind`` is kept, the text is not. A stop counts for every company that texted the number or
    has it in its files, on the one list for voice and messages, and their debtors with that
    number are marked as opted out. The same ``provider_key`` a second time changes nothing.
    """
    latest = connection.execute(
        select(message.c.id)
        .where(message.c.number == number)
        .order_by(message.c.created_at.desc(), message.c.id.desc())
        .limit(1)
    ).scalar()
    fresh = insert_ignore(
        connection,
        message_event,
        [
            {
                "message_id": latest,
                "at": now,
                "kind": "inbound",
                "provider_key": provider_key[:120],
                "status": kind[:30],
            }
        ],
    )
    if not fresh or not stop:
        return 0
    companies = _companies(connection, number)
    insert_ignore(
        connection,
        suppression,
        [
            {
                "company_id": company_id,
                "number": number,
                "reason": SMS_STOP,
                "source": provider_key[:80],
                "at": now,
            }
            for company_id in companies
        ],
    )
    connection.execute(
        update(debtor)
        .where(
            debtor.c.opted_out_at.is_(None),
            debtor.c.id.in_(select(phone.c.debtor_id).where(phone.c.number == number)),
        )
        .values(opted_out_at=now)
    )
    return len(companies)


def _companies(connection: Connection, number: str) -> list[int]:
    rows = connection.execute(
        union(
            select(message.c.company_id).where(message.c.number == number),
            select(debtor.c.company_id)
            .join(phone, phone.c.debtor_id == debtor.c.id)
            .where(phone.c.number == number),
        )
    )
    return sorted(int(row.company_id) for row in rows)
