"""The interpreter: ``step(flow, state, input) -> state, commands``, until it waits again.

Knows nothing of telephony or databases. Bounded twice: the validator proves that a flow ends, and
``MAX_VISITS`` stops one that was never validated.
"""

from __future__ import annotations

from dataclasses import replace

from dialer.domain.model import Outcome
from dialer.domain.payment import PayResult
from dialer.flow.errors import FlowError
from dialer.flow.model import Flow, FlowKind
from dialer.flow.nodes.base import Go, Move
from dialer.flow.values import (
    Command,
    Conclude,
    End,
    HungUp,
    Input,
    Keys,
    PaymentDone,
    Started,
    State,
    Wait,
)

MAX_VISITS = 200
"""Nodes entered in one session; a long call with every retry stays below a quarter of it."""

_OF_PAYMENT = {PayResult.WANTS_AGENT: "pay", PayResult.SUCCESS: "paid"}
"""Why somebody comes to an agent from a payment; any other result: because it failed."""


def step(flow: Flow, state: State, given: Input) -> tuple[State, tuple[Command, ...]]:
    """Apply one input; the commands are to be done in order, then the next input is given.

    A session that is over gives no commands whatever comes. Raises FlowError for a flow with a
    hole, and for an input that the session does not wait for.
    """
    if state.wait is Wait.NOTHING:
        return state, ()
    if isinstance(given, HungUp) or given == PaymentDone(PayResult.CALLER_HUNG_UP):
        return _hung_up(flow, state)
    if isinstance(given, Keys):
        if not given.digits:
            raise FlowError("Keys without a key: give TimedOut")
        state = state.with_(keyed=True)
    move, commands = _begin(flow, state, given), list[Command]()
    while True:
        state = _after(move)
        commands.extend(move.commands)
        if not isinstance(move, Go):
            break
        state = state.with_(node=move.target, visits=state.visits + 1)
        if state.visits > MAX_VISITS:
            raise FlowError(f"flow {flow.name}: node {move.target}: goes round in circles")
        node = flow.node(move.target)
        if node.needs_identity and not state.identified:
            raise FlowError(f"flow {flow.name}: node {move.target}: before the identity was proven")
        move = node.enter(move.target, state)
    if flow.kind is FlowKind.MESSAGE:
        commands = [one for one in commands if not isinstance(one, Conclude)]
    return state, tuple(commands)


def _begin(flow: Flow, state: State, given: Input) -> Move:
    if state.wait is Wait.START:
        if not isinstance(given, Started):
            raise FlowError(f"{type(given).__name__} came before the session started")
        return Go(replace(state, facts=given.facts), flow.start)
    if state.node is None:
        raise FlowError("a session under way has no node: the state was damaged")
    node = state.node
    if isinstance(given, PaymentDone):
        state = state.with_(why=_OF_PAYMENT.get(given.result, "pay_failed"))
    return flow.node(node).answer(node, state, given)


def _after(move: Move) -> State:
    """The state with what was concluded; what was concluded first stands."""
    state = move.state
    for one in move.commands:
        if isinstance(one, Conclude) and state.outcome is None:
            state = state.with_(outcome=one.outcome)
    return state


def _hung_up(flow: Flow, state: State) -> tuple[State, tuple[Command, ...]]:
    """Without a key there is no outcome: the engine knows it as answered-abandoned."""
    node = state.node or flow.start
    commands: tuple[Command, ...] = (End(node),)
    outcome = state.outcome
    if flow.kind is FlowKind.CONVERSATION and outcome is None and state.keyed:
        outcome = Outcome.INCOMPLETE
        commands = (Conclude(node, outcome), *commands)
    return state.with_(wait=Wait.NOTHING, outcome=outcome), commands
