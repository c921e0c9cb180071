"""Every place of a running installation, searched one after the other."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from dialer.local.cardscan.listening import as_sent, search_events
from dialer.local.cardscan.matcher import Matcher
from dialer.local.cardscan.places import (
    Searched,
    family,
    search_family,
    search_folder,
    search_redis,
    search_tables,
)
from dialer.local.cardscan.rig import Rig
from dialer.local.cardscan.with_agent import search_agents
from dialer.local.stack import ACQUIRER, CARRIER
from dialer.speech.audio import SoundError
from dialer.speech.keys_heard import ENDINGS, keys_in, seconds_of_sound
from dialer.store.tables import attempt
from dialer.switch.render import carrier_folder, product_folder, run_folder

LEAST_SOUND = 1.0
"""Seconds of something to hear that every recording must have."""
HTTP_SECONDS = 10.0

EXCLUDED = {
    "the simulated network (its process and its folder `carrier`)": "it is the debtors, who key"
    " the cards in",
    "memory of the simulated bank": "the cards are sent to it; its files and logs are searched",
    "memory of the scan itself": "it knows what it looks for",
    "requests to the bank": "the number is meant for nobody else",
}
"""What is not searched, and why."""


def search_everywhere(rig: Rig, matcher: Matcher, *, memory: bool = True) -> list[Searched]:
    """One line for each place. What cannot be searched has ``trouble``, and is not clean.

    ``memory``: of processes too, which takes most of the time.
    """
    return [
        *_files(rig, matcher),
        search_tables(matcher, rig.database),
        search_redis(matcher, rig.settings.redis),
        *_recorded(rig, matcher),
        *(_memory(rig, matcher) if memory else ()),
        _command_lines(rig, matcher),
        *_http(rig, matcher),
        _sounds(rig, matcher),
        *search_agents(rig, matcher),
    ]


# --- files ---------------------------------------------------------------------------------


def _files(rig: Rig, matcher: Matcher) -> Iterator[Searched]:
    home = rig.settings.home
    skip = carrier_folder(rig.settings)
    folders = [path for path in sorted(home.iterdir()) if path.is_dir() and path != skip]
    for folder in folders:
        yield search_folder(matcher, f"{folder.name}/", folder)
    top = search_folder(matcher, "state folder", home, (skip, *folders))
    if not top.bytes:
        top.trouble = "it is empty"
    yield top
    run = run_folder(product_folder(rig.settings))
    if home not in run.parents:
        yield search_folder(matcher, "Asterisk's run folder", run)


# --- what was recorded while calls were made ------------------------------------------------


def _recorded(rig: Rig, matcher: Matcher) -> Iterator[Searched]:
    for one in rig.recorders:
        stream = one.kept
        result = Searched(one.name, "everything received", len(stream), trouble=one.trouble)
        if one.name.startswith("AMI"):
            result.add(search_events(matcher, stream))
        else:
            result.add(matcher.search_bytes(stream))
            result.add(matcher.search_bytes(as_sent(stream)))
        yield result


# --- processes -----------------------------------------------------------------------------


def _memory(rig: Rig, matcher: Matcher) -> Iterator[Searched]:
    supervisor = rig.stack.supervisor
    for name in supervisor.names():
        if name not in (CARRIER, ACQUIRER):
            yield search_family(matcher, f"process {name}", supervisor.pid(name))


def _command_lines(rig: Rig, matcher: Matcher) -> Searched:
    result = Searched("command lines, environments", "of every process")
    supervisor = rig.stack.supervisor
    count = 0
    for name in supervisor.names():
        if name == CARRIER:
            continue
        for pid in family(supervisor.pid(name)):
            for kind in ("cmdline", "environ"):
                try:
                    content = Path(f"/proc/{pid}/{kind}").read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                except OSError as error:
                    result.trouble = f"{kind} of {name}: {error.strerror}"
                    continue
                result.bytes += len(content)
                result.add(matcher.search_bytes(content), f"{kind} of {name}")
            count += 1
    result.what = f"processes: {count}"
    return result


# --- HTTP ----------------------------------------------------------------------------------


def _http(rig: Rig, matcher: Matcher) -> Iterator[Searched]:
    s = rig.settings
    twilio = f"http://127.0.0.1:{s.twilio_double_port}/_double"
    bank = f"http://127.0.0.1:{s.acquirer_double_port}/_bank"
    health = {
        "engine": s.engine_health_port,
        "ivr": s.ivr_health_port,
        "payments": s.payments_health_port,
        "worker": s.worker_health_port,
    }
    pages = [f"http://127.0.0.1:{p}/{page}" for p in health.values() for page in _PAGES]
    yield _pages(matcher, "HTTP to Twilio", [f"{twilio}/requests", f"{twilio}/messages"])
    yield _pages(matcher, "webhooks and books of the bank", [f"{bank}/hooks", f"{bank}/ledger"])
    yield _pages(matcher, "health pages and metrics", pages)


_PAGES = ("health", "metrics")


def _pages(matcher: Matcher, where: str, urls: list[str]) -> Searched:
    result = Searched(where, f"pages: {len(urls)}")
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=HTTP_SECONDS) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            content = error.read()  # a health page that is not well is a page as well
        except OSError as error:
            result.trouble = f"{url.rpartition('/')[2]} could not be read: {error}"
            continue
        result.bytes += len(content)
        result.add(matcher.search_bytes(content), url.rpartition("/")[2])
    return result


# --- recordings ----------------------------------------------------------------------------


def _sounds(rig: Rig, matcher: Matcher) -> Searched:
    """Every recording, decoded for tones; each answered call has one with something in it."""
    result = Searched("recordings", "decoded for tones")
    folder = product_folder(rig.settings) / "spool"
    wanted = {
        f"{row.id}.wav"
        for row in rig.rows(
            select(attempt.c.id).where(
                attempt.c.campaign_id.in_(rig.campaign_ids), attempt.c.answered_at.is_not(None)
            )
        )
    }
    decoded = silent = with_keys = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in ENDINGS:
            continue
        try:
            keys, sound = keys_in(path), seconds_of_sound(path)
        except SoundError as error:
            result.trouble = str(error)
            continue
        decoded += 1
        with_keys += bool(keys)
        result.bytes += path.stat().st_size
        result.add(matcher.search_keys_heard(keys), path.name)
        if path.name in wanted:
            wanted.discard(path.name)
            silent += sound < LEAST_SOUND
    if wanted:
        result.trouble = f"{len(wanted)} answered calls have no recording"
    elif silent:
        result.trouble = f"{silent} recordings are empty: the recorder did not work"
    elif not decoded:
        result.trouble = "there are no recordings"
    result.what = f"decoded: {decoded}, keys heard in: {with_keys}"
    return result
