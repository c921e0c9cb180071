"""What a call costs while somebody listens to a prompt.

    python bench/bench_listening.py [--calls 50,100,200] [--seconds 10] [--silent] [--json FILE]

So many calls at once, each in the product's IVR in the middle of one long greeting, with the
product's own detector of voices and faxes listening to the far end, which sends silence at 50
packets a second (``--silent``: nothing). The CPU time of Asterisk and of the IVR is taken while no
call begins or ends. ``one_core`` is how many calls would fill one core, by the most calls measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.far_end import FarEnd  # noqa: E402
from bench.office import Office, World, cpu_seconds, finish, machine, office, scratch, spent, tell  # noqa: E402, E501

RAMP = 25.0
"""Calls a second until all are there."""
MARGIN = 3.0
HERE = """SELECT count(*) FROM attempt WHERE campaign_id = :c AND state = 'answered'
    AND last_prompt IS NOT NULL"""


def measure(at: Office, far: FarEnd, calls: int, seconds: float) -> dict[str, Any]:
    """So many calls; percent of a core for each, while they listen."""
    world = at.campaign(calls, calls_per_second=RAMP, max_concurrent=2000, fallback=())
    until = time.monotonic() + calls / RAMP + MARGIN + 5
    while _here(at, world) < calls and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(1.0)
    listening = _here(at, world)
    before, far_before, began = at.cpu(), cpu_seconds(far.pid), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    parts = spent(before, at.cpu())
    far_end = cpu_seconds(far.pid) - far_before
    still = _here(at, world)
    at.wait_done(world, far.talk)
    at.stop(world)

    def share(value: float) -> float:
        return round(value / took / max(1, listening) * 100, 3)

    found = {
        "calls": calls,
        "listening": [listening, still],
        "percent_of_a_core_each": {
            name: share(parts[name]) for name in ("asterisk", "ivr", "engine")
        },
        "far_end": share(far_end),
        "asterisk_percent": round(parts["asterisk"] / took * 100, 1),
        "ivr_percent": round(parts["ivr"] / took * 100, 1),
    }
    tell(str(found))
    return found


def _here(at: Office, world: World) -> int:
    return at.number(HERE, world)


def main() -> None:
    """Measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", default="50,100,200")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--silent", action="store_true", help="the far end sends no sound")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    many = [int(one) for one in args.calls.split(",")]
    talk = max(many) / RAMP + args.seconds + 2 * MARGIN
    result: dict[str, Any] = {"machine": machine(), "far_end_sends": not args.silent}
    with (
        scratch() as folder,
        FarEnd(folder / "far", talk, silent=args.silent) as far,
        office(folder / "product", trunk_port=far.port, greeting_seconds=talk + 10) as at,
    ):
        result["steps"] = [measure(at, far, calls, args.seconds) for calls in many]
        each = result["steps"][-1]["percent_of_a_core_each"]
    result["one_core"] = {
        "asterisk": round(100 / each["asterisk"]),
        "asterisk_and_ivr": round(100 / (each["asterisk"] + each["ivr"])),
    }
    finish(result, args.json)


if __name__ == "__main__":
    main()
