"""From a debtor's hang-up to the next thing the debtor gets: the redial's INVITE, the SMS.

    python bench/bench_fallback.py [--calls 800] [--rate 20] [--database sqlite|postgres]
                                   [--workers 2] [--json FILE]

Everybody answers and hangs up after 0.4 s (persona ``hangs_up_always``), so that every first call
is followed by a redial and every redial by an SMS; the redials count into the rate. Policy, claim
and commit are in the path. Each latency is told by the product's own records and from outside: by
the simulated carrier, which sees the INVITE, and by the simulated Twilio, which notes when a
request came. The floor, in the same run: a bare AMI client that keeps no record and calls again
at once when it hears of a hang-up, through an Asterisk of its own with the same configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.bare import BareCall, BareClient, paced, until_ended  # noqa: E402
from bench.office import Office, World, finish, machine, office, percentiles, scratch, tell  # noqa: E402
from dialer.domain.model import FallbackStep, StepKind  # noqa: E402
from dialer.local.witnessing import Witnessing  # noqa: E402
from dialer.simulation.personas import named  # noqa: E402
from dialer.simulation.witness import WitnessedCall  # noqa: E402
from dialer.store import reports  # noqa: E402
from dialer.switch import names  # noqa: E402

CODE = named("hangs_up_always").code
SETTLE = 15.0
FALLBACK = (
    FallbackStep(StepKind.REDIAL, flow="second_try"),
    FallbackStep(StepKind.SMS, template="missed_call"),
)


def redials_seen(calls: Sequence[WitnessedCall]) -> list[float]:
    """The carrier's view, ms: end of a number's first call to the INVITE of its second."""
    by_number: dict[str, list[WitnessedCall]] = {}
    for call in calls:
        by_number.setdefault(call.number, []).append(call)
    return [
        (many[1].invited_at - many[0].ended_at).total_seconds() * 1000
        for many in by_number.values()
        if len(many) > 1 and many[0].ended_at is not None
    ]


def sms_seen(
    calls: Sequence[WitnessedCall], requests: Sequence[dict[str, Any]]
) -> tuple[list[float], int]:
    """(ms from the end of a number's last call to the request at Twilio, how many requests)."""
    ended = {
        call.number.lstrip("+"): call.ended_at.timestamp()
        for call in calls
        if call.ended_at is not None
    }
    found = []
    for one in requests:
        at = ended.get(one["form"]["To"].lstrip("+"))
        if at is not None:
            found.append((one["at"] - at) * 1000)
    return found, len(requests)


# --- the floor -------------------------------------------------------------------------------


async def _floor(at: Office, rate: float, leads: int) -> None:
    """First calls at half the rate, each called again the moment its hang-up is told."""
    again: set[str] = set()

    def redial(call: BareCall) -> None:
        if call.number not in again:
            again.add(call.number)
            client.originate(call.number, variables)

    variables = f"{names.VAR_DETECTOR}=talk"
    secret = at.settings.secret(names.SECRET_AMI)
    client = BareClient(at.settings.ami_port, secret, names.CONTEXT_OUTBOUND, redial)
    async with client:
        await asyncio.sleep(0.2)
        await paced(rate / 2, leads, lambda n: client.originate(f"+347{n:06d}{CODE}", variables))
        await until_ended(client, 2 * leads, SETTLE)


def floor(at: Office, rate: float, leads: int) -> dict[str, Any]:
    """The redial of a client that decides nothing, as the carrier sees it."""
    with Witnessing(at.settings) as seen:
        asyncio.run(_floor(at, rate, leads))
        return {"redial_outside_ms": percentiles(redials_seen(seen.calls()))}


# --- the product -----------------------------------------------------------------------------


def product(at: Office, rate: float, leads: int) -> dict[str, Any]:
    """A campaign of people who hang up, by both views."""
    url = f"http://127.0.0.1:{at.settings.twilio_double_port}/_double"
    urllib.request.urlopen(urllib.request.Request(f"{url}/reset", method="POST")).close()
    with Witnessing(at.settings) as seen:
        world = at.campaign(
            leads, ending=CODE, calls_per_second=rate, max_concurrent=500, fallback=FALLBACK
        )
        done = at.wait_done(world, 2 * leads / rate * 1.5 + SETTLE)
        at.wait_sent(world, SETTLE)
        calls = seen.calls()
    with urllib.request.urlopen(f"{url}/requests") as answer:
        requests = json.load(answer)
    messages, count = sms_seen(calls, requests)
    redials, texts = _own(at, world)
    invited = [call.invited_at.timestamp() for call in calls]
    return {
        "done": done,
        "calls": len(calls),
        "calls_per_second": round((len(invited) - 1) / (invited[-1] - invited[0]), 1),
        "redial_own_ms": percentiles(redials),
        "redial_outside_ms": percentiles(redials_seen(calls)),
        "sms_own_ms": percentiles(texts),
        "sms_outside_ms": percentiles(messages),
        "sms_requests": count,
    }


def _own(at: Office, world: World) -> tuple[list[float], list[float]]:
    """Latencies of redials and of messages in the product's records, ms."""
    redials, texts = [], []
    with at.engine.connect().execution_options(dialer_readonly=True) as connection:
        for row in reports.attempt_rows(connection, world.campaign_id):
            for step in row["fallback"]:
                if step["latency_ms"] is not None:
                    (redials if step["kind"] == "redial" else texts).append(step["latency_ms"])
    return redials, texts


def main() -> None:
    """Measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=800, help="first calls and redials")
    parser.add_argument("--rate", type=float, default=20.0, help="calls a second, redials too")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--workers", type=int, default=2, help="processes that send SMS")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    leads = args.calls // 2
    result: dict[str, Any] = {
        "machine": machine(),
        "database": args.database,
        "workers": args.workers,
        "rate": args.rate,
    }
    with scratch() as folder, ExitStack() as held:
        at = held.enter_context(office(folder, postgres=args.database == "postgres"))
        for _ in range(args.workers - 1):
            held.enter_context(at.another_worker())
        product(at, args.rate, 20)  # warm
        tell("the floor")
        result["floor"] = floor(at, args.rate, leads)
        tell("the product")
        result["product"] = product(at, args.rate, leads)
    lowest, ours = result["floor"]["redial_outside_ms"], result["product"]["redial_outside_ms"]
    result["ratio_to_floor"] = {
        name: round(ours[name] / lowest[name], 2) for name in ("p50", "p90", "p99")
    }
    finish(result, args.json)


if __name__ == "__main__":
    main()
