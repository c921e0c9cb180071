"""``AGI(agi://host:port/agent)``: a browser calls in, to be the leg of an agent's session.

The number it calls is the leg token of the session. It is written nowhere; without a session of
this node the channel is left without a seat, and the dialplan hangs up (cause 21).
"""

from __future__ import annotations

import re

from agi_scripts.session import Ivr
from agi_scripts.wire import Agi
from dialer.logs import get_logger
from dialer.store.agent_sessions import session_by_leg_token
from dialer.switch import names

log = get_logger(__name__)

_TOKEN = re.compile(r"[0-9a-f]{32}")


def run(agi: Agi, ivr: Ivr) -> None:
    """Seat it, or not. Raises SQLAlchemyError, Gone."""
    token = agi.env.get("agi_extension", "")
    session = None
    if _TOKEN.fullmatch(token):
        with ivr.engine.connect().execution_options(dialer_readonly=True) as connection:
            session = session_by_leg_token(connection, token)
    if session is None or session.node != ivr.settings.node:
        log.warning("a browser without a session was turned away")
        return
    agi.set_variable(names.VAR_SEAT, session.id)
