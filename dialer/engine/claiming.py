"""Claim leads and commit their attempts, in one transaction, before anything is dialled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

from sqlalchemy import Connection

from dialer.domain import caller_id, policy
from dialer.domain.answering import Features
from dialer.domain.model import Attempt, CampaignPlan, Channel, DialMode, Refusal
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.features import features_of
from dialer.logs import get_logger
from dialer.store import attempts, contacts, in_the_air, leads, leases
from dialer.store.contexts import LeadContext, PhoneFacts, load_contexts
from dialer.store.in_the_air import InTheAir

log = get_logger(__name__)

BAD_TIMEZONE = "bad_timezone"
"""Why a lead is closed whose debtor's time zone is none."""
IN_CALL_WAIT = timedelta(seconds=60)
"""How long a lead waits whose debtor or number has a call in the air."""


PAYMENT_WAIT = timedelta(minutes=15)
"""How long a lead waits whose debtor may have paid: the gateway is asked meanwhile."""


class LeaseLost(Exception):
    """Another engine runs this campaign, or nobody does: nothing may be claimed."""


@dataclass(frozen=True, slots=True)
class Call:
    """This phone may be called now, showing this number."""

    phone: PhoneFacts
    caller_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; the lead waits until ``at``."""

    at: datetime
    reason: Refusal


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never; the lead is closed for this reason."""

    reason: str


def decide(
    plan: CampaignPlan,
    context: LeadContext,
    now: datetime,
    air: InTheAir | None = None,
    *,
    mode: DialMode | None = None,
    agreed: bool = False,
) -> Call | Wait | GiveUp:
    """Whether a claimed lead is called now. Phones are tried from the lead's next one on.

    ``air``: who has a call already. Nobody has two at once, and no telephone either. ``mode``:
    None is the campaign's. ``agreed``: the debtor asked for this call, whatever they chose before.
    """
    mode = mode or plan.agents.mode
    if context.chosen is not None and not agreed:
        return GiveUp(context.chosen.value)
    if context.paid:
        return GiveUp(Refusal.PAID.value)
    if context.payment_pending:
        return Wait(now + PAYMENT_WAIT, Refusal.PAYMENT_PENDING)
    air = air or InTheAir()
    in_call = Wait(now + IN_CALL_WAIT, Refusal.IN_CALL)
    if context.debtor_id in air.debtors:
        return in_call
    if not context.phones:
        return GiveUp(Refusal.NO_PHONE.value)
    timezone = context.timezone or plan.default_timezone
    limit = policy.day_limit(
        plan.rules, context.recent_attempts, plan.max_attempts_per_day, timezone, now
    )
    turn = context.next_phone % len(context.phones)
    soonest: Wait | None = None
    last = Refusal.NO_PHONE
    for phone in context.phones[turn:] + context.phones[:turn]:
        verdict = policy.may_contact(
            plan.rules,
            context.standing(phone, plan.default_timezone),
            now,
            guaranteed=policy.guarantees_agent(mode),
            lock_out=timedelta(hours=plan.agents.lock_out_hours),
        )
        if verdict.allowed:
            verdict = limit
        if verdict.allowed and phone.number in air.numbers:
            verdict = policy.Verdict(in_call.reason, in_call.at)
        if verdict.refused is None:
            number = caller_id.choose(plan.caller_ids, phone.shown, now, spread=context.lead_id)
            if number is None:
                return GiveUp(Refusal.NO_CALLER_ID.value)
            return Call(phone, number)
        last = verdict.refused
        if verdict.retry_at is not None and (soonest is None or verdict.retry_at < soonest.at):
            soonest = Wait(verdict.retry_at, verdict.refused)
    return soonest or GiveUp(last.value)


def claim_and_commit(
    connection: Connection,
    running: RunningCampaign,
    *,
    owner: str,
    node: str,
    count: int,
    now: datetime,
    new_id: Callable[[], str],
    known: dict[str, Features] | None = None,
) -> tuple[list[Attempt], int]:
    """Attempts in state ``created``, and how many leads were claimed and put back or closed.

    ``known`` is filled: what a forecast of each attempt's answer may go by, by its id. Raises
    LeaseLost when the campaign is not ours at ``now``; nothing is changed then.
    """
    if not leases.holds(connection, running.id, owner, now):
        raise LeaseLost(running.plan.name)
    plan = running.plan
    ids = leads.claim(connection, running.id, count, new_id(), now)
    # Before the contexts: what another engine has just committed must count in them.
    air = in_the_air.hold(connection, leads.debtors_of(connection, ids))
    contexts = load_contexts(connection, ids, now)
    made: list[Attempt] = []
    companies: dict[str, LeadContext] = {}
    for lead_id in ids:
        context = contexts[lead_id]
        try:
            decision = decide(plan, context, now, air)
        except (ZoneInfoNotFoundError, ValueError):
            # The hour where this debtor lives is not known: nobody is called on a guess.
            log.error("lead_has_no_time_zone", lead_id=lead_id)
            decision = GiveUp(BAD_TIMEZONE)
        if isinstance(decision, Wait):
            leads.wait(connection, lead_id, decision.at)
        elif isinstance(decision, GiveUp):
            leads.close(connection, lead_id, decision.reason)
        else:
            attempt = Attempt(
                id=new_id(),
                campaign_id=running.id,
                lead_id=lead_id,
                debtor_id=context.debtor_id,
                phone_id=decision.phone.id,
                number=decision.phone.number,
                caller_id=decision.caller_id,
                trunk=plan.trunk,
                node=node,
                flow=plan.flow,
                placed_at=now,
                mode=plan.agents.mode,
            )
            made.append(attempt)
            air.add(attempt.debtor_id, attempt.number)
            companies[attempt.id] = context
            if known is not None:
                known[attempt.id] = features_of(context, plan, decision.phone, now)
    commit_attempts(connection, [(one, companies[one.id]) for one in made])
    return made, len(ids) - len(made)


def still_wanted(
    connection: Connection, one: Attempt, running: RunningCampaign, now: datetime
) -> bool:
    """Whether an attempt that was committed some while ago may be dialled now.

    Not when its campaign was paused, when another engine has concluded it, and not when the
    window has closed, or the debtor paid or asked for no contact meanwhile. The caps count it
    already.
    """
    if not running.running or attempts.is_ended(connection, one.id):
        return False
    context = load_contexts(connection, [one.lead_id], now)[one.lead_id]
    number = next((phone for phone in context.phones if phone.id == one.phone_id), None)
    if number is None or context.paid or context.payment_pending:
        return False
    standing = context.standing(number, running.plan.default_timezone)
    return policy.may_contact(running.plan.rules, replace(standing, contacts=()), now).allowed


def commit_attempts(connection: Connection, made: list[tuple[Attempt, LeadContext]]) -> None:
    """Rows of attempts, their entries in the contact ledger, and the leads' counts."""
    if not made:
        return
    attempts.insert_attempts(connection, [one for one, _ in made])
    contacts.record(
        connection,
        [
            contacts.Entry(
                company_id=context.company_id,
                debtor_id=context.debtor_id,
                account_id=context.account_id,
                channel=Channel.VOICE,
                at=one.placed_at,
                source=f"attempt:{one.id}",
            )
            for one, context in made
        ],
    )
    leads.count_attempts(connection, [one.lead_id for one, _ in made])
