"""The end of a call: its disposition, what follows, and all of it in one transaction.

Done twice (a replay after a crash), the second time changes nothing: an attempt that is ended in
the database is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, insert, update

from dialer.domain import caller_id, policy, retry
from dialer.domain.attempt import LOST
from dialer.domain.disposition import conclude
from dialer.domain.fallback import Considered, Facts, consider, first_step
from dialer.domain.model import (
    Attempt,
    AttemptState,
    Disposition,
    FallbackStep,
    Outcome,
    Refusal,
    StepKind,
)
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.claiming import commit_attempts
from dialer.store import attempts, leads
from dialer.store.contexts import LeadContext, PhoneFacts, load_contexts
from dialer.store.tables import attempt, fallback, phone

DEFAULT_TEMPLATE = "missed_call"
APOLOGY_TEMPLATE = "apology"
"""What is texted to who answered when no agent was free."""
ENGINE_ERROR = "engine_error"
"""Why a lead is closed whose call could not be concluded; the log says more."""


class SmsWriter(Protocol):
    """Writes the texts of fallbacks."""

    def has(self, template: str, language: str) -> bool:
        """Whether the template is there in this language."""
        ...

    def write(
        self,
        connection: Connection,
        one: Attempt,
        context: LeadContext,
        running: RunningCampaign,
        template: str,
        now: datetime,
    ) -> int:
        """Make the message's row in the transaction of the hang-up; its id."""
        ...


@dataclass(slots=True)
class FollowUp:
    """What is to be done now that the transaction is committed."""

    concluded: list[Attempt] = field(default_factory=list)
    place: list[Attempt] = field(default_factory=list)
    send: list[int] = field(default_factory=list)
    refused: list[tuple[StepKind, Refusal]] = field(default_factory=list)

    def add(self, other: FollowUp) -> None:
        """What another transaction left to be done as well."""
        self.concluded += other.concluded
        self.place += other.place
        self.send += other.send
        self.refused += other.refused


@dataclass(frozen=True, slots=True)
class Closing:
    """What every call's end is judged with; ``now`` is one moment for the whole batch."""

    campaigns: Mapping[int, RunningCampaign]
    now: datetime
    new_id: Callable[[], str]
    sms: SmsWriter


def close_attempts(connection: Connection, ended: Sequence[Attempt], closing: Closing) -> FollowUp:
    """Conclude ended attempts and commit what follows each of them."""
    follow_up = FollowUp()
    fresh = [one for one in ended if not attempts.is_ended(connection, one.id)]
    fresh = _with_written_outcomes(connection, fresh)
    follow_up.concluded = [one.with_(disposition=conclude(one)) for one in fresh]
    attempts.save_attempts(connection, follow_up.concluded)
    for one in follow_up.concluded:
        _retire_number(connection, one, closing.now)
    contexts = load_contexts(connection, [one.lead_id for one in follow_up.concluded], closing.now)
    for one in follow_up.concluded:
        _follow(connection, one, contexts[one.lead_id], closing, follow_up)
    return follow_up


def give_up(connection: Connection, one: Attempt, now: datetime) -> FollowUp:
    """The end of an attempt that ``close_attempts`` cannot conclude: nothing follows, and the
    lead is closed for people to look at, rather than called again for the same to happen."""
    if attempts.is_ended(connection, one.id):
        return FollowUp()
    disposition = conclude(one)
    connection.execute(
        update(attempt)
        .where(attempt.c.id == one.id)
        .values(
            state=AttemptState.ENDED.value,
            ended_at=now,
            disposition=disposition.value,
            failure=ENGINE_ERROR,
        )
    )
    leads.close(connection, one.lead_id, ENGINE_ERROR, disposition.value)
    return FollowUp(concluded=[one.with_(disposition=disposition)])


def _with_written_outcomes(connection: Connection, ended: list[Attempt]) -> list[Attempt]:
    """A line that dies right after a key takes the event with it, not what was written. That a
    debtor paid stands whatever else the call came to."""
    asked = [one.id for one in ended if one.answered_at is not None]
    written = attempts.written_outcomes(connection, asked) if asked else {}
    return [
        one.with_(outcome=written[one.id])
        if one.id in written and (one.outcome is None or written[one.id] is Outcome.PAID)
        else one
        for one in ended
    ]


def _retire_number(connection: Connection, one: Attempt, now: datetime) -> None:
    """A number that is unallocated, or another person's, is never called again."""
    if one.disposition in (Disposition.INVALID_NUMBER, Disposition.WRONG_PERSON):
        connection.execute(
            update(phone)
            .where(phone.c.id == one.phone_id)
            .values(invalid_at=now, invalid_reason=one.disposition.value)
        )


def _follow(
    connection: Connection,
    one: Attempt,
    context: LeadContext,
    closing: Closing,
    follow_up: FollowUp,
) -> None:
    assert one.disposition is not None
    running = closing.campaigns[one.campaign_id]
    start = None if one.failure == LOST else first_step(one, one.disposition)
    number = _phone_of(context, one)
    if start is None or number is None:
        _retry(connection, one, context, running, closing.now)
        return
    facts = _facts(one, context, number, start, closing)
    looked_at = consider(running.plan.fallback, start, facts)
    taken = looked_at[-1] if looked_at and looked_at[-1].refused is None else None
    redial = None
    message_id = None
    if taken is not None and taken.step.kind is StepKind.REDIAL:
        redial = _redial(one, taken, facts, closing)
        commit_attempts(connection, [(redial, context)])
        follow_up.place.append(redial)
    elif taken is not None and taken.step.kind is StepKind.SMS:
        template = _template(one, taken.step)
        message_id = closing.sms.write(connection, one, context, running, template, closing.now)
        follow_up.send.append(message_id)
    _record(connection, one, looked_at, redial, message_id, closing.now)
    follow_up.refused += [(c.step.kind, c.refused) for c in looked_at if c.refused is not None]
    if redial is None:
        _retry(connection, one, context, running, closing.now)


