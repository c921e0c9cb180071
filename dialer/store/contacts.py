"""The ledger that the caps count: every attempt and every message, on all channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from dialer.domain.model import Channel
from dialer.store.tables import contact
from dialer.store.upsert import insert_ignore


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact; ``source`` is its idempotency key (``attempt:<id>``, ``message:<key>``)."""

    company_id: int
    debtor_id: int
    account_id: int | None
    channel: Channel
    at: datetime
    source: str


def record(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write the entries; one that is there already stays."""
    insert_ignore(
        connection,
        contact,
        [
            {
                "company_id": entry.company_id,
                "debtor_id": entry.debtor_id,
                "account_id": entry.account_id,
                "channel": entry.channel.value,
                "at": entry.at,
                "source": entry.source,
            }
            for entry in entries
        ],
    )
