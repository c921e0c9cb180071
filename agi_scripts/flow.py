"""``AGI(agi://host:port/flow)``: an answered call goes through its attempt's flow."""

from __future__ import annotations

from agi_scripts.session import Ivr
from agi_scripts.wire import Agi


def run(agi: Agi, ivr: Ivr) -> None:
    """Interpret the flow until it ends or the far end hangs up.

    Who has paid while the telephone rang is asked for nothing: a few words, and goodbye. Raises
    FlowError, MissingSound, UnknownCall, SQLAlchemyError: the server says goodbye.
    """
    call = ivr.call_of(agi)
    if not call.owes:
        ivr.say_goodbye(agi)
        return
    ivr.interpret(agi, call, call.flow)
