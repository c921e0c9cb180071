"""The call of a scan in which an agent talks with the debtor while a card is keyed in.

The agent has a telephone on the simulated network; what comes to it is recorded there, so that it
can be searched for the tones of keys. The debtor's keys can be heard: they would be in it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import select

from dialer.desk.client import DeskClient, DeskError, DeskEvent
from dialer.domain.model import AgentState
from dialer.local.cardscan.casting import Planned
from dialer.local.cardscan.matcher import Finding, Matcher
from dialer.local.cardscan.places import Searched
from dialer.local.cardscan.rig import CALLS_SECONDS, Rig, ScanFailed
from dialer.local.demo_campaign import ACTOR
from dialer.simulation.personas import named
from dialer.simulation.phones import phone_address
from dialer.speech.audio import SoundError
from dialer.speech.keys_heard import keys_in, seconds_of_sound
from dialer.store import agents
from dialer.store.tables import campaign, pay_session
from dialer.switch.names import DESK_EVENTS, FLOOR_EVENTS
from dialer.switch.render import carrier_folder

QUIET_PERSONA = "silent"
"""Who lives at the agent's telephone: a debtor would take anything said for a question."""
LOOK_SECONDS = 0.3
SIT_SECONDS = 60.0
HEARD_FOLDER = "agent-leg"
LEAST_SOUND = 1.0
"""Seconds of the debtor that the agent must have heard: else nothing could have come through."""
PAYMENT = "payment"


def card_with_agent(rig: Rig, one: Planned) -> list[str]:
    """Call the debtor for an agent, and have the card keyed in; what was not as it should be.

    Raises ScanFailed, DemoFailed.
    """
    campaign_id = rig.start([one], agents={"mode": "progressive", "wrap": "10m"})
    told: list[DeskEvent] = []
    with _desk(rig, campaign_id) as client:
        rig.until(lambda: _logged_in(client), "nobody could log in", SIT_SECONDS)
        assert client.session is not None
        rig.desk_sessions.append(client.session)
        listener = threading.Thread(target=_listen, args=(client, told), daemon=True)
        listener.start()
        _until(rig, lambda: _beat(client).get("leg"), "the agent's line did not come up")
        heard = _record(rig)
        client.ready()
        _until(rig, _is(client, AgentState.TALKING), "the debtor was not brought to the agent")
        begun = client.pay()["payment"]
        result = select(pay_session.c.result).where(pay_session.c.id == begun)
        _until(rig, lambda: _over(rig, client, result), "the card was not taken", CALLS_SECONDS)
        # Together again: the debtor talks, and is heard.
        _until(rig, lambda: _hears(client, heard), "the agent does not hear the debtor again")
        client.hang_up()
        _until(rig, _is(client, AgentState.WRAP_UP), "the call did not end")
        client.wrap_done()
        client.log_out()
        listener.join(CALLS_SECONDS)
    rig.finish(campaign_id)
    counted = [one for one in told if one.type == PAYMENT and one.data.get("digits")]
    return [] if counted else ["the desk was told nothing of the card that was keyed in"]


@contextmanager
def _desk(rig: Rig, campaign_id: int) -> Iterator[DeskClient]:
    """An agent of the campaign's company, with an account of their own."""
    now = datetime.now(UTC)
    (company_id,) = rig.rows(select(campaign.c.company_id).where(campaign.c.id == campaign_id))[0]
    with rig.database.begin() as connection:
        station = phone_address(rig.settings, _phone())
        agent_id = agents.create_agent(
            connection, company_id, f"scan-{campaign_id}", {"station": station}, ACTOR, now
        )
        token = agents.new_token(connection, agent_id, ACTOR, now)
    with DeskClient(f"http://127.0.0.1:{rig.settings.web_port}", token) as client:
        yield client


def _phone() -> str:
    return f"90000{named(QUIET_PERSONA).code}"


def _logged_in(client: DeskClient) -> bool:
    try:
        client.log_in()
    except DeskError:
        time.sleep(LOOK_SECONDS)  # the engine is about to take the campaign
        return False
    return True


def _listen(client: DeskClient, told: list[DeskEvent]) -> None:
    try:
        for event in client.events():
            told.append(event)
    except DeskError:
        pass  # the session is over


def _beat(client: DeskClient) -> dict[str, Any]:
    """A moment later; nothing where the engine did not answer in time."""
    time.sleep(LOOK_SECONDS)
    try:
        return client.heartbeat()
    except DeskError:
        return {}


