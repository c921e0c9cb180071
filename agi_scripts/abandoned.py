"""``AGI(agi://host:port/abandoned)``: somebody picked up, and nobody was free in time.

The safe-harbour message (16 CFR 310.4(b)(4)(iii)): at once, who called and a number to call back.
Who was waiting for a person whom they had asked for is told that somebody will call instead.
"""

from __future__ import annotations

from agi_scripts import events
from agi_scripts.session import Ivr
from agi_scripts.waiting import Waiting
from agi_scripts.wire import Agi
from dialer.domain.model import AgentCallKind, AgentCallResult
from dialer.store import agent_calls
from dialer.store.outcomes import Call

FLOW = "abandoned"
_ANSWERED = frozenset({AgentCallKind.PREDICTIVE, AgentCallKind.PREVIEW})
"""Calls of ours that were picked up; all others wait because they wanted to."""


def run(agi: Agi, ivr: Ivr) -> None:
    """Say it. Raises as ``agi_scripts.flow.run``; the server says a neutral goodbye then."""
    call = ivr.call_of(agi)
    if _wanted_to_wait(ivr, call) and Waiting(agi, ivr, call).call_back(AgentCallResult.TIMEOUT):
        return
    events.abandoned(agi)
    if call.recorded:
        agi.appexec("StopMixMonitor")  # they have not been told of it
    ivr.interpret(agi, call, FLOW, recorded=False)


def _wanted_to_wait(ivr: Ivr, call: Call) -> bool:
    with ivr.engine.connect().execution_options(dialer_readonly=True) as connection:
        waits = agent_calls.open_calls(connection, attempt_id=call.attempt_id)
    return any(one.joined_at is None and one.kind not in _ANSWERED for one in waits)
