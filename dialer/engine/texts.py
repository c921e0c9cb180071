"""The SMS of a fallback, as a row made in the transaction of the hang-up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from dialer.config import Settings
from dialer.domain.model import Attempt, Channel
from dialer.engine.campaigns import RunningCampaign
from dialer.messaging.links import make_link
from dialer.messaging.templates import MessageTemplateError, campaign_templates, render_message
from dialer.store.contexts import LeadContext
from dialer.store.messages import NewMessage, create_message


class FallbackTexts:
    """Makes the message ``fallback:<attempt>``: one for an attempt, however often it is asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.flows_dir / "messages"

    def has(self, template: str, language: str) -> bool:
        """Whether the template is there in this language."""
        try:
            return template in campaign_templates(language, self._folder)
        except MessageTemplateError:
            return False

    def write(
        self,
        connection: Connection,
        one: Attempt,
        context: LeadContext,
        running: RunningCampaign,
        template: str,
        now: datetime,
    ) -> int:
        """Make the row. Raises MessageTemplateError for a template that cannot be filled in."""
        body = render_message(
            template,
            context.language or running.plan.language,
            {
                "company": running.company_name,
                "callback": running.callback_number,
                "link": make_link(self._settings, context.account_id),
            },
            self._folder,
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
