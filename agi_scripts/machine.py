"""``AGI(agi://host:port/machine)``: the message for an answering machine.

The dialplan has waited for the end of the greeting and the beep. What is said is the flow
``machine``: who called and which number to call back, nothing of a debt (12 CFR 1006.2(j)).
"""

from __future__ import annotations

from agi_scripts.session import Ivr
from agi_scripts.wire import Agi

FLOW = "machine"


def run(agi: Agi, ivr: Ivr) -> None:
    """Leave the message, to who still owes. Raises as ``agi_scripts.flow.run``."""
    call = ivr.call_of(agi)
    if call.owes:
        ivr.interpret(agi, call, FLOW)