def _facts(
    one: Attempt,
    context: LeadContext,
    number: PhoneFacts,
    start: int,
    closing: Closing,
) -> Facts:
    running, now = closing.campaigns[one.campaign_id], closing.now
    plan = running.plan
    language = context.language or plan.language
    standing = context.standing(number, plan.default_timezone)
    verdict = policy.may_contact(plan.rules, standing, now)
    today = policy.day_limit(
        plan.rules, context.recent_attempts, plan.max_attempts_per_day, standing.timezone, now
    )
    return Facts(
        policy=verdict,
        running=running.running,
        takes_sms=number.line_type.takes_sms,
        fresh_caller_id={
            index: caller_id.choose(
                plan.caller_ids,
                number.shown,
                now,
                unseen_for=timedelta(days=step.unseen_days),
                spread=one.lead_id,
            )
            for index, step in enumerate(plan.fallback)
            if index >= start and step.kind is StepKind.REDIAL
        },
        texts=frozenset(
            index
            for index, step in enumerate(plan.fallback)
            if step.kind is StepKind.SMS and closing.sms.has(_template(one, step), language)
        ),
        since_hangup=now - (one.hangup_requested_at or one.ended_at or now),
        attempts_left=context.attempts < plan.max_attempts and today.allowed,
        paid=context.paid,
        payment_pending=context.payment_pending,
        abandoned=one.disposition is Disposition.ABANDONED,
    )


def _template(one: Attempt, step: FallbackStep) -> str:
    if one.disposition is Disposition.ABANDONED:
        return APOLOGY_TEMPLATE
    return step.template or DEFAULT_TEMPLATE


def _phone_of(context: LeadContext, one: Attempt) -> PhoneFacts | None:
    return next((p for p in context.phones if p.id == one.phone_id), None)


def _redial(one: Attempt, taken: Considered, facts: Facts, closing: Closing) -> Attempt:
    number = facts.fresh_caller_id[taken.index]
    assert number is not None
    plan = closing.campaigns[one.campaign_id].plan
    return Attempt(
        id=closing.new_id(),
        campaign_id=one.campaign_id,
        lead_id=one.lead_id,
        debtor_id=one.debtor_id,
        phone_id=one.phone_id,
        number=one.number,
        caller_id=number,
        trunk=plan.trunk,
        node=one.node,
        flow=taken.step.flow or plan.flow,
        placed_at=closing.now,
        follows=one.id,
        fallback_index=taken.index,
        state=AttemptState.CREATED,
    )


def _record(
    connection: Connection,
    one: Attempt,
    looked_at: Sequence[Considered],
    redial: Attempt | None,
    message_id: int | None,
    now: datetime,
) -> None:
    if not looked_at:
        return
    connection.execute(
        insert(fallback),
        [
            {
                "attempt_id": one.id,
                "step": considered.index,
                "kind": considered.step.kind.value,
                "refused": considered.refused.value if considered.refused else None,
                "at": now,
                "hangup_at": one.hangup_requested_at or one.ended_at,
                "made_attempt_id": (
                    redial.id if redial is not None and considered.refused is None else None
                ),
                "made_message_id": message_id if considered.refused is None else None,
            }
            for considered in looked_at
        ],
    )


def _retry(
    connection: Connection,
    one: Attempt,
    context: LeadContext,
    running: RunningCampaign,
    now: datetime,
) -> None:
    assert one.disposition is not None
    if context.paid and not one.disposition.conversation:
        leads.close(connection, one.lead_id, Refusal.PAID.value, one.disposition.value)
        return
    unknown = one.failure == LOST and one.disposition is Disposition.FAILED
    if unknown and context.attempts < running.plan.max_attempts:
        # Whether the debtor was disturbed is unknown. It counts, and the lead is not lost.
        leads.wait(
            connection, one.lead_id, now + retry.LOST_DELAY, disposition=one.disposition.value
        )
        return
    decision = retry.after(
        running.plan,
        one.disposition,
        same=context.by_disposition.get(one.disposition.value, 1),
        total=context.attempts,
        usable_phones=len(context.phones),
        now=now,
    )
    if isinstance(decision, retry.TryAgain):
        leads.wait(
            connection,
            one.lead_id,
            decision.at,
            next_phone=decision.next_phone,
            disposition=one.disposition.value,
        )
    else:
        leads.close(connection, one.lead_id, decision.reason, one.disposition.value)


def set_redial_latency(
    connection: Connection, made_attempt_id: str, dialled_at: datetime
) -> float | None:
    """Hang-up to INVITE in ms, kept on the fallback row and returned; None: no such row."""
    row = connection.execute(
        fallback.select().where(fallback.c.made_attempt_id == made_attempt_id)
    ).first()
    if row is None or row.hangup_at is None:
        return None
    latency: float = (dialled_at - row.hangup_at).total_seconds() * 1000.0
    connection.execute(update(fallback).where(fallback.c.id == row.id).values(latency_ms=latency))
    return latency
