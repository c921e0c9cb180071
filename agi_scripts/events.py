"""What the engine is told, in order, on the channel's own stream (see ``dialer.switch.names``)."""

from __future__ import annotations

from agi_scripts.wire import Agi
from dialer.domain.model import AgentCallResult, Outcome
from dialer.switch import names


def prompt_reached(agi: Agi, node: str, prompt: str) -> None:
    """A prompt is about to be said."""
    _send(agi, names.KIND_PROMPT, {names.H_NODE: node, names.H_PROMPT: prompt})


def key_pressed(agi: Agi, node: str, key: str) -> None:
    """A choice was made."""
    _send(agi, names.KIND_KEY, {names.H_NODE: node, names.H_KEY: key})


def identity_confirmed(agi: Agi) -> None:
    """Both factors matched."""
    _send(agi, names.KIND_IDENTITY, {})


def outcome_reported(agi: Agi, outcome: Outcome) -> None:
    """The flow concluded; it is in the database already."""
    _send(agi, names.KIND_OUTCOME, {names.H_OUTCOME: outcome.value})


def escalated(agi: Agi, skill: str, reason: str, priority: int) -> None:
    """The debtor waits for a person; the ``agent_call`` is in the database already."""
    headers = {names.H_SKILL: skill, names.H_REASON: reason, names.H_RANK: str(priority)}
    _send(agi, names.KIND_ESCALATED, headers)


def queue_ended(agi: Agi, result: AgentCallResult) -> None:
    """The debtor waits no more; it is in the database already."""
    _send(agi, names.KIND_QUEUE, {names.H_RESULT: result.value})


def abandoned(agi: Agi) -> None:
    """The safe-harbour message is about to be said."""
    _send(agi, names.KIND_ABANDONED, {})


def inbound(agi: Agi) -> None:
    """A debtor calls; the attempt is in the database already."""
    _send(agi, names.KIND_INBOUND, {})


def payment_progress(agi: Agi, node: str, **masked: str) -> None:
    """How far a payment has come; the headers by the names of ``names.H_...``, no digit of a
    card among them."""
    _send(agi, names.KIND_PAYMENT, {names.H_NODE: node, **masked})


def _send(agi: Agi, kind: str, headers: dict[str, str]) -> None:
    fields = [f"{name}: {value}" for name, value in {names.H_KIND: kind, **headers}.items()]
    agi.appexec("UserEvent", ",".join([names.FLOW_EVENT, *fields]))
