"""What the audit trail says, in words: actions, things, and what changed."""

from __future__ import annotations

import json
from typing import Any

from web.ui.words import gettext as _


def action_names() -> dict[str, str]:
    """Action -> what was done."""
    return {
        "agent.change": _("Agent changed"),
        "agent.create": _("Agent made"),
        "agent.barge": _("Conversation joined"),
        "agent.hang_up": _("Agent's call hung up"),
        "agent.listen": _("Conversation listened to"),
        "agent.log_out": _("Agent logged out"),
        "agent.pause": _("Agent sent on a break"),
        "agent.token": _("Agent's token made"),
        "agent.whisper": _("Spoken to an agent alone"),
        "api_key.create": _("API key made"),
        "api_key.revoke": _("API key revoked"),
        "approval.ask": _("Approval asked for"),
        "approval.grant": _("Approval granted"),
        "approval.refuse": _("Approval refused"),
        "approval.withdraw": _("Approval withdrawn"),
        "audit.download": _("Audit log downloaded"),
        "callback.cancel": _("Agreed call cancelled"),
        "campaign.add_leads": _("Debtors added to a campaign"),
        "campaign.create": _("Campaign made"),
        "campaign.mode": _("Way of dialling changed"),
        "campaign.pause": _("Campaign paused"),
        "campaign.resume": _("Campaign resumed"),
        "campaign.schedule": _("Time to start by itself set or taken away"),
        "campaign.start": _("Campaign started"),
        "campaign.stop": _("Campaign stopped"),
        "company.create": _("Company made"),
        "debtor.allow_contact": _("Debtor may be contacted again"),
        "debtor.stop_contact": _("Debtor not to be contacted"),
        "dnc.add": _("Number put on the do-not-call list"),
        "dnc.import": _("Do-not-call list loaded"),
        "dnc.remove": _("Number taken off the do-not-call list"),
        "import": _("List loaded"),
        "import.rejects": _("Rejected rows downloaded"),
        "payment.capture": _("Held payment taken"),
        "payment.link": _("Payment link made"),
        "payment.refund": _("Payment given back"),
        "payment.void": _("Payment undone"),
        "pool.change": _("Caller IDs changed"),
        "pool.create": _("Caller IDs made"),
        "recording.play": _("Recording listened to"),
        "report.download": _("Report downloaded"),
        "report_mail.create": _("Report by e-mail asked for"),
        "report_mail.pause": _("Report by e-mail paused"),
        "report_mail.remove": _("Report by e-mail taken away"),
        "report_mail.restore": _("Report by e-mail brought back"),
        "report_mail.resume": _("Report by e-mail goes on"),
        "text.change": _("Text of a message changed"),
        "webhook.create": _("Webhook set up"),
        "webhook.pause": _("Webhook paused"),
        "webhook.resume": _("Webhook goes on"),
        "webhook.remove": _("Webhook taken away"),
        "user.change": _("User changed"),
        "user.create": _("User made"),
        "user.link": _("Link to choose a password made"),
        "user.log_in": _("Logged in"),
        "user.log_out": _("Logged out by an administrator"),
        "user.password": _("Password chosen"),
        "user.second_factor": _("Second factor switched on or off"),
    }


def kinds() -> list[tuple[str, str]]:
    """Whole kinds of actions to choose: what they begin with, and a name."""
    return [
        ("agent.", _("Everything about agents")),
        ("approval.", _("Everything about approvals")),
        ("campaign.", _("Everything about campaigns")),
        ("payment.", _("Everything about payments")),
        ("user.", _("Everything about users")),
    ]


def action_name(action: str) -> str:
    """What was done; an action without a name as it stands."""
    return action_names().get(action, action)


def target_name(target: str, name: str | None) -> str:
    """``Campaign Recobro``; of what has no name, the number."""
    kind, sign, key = target.partition(":")
    said = {
        "account": _("Account"),
        "agent": _("Agent"),
        "agent_session": _("Desk of"),
        "api_key": _("API key"),
        "approval": _("Approval"),
        "attempt": _("Call"),
        "callback": _("Agreed call"),
        "campaign": _("Campaign"),
        "company": _("Company"),
        "debtor": _("Debtor"),
        "import_batch": _("List"),
        "lead": _("Debtor of a campaign"),
        "message": _("Message"),
        "payment": _("Payment"),
        "pool": _("Caller IDs"),
        "suppression": _("Do-not-call entry"),
        "user": _("User"),
        "webhook": _("Webhook address"),
    }.get(kind, kind)
    if not sign:
        return said
    return f"{said} {name or key[:8]}"


def changes(before: Any, after: Any) -> list[tuple[str, str | None, str | None]]:
    """(what, as it was, as it is), only what differs; None where there was, or is, nothing."""
    old = before if isinstance(before, dict) else {"": before} if before is not None else {}
    new = after if isinstance(after, dict) else {"": after} if after is not None else {}
    found = []
    for key in [*new, *(key for key in old if key not in new)]:
        was, is_ = (_text(part[key]) if key in part else None for part in (old, new))
        if was != is_:
            found.append((_names().get(key) or key.replace("_", " "), was, is_))
    return found


def _names() -> dict[str, str]:
    """What changes most often, as people call it."""
    return {
        "active": _("Active"),
        "agent_id": _("Agent"),
        "amount_minor": _("Amount in minor units"),
        "approval": _("Approval"),
        "asked_by": _("Asked by"),
        "by": _("By way of"),
        "company": _("Company"),
        "company_id": _("Company"),
        "country": _("Country"),
        "currency": _("Currency"),
        "file": _("File"),
        "forgive": _("Not owed again"),
        "from": _("From"),
        "granted_by": _("Granted by"),
        "language": _("Language"),
        "languages": _("Languages"),
        "leads": _("Debtors"),
        "looser": _("Looser than the country's rules"),
        "minor": _("Amount in minor units"),
        "mode": _("Way of dialling"),
        "name": _("Name"),
        "numbers": _("Numbers"),
        "of": _("Of what"),
        "on": _("Switched on"),
        "reason": _("Why"),
        "ringing": _("Rings"),
        "role": _("Role"),
        "rules": _("Rules"),
        "skills": _("Skills"),
        "state": _("State"),
        "station": _("Telephone"),
        "timezone": _("Time zone"),
        "to": _("Until"),
        "wrap_seconds": _("Seconds after a call"),
    }


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ", ".join(str(one) for one in value) or "–"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return str(value)
