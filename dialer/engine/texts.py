"""The SMS of a fallback, as a row made in the transaction of the hang-up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from dialer.config import Settings
from dialer.domain.model import Attempt, Channel
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.closing import SendSms
from dialer.messaging.links import make_link
from dialer.messaging.templates import render_message
from dialer.store.contexts import LeadContext
from dialer.store.messages import NewMessage, create_message


def sms_writer(settings: Settings) -> SendSms:
    """Makes the message ``fallback:<attempt>``: one for an attempt, however often it is asked."""

    def write(
        connection: Connection,
        one: Attempt,
        context: LeadContext,
        running: RunningCampaign,
        template: str,
        now: datetime,
    ) -> int:
        body = render_message(
            template,
            context.language or running.plan.language,
            {
                "company": running.company_name,
                "callback": running.callback_number,
                "link": make_link(settings, context.account_id),
            },
        )
        return create_message(
            connection,
            NewMessage(
                key=f"fallback:{one.id}",
                company_id=context.company_id,
                debtor_id=context.debtor_id,
                account_id=context.account_id,
                campaign_id=one.campaign_id,
                attempt_id=one.id,
                channel=Channel.SMS,
                number=one.number,
                template=template,
                body=body,
            ),
            now,
        )

    return write
