"""A call that is booked because nobody could be waited for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from dialer.store import callbacks
from dialer.store.callbacks import NewCallback
from dialer.store.outcomes import Call

MADE_BY = "ivr"


def book(connection: Connection, call: Call, now: datetime) -> None:
    """As soon as the rules allow, by anybody."""
    new = NewCallback(
        company_id=call.company_id,
        debtor_id=call.debtor_id,
        account_id=call.account_id,
        due_at=now,
        made_by=MADE_BY,
        lead_id=call.lead_id,
        phone_id=call.phone_id,
        attempt_id=call.attempt_id,
    )
    callbacks.book(connection, new, now)