def _is(client: DeskClient, state: AgentState) -> Callable[[], bool]:
    return lambda: bool(_beat(client).get("state") == state)


def _over(rig: Rig, client: DeskClient, result: Any) -> bool:
    _beat(client)
    return all(row.result is not None for row in rig.rows(result))


def _hears(client: DeskClient, heard: Path) -> bool:
    _beat(client)
    return seconds_of_sound(heard) > LEAST_SOUND


def _until(rig: Rig, holds: Callable[[], object], why: str, seconds: float = SIT_SECONDS) -> None:
    rig.until(lambda: bool(holds()), why, seconds)


def _record(rig: Rig) -> Path:
    """Keep what comes to the agent's telephone from now on. Raises ScanFailed."""
    rig.carrier.rx("module load app_mixmonitor.so")
    channels = rig.carrier.rx("core show channels concise")
    found = [
        line.split("!")[0]
        for line in channels.splitlines()
        if "!" in line and _lives_at(rig, line.split("!")[0])
    ]
    if len(found) != 1:
        raise ScanFailed(f"{len(found)} telephones of the agent were found, one was expected")
    folder = rig.settings.home / HEARD_FOLDER
    folder.mkdir(exist_ok=True)
    heard = folder / "heard.sln"
    both = carrier_folder(rig.settings) / "spool" / "agent-leg.wav"
    rig.carrier.rx(f"mixmonitor start {found[0]} {both},r({heard})")
    rig.until(heard.exists, "what the agent hears was not recorded")
    return heard


def _lives_at(rig: Rig, channel: str) -> bool:
    told = rig.carrier.rx(f"core show channel {channel}")
    return re.search(rf"DNID Digits: {_phone()}\s", told) is not None


# --- what is searched ----------------------------------------------------------------------


def search_agents(rig: Rig, matcher: Matcher) -> Iterator[Searched]:
    """What the agents of this scan heard and were told; nothing where there was none."""
    yield search_desk_events(matcher, rig.settings.redis, rig.desk_sessions)
    if rig.desk_sessions:
        yield search_heard(matcher, rig.settings.home / HEARD_FOLDER)


def search_heard(matcher: Matcher, folder: Path) -> Searched:
    """What came to agents' telephones, decoded for tones."""
    result = Searched("the agent's telephone", "decoded for tones")
    files = sorted(folder.glob("*.sln"))
    if not files:
        result.trouble = "nothing was recorded"
    for path in files:
        try:
            keys, sound = keys_in(path), seconds_of_sound(path)
        except SoundError as error:
            result.trouble = str(error)
            continue
        result.bytes += path.stat().st_size
        result.add(matcher.search_keys_heard(keys), path.name)
        if keys:
            result.findings.append(f"{len(keys)} keys heard at {path.name}")
        if sound < LEAST_SOUND:
            result.trouble = "nothing can be heard in it"
    result.what = f"decoded: {len(files)}"
    return result


def search_desk_events(matcher: Matcher, url: str, sessions: list[str]) -> Searched:
    """Streams of events to desks and supervisors: as they are, and digits that came one an event.
    Those of ``sessions`` must tell of a payment: else nothing was searched."""
    result = Searched("events of desks", "streams")
    count = streams = 0
    with Redis.from_url(url) as redis:
        keys = [bytes(key) for key in redis.scan_iter(match=f"{DESK_EVENTS}*", count=1000)]
        for key in [*keys, FLOOR_EVENTS.encode()]:
            events = [fields[b"event"] for _, fields in redis.xrange(key)]
            content = b"\n".join(events)
            streams, count = streams + 1, count + len(events)
            result.bytes += len(content)
            result.add(_in_events(matcher, content), f"stream {streams}")
            ours = key.decode().removeprefix(DESK_EVENTS) in sessions
            if ours and PAYMENT.encode() not in content:
                result.trouble = "a desk was told of no payment"
    result.what = f"streams: {streams}, events: {count}"
    return result


_SINGLE = re.compile(rb'"(\w+)": ?"?([0-9])"?[,}]')


def _in_events(matcher: Matcher, content: bytes) -> list[Finding]:
    found = matcher.search_bytes(content) + matcher.search_digit_lines(content)
    by_field: dict[bytes, list[str]] = {}
    for field, digit in _SINGLE.findall(content):
        by_field.setdefault(field, []).append(digit.decode())
    for digits in by_field.values():
        found += matcher.search_digits("".join(digits))
    return list(dict.fromkeys(found))
