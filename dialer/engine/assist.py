"""A debtor pays by card while an agent looks on.

The debtor leaves the conference for the payment process; the agent speaks to them from a place
where nothing is heard (``CONTEXT_COACH``), sees how many digits there are, and may have a field
asked again or the payment ended. Nothing of a card comes this way: see docs/pci.md.
"""

from __future__ import annotations

import asyncio
import uuid

from sqlalchemy import Connection

from dialer.config import Settings
from dialer.desk.models import CommandName
from dialer.desk.wire import Command, Refused, Reply
from dialer.domain import events as ev
from dialer.domain.model import Attempt
from dialer.domain.payment import PaySpec
from dialer.engine.database import Database
from dialer.engine.desks import AWAY_PAYMENT
from dialer.engine.floor import Floor
from dialer.engine.talk_desk import TalkDesk
from dialer.logs import get_logger
from dialer.payments.gateways import choose
from dialer.store import attempts, outcomes, pay_sessions
from dialer.store.outcomes import Call
from dialer.store.pay_sessions import PaySession, PayWish
from dialer.switch import names, talking

log = get_logger(__name__)

NODE = "agent"
KNOWN_SECONDS = 2.0
LOOK_SECONDS = 0.01


class Assist:
    """Handlers for ``Desk``."""

    def __init__(
        self, settings: Settings, database: Database, floor: Floor, talks: TalkDesk
    ) -> None:
        self._settings = settings
        self._database = database
        self._floor = floor
        self._talks = talks
        self.handlers = {
            CommandName.PAY: self._pay,
            CommandName.PAY_AGAIN: self._wish,
            CommandName.PAY_CANCEL: self._wish,
        }

    async def _pay(self, command: Command) -> Reply:
        """Begin. An agent who has a debtor pay has made sure who they are: that is written on the
        call before, as if the flow had done it."""
        seat, attempt_id, talk = self._talks.talk(command)
        if talk.away is not None:
            raise Refused("not_now", f"the debtor is away: {talk.away}")
        about = self._floor.hands.about(attempt_id)
        if about is None or seat.leg is None:
            raise Refused("not_now", "the call is about to end")
        now, session_id = self._floor.hands.now(), uuid.uuid4().hex
        attempt = await self._confirmed(attempt_id)

        def work(connection: Connection) -> None:
            call = outcomes.load_call(connection, attempt_id)
            if call is None or not call.owes:
                raise Refused("nothing_owed", "nothing is owed any more")
            if choose(self._settings, call.payment.gateway, call.country) is None:
                raise Refused("no_gateway", "no card can be taken here: send the link")
            attempts.save_attempts(connection, [attempt])
            pay_sessions.open_session(
                connection,
                PaySession(
                    id=session_id,
                    attempt_id=attempt_id,
                    account_id=call.account_id,
                    node=NODE,
                    language=(call.language or call.campaign_language)[:2],
                    spec=PaySpec(),
                    started_at=now,
                    agreed_minor=_amount(call, command),
                    watched=True,
                ),
            )

        await self._database.once(work)
        talk.away, talk.away_at, talk.pay_session = AWAY_PAYMENT, now, session_id
        switch = self._floor.hands.switch
        if not await switch.perform(talking.move(attempt_id, names.CONTEXT_ASSIST, session_id)):
            talk.away = talk.pay_session = None
            raise Refused("switch_refused", "the line may be gone")
        if not await switch.perform(talking.coach(seat.leg, attempt_id)):
            log.warning("agent_not_heard_by_payer", attempt=attempt_id)
        return Reply.done(payment=session_id)

    async def _confirmed(self, attempt_id: str) -> Attempt:
        """The attempt once the engine's own copy says that they are who they should be: until then
        what is written of it may be overwritten with what the engine knew before. Raises
        Refused."""
        self._floor.hands.report(ev.IdentityConfirmed(attempt_id, self._floor.hands.now()))
        for _ in range(round(KNOWN_SECONDS / LOOK_SECONDS)):
            about = self._floor.hands.about(attempt_id)
            if about is None:
                raise Refused("not_now", "the call is about to end")
            if about[0].identity_confirmed:
                return about[0]
            await asyncio.sleep(LOOK_SECONDS)
        raise Refused("not_now", "the engine is busy: try again")

    async def _wish(self, command: Command) -> Reply:
        _, _, talk = self._talks.talk(command)
        session_id = talk.pay_session
        if talk.away != AWAY_PAYMENT or session_id is None:
            raise Refused("not_now", "nobody keys a card in")
        wish = PayWish.AGAIN if command.name is CommandName.PAY_AGAIN else PayWish.CANCEL
        put = await self._database.once(
            lambda connection: pay_sessions.put_wish(connection, session_id, wish)
        )
        if not put:
            raise Refused("not_now", "the payment is over")
        return Reply.done()


def _amount(call: Call, command: Command) -> int | None:
    """What was talked about, in minor units; None: all that is owed. Raises Refused."""
    minor = command.args.get("amount_minor")
    if minor is None:
        return None
    if command.args["currency"] != call.amount.currency:
        raise Refused("currency", f"the debt is in {call.amount.currency}")
    if minor > call.amount.minor:
        raise Refused("too_much", "that is more than is owed")
    return int(minor)
