"""``AGI(agi://host:port/inbound)``: somebody calls a number of ours.

The number called tells the company, the number that calls the debtor. Where that is exactly one, an
attempt is committed (``inbound``; the channel's unique id is its id) and the flow ``inbound`` is
led through: as everywhere, nothing about the debt is said before the identity is proven, for a
telephone is no proof. It is not entered into the contact ledger: the caps there bound how often we
disturb a debtor, and a call that they make is none of ours.

Others hear who we are and the number for calls. They come to no agent: whoever does is somebody
(``agent_call`` hangs on an attempt), and an agent could tell an unknown caller nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from agi_scripts import events
from agi_scripts.escalating import Desk
from agi_scripts.player import Player
from agi_scripts.session import Ivr
from agi_scripts.wire import Agi
from dialer.domain.model import Attempt, Money
from dialer.flow.values import Escalate, Facts, HandedOver, NobodyThere
from dialer.importing.errors import CellError
from dialer.importing.phones import parse_phone
from dialer.logs import get_logger
from dialer.store import inbound as store
from dialer.store.attempts import insert_attempts
from dialer.store.inbound import Called, Caller
from dialer.switch import names

log = get_logger(__name__)

FLOW = "inbound"
UNKNOWN = "unknown_caller"
NOTHING_OWED = "nothing_owed"
"""Why somebody comes to an agent who calls back and owes nothing (any more)."""
RINGS_SECONDS = 0.3
"""It rings so long, that the engine has read the attempt before more happens to it."""
UNALLOCATED = 21
"""Q.850 cause for a number of nobody (call rejected: it is not told whether it exists)."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_PRESENTATION = 0x60
"""Q.931 octet 3a, presentation indicator: 0 is allowed."""


def run(agi: Agi, ivr: Ivr) -> None:
    """Find out who calls whom, and talk to them. Raises as ``agi_scripts.flow.run``."""
    now = ivr.clock()
    with ivr.engine.connect().execution_options(dialer_readonly=True) as connection:
        called = store.company_called(connection, _dialled(agi, store.countries(connection)))
        caller = _caller(connection, agi, called) if called is not None else None
    if called is None:
        agi.refuse(UNALLOCATED)
        return
    if caller is None or not _commit(ivr, _attempt(agi, ivr, called, caller, now)):
        agi.answer()
        _say_who_we_are(agi, ivr, called, now)
        return
    events.inbound(agi)
    agi.appexec("Wait", str(RINGS_SECONDS))
    agi.answer()
    call = ivr.call_of(agi)
    if call.owes:
        ivr.interpret(agi, call, FLOW, recorded=False)
        return
    desk = Desk(agi, ivr.engine, ivr.settings, call, ivr.clock)
    if not isinstance(desk.hand_over(Escalate("greeting", "", NOTHING_OWED, 0)), HandedOver):
        _say_who_we_are(agi, ivr, called, now)


def _attempt(agi: Agi, ivr: Ivr, called: Called, caller: Caller, now: datetime) -> Attempt:
    return Attempt(
        id=agi.attempt_id,
        campaign_id=caller.campaign_id,
        lead_id=caller.lead_id,
        debtor_id=caller.debtor_id,
        phone_id=caller.phone_id,
        number=caller.number,
        caller_id=called.number,
        trunk=_trunk(agi.env.get("agi_channel", "")),
        node=ivr.settings.node,
        flow=FLOW,
        placed_at=now,
        inbound=True,
    )


def _commit(ivr: Ivr, new: Attempt) -> bool:
    """False where the channel can have no attempt."""
    if not _ID.fullmatch(new.id):
        log.error("the id of a channel is too long: give the node a shorter name", id=new.id)
        return False
    try:
        with ivr.engine.begin() as connection:
            insert_attempts(connection, [new])
    except IntegrityError:
        log.warning("a call came in twice", attempt=new.id)
        return False
    return True


def _trunk(channel: str) -> str:
    """``carrier`` of ``PJSIP/carrier-0000001a``."""
    return channel.partition("/")[2].rpartition("-")[0][:40] or names.DEFAULT_TRUNK


# --- numbers ------------------------------------------------------------------------------------


def _dialled(agi: Agi, countries: Iterable[str]) -> set[str]:
    """Every way to read the number that was called, E.164."""
    found: set[str] = set()
    for name in ("agi_extension", "agi_dnid"):
        text = agi.env.get(name, "")
        for country in countries:
            found |= readings(text, country)
    return found


def _caller(connection: Connection, agi: Agi, called: Called) -> Caller | None:
    """Nobody where the number is withheld, even if the network has told it to us."""
    try:
        withheld = int(agi.env.get("agi_callingpres", "0")) & _PRESENTATION
    except ValueError:
        withheld = 0
    if withheld:
        return None
    for number in sorted(readings(agi.env.get("agi_callerid", ""), called.country)):
        if caller := store.debtor_calling(connection, called.company_id, number):
            return caller
    return None


def readings(text: str, country: str) -> set[str]:
    """The numbers (E.164) that a trunk may mean: with its country code, with or without ``+`` or
    ``00`` before it, or as dialled within the country. None of them for what is no number."""
    digits = text.removeprefix("+").removeprefix("00")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        return set()
    found: set[str] = set()
    for written in (text, f"+{digits}"):
        try:
            found.add(parse_phone(written, country).number)
        except CellError:
            continue
    return found


# --- nobody we know -----------------------------------------------------------------------------


def _say_who_we_are(agi: Agi, ivr: Ivr, called: Called, now: datetime) -> None:
    """The flow for strangers; the debt of nobody is in its facts."""
    proven = ivr.shelf.get(UNKNOWN)
    language = proven.language(called.language)
    other = called.callback_number if called.callback_number != called.number else None
    facts = Facts(
        language=language,
        today=now.date(),
        company=called.spoken_name,
        amount=Money(0, "EUR"),
        due_date=now.date(),
        callback_number=other,
    )
    player = Player(
        agi,
        proven.flow,
        proven.prompts[language],
        ivr.sounds,
        conclude=lambda _command: None,
        pay=lambda _command: NobodyThere(),
        escalate=lambda _command: NobodyThere(),
    )
    player.play(facts)
