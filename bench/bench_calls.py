"""How many calls a second: Asterisk alone against the whole product, on this machine.

    python bench/bench_calls.py [--database sqlite|postgres] [--seconds 6] [--json FILE]

Both place the same calls through the same Asterisk with the product's configuration to the same
far end (SIPp): 200 ms of ringing, an answer, the product's greeting, and a hang-up by the far end
1.5 s after it picked up. Alone: a bare AMI client, and a dialplan that plays the greeting.
Product: engine, IVR, database, worker, events. The rate is raised step by step; one is sustained
when at least 99 % of its calls were answered, heard the greeting and were hung up by the far end,
when at most 1 % were answered more than half a second late, and when they were placed at no less
than 97 % of the rate. A rate that fails is tried once more. Afterwards both run at 20 calls/s and
the CPU time of every process is taken, the far end's apart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.bare import BareClient, paced, until_ended  # noqa: E402
from bench.far_end import RING_MS, FarEnd  # noqa: E402
from bench.office import (  # noqa: E402
    COMPANY,
    Office,
    cpu_seconds,
    finish,
    machine,
    office,
    percentiles,
    scratch,
    settings_of,
    spent,
    tell,
)
from dialer.domain.model import FallbackStep, StepKind  # noqa: E402
from dialer.speech.render import ensure_company, ensure_prompts, prompt_path  # noqa: E402
from dialer.switch import names  # noqa: E402
from dialer.switch.instance import AsteriskInstance  # noqa: E402
from dialer.switch.portable import ensure_asterisk  # noqa: E402
from dialer.switch.product import prepare_product  # noqa: E402

TALK = 1.5
LATE = RING_MS / 1000 + 0.5
WHOLE, LATE_SHARE, PACE = 0.99, 0.01, 0.97
BARE_RATES = (60, 90, 120, 150, 180, 210, 240, 280, 320, 360, 400)
PRODUCT_RATES = (20, 30, 40, 50, 60, 75, 90, 105, 120, 140, 160, 180, 200)
FIXED = 20.0
SETTLE = 6.0
"""Seconds after the last call that calls may still take to end."""
BENCH_CONTEXT = "bench"


@dataclass(frozen=True, slots=True)
class Call:
    """What counts of one call, whoever placed it. Unix times."""

    dialled: float | None
    answered: float | None
    whole: bool


def judge(calls: list[Call], rate: float) -> dict[str, Any]:
    """The figures of a step and whether the rate was sustained."""
    dialled = sorted(call.dialled for call in calls if call.dialled is not None)
    whole = sum(call.whole for call in calls)
    ring = [
        call.answered - call.dialled
        for call in calls
        if call.answered is not None and call.dialled is not None
    ]
    late = sum(one > LATE for one in ring)
    placed = (len(dialled) - 1) / (dialled[-1] - dialled[0]) if len(dialled) > 1 else 0.0
    return {
        "offered": rate,
        "placed": round(placed, 1),
        "calls": len(calls),
        "whole": whole,
        "late": late,
        "to_answer_ms": percentiles([one * 1000 for one in ring]),
        "sustained": (
            whole >= WHOLE * len(calls)
            and late <= LATE_SHARE * len(calls)
            and placed >= PACE * rate
        ),
    }


# --- Asterisk alone --------------------------------------------------------------------------


class Bare:
    """One Asterisk with the product's configuration, and a context that plays the greeting."""

    def __init__(self, instance: AsteriskInstance, port: int, secret: str) -> None:
        self.instance = instance
        self._port, self._secret = port, secret

    def run(self, rate: float, count: int) -> list[Call]:
        """Calls at a rate, each to its end."""
        return asyncio.run(self._run(rate, count))

    async def _run(self, rate: float, count: int) -> list[Call]:
        async with BareClient(self._port, self._secret, BENCH_CONTEXT) as client:
            await asyncio.sleep(0.2)
            await paced(rate, count, lambda n: client.originate(f"+346{n:08d}"))
            await until_ended(client, count, SETTLE)
            return [
                Call(one.dialled, one.answered, None not in (one.answered, one.hangup, one.ended))
                for one in client.calls.values()
            ]

    def cpu(self) -> dict[str, float]:
        """Of Asterisk, and of the client (this process)."""
        assert self.instance.process is not None
        times = time.process_time()
        return {"asterisk": cpu_seconds(self.instance.process.pid), "client": times}


@contextmanager
def bare(home: Path, far: FarEnd) -> Iterator[Bare]:
    """Started and stopped."""
    settings = settings_of(home, far.port)
    ensure_prompts(settings)
    ensure_company(settings, COMPANY)
    instance = prepare_product(settings, ensure_asterisk())
    greeting = prompt_path(settings, "es", "greeting")
    with (instance.folder / "etc" / "extensions.conf").open("a") as out:
        out.write(
            f"\n[{BENCH_CONTEXT}]\nexten => s,1,Playback({greeting})\n same => n,Wait(30)\n"
            "exten => h,1,NoOp()\n"
        )
    instance.start()
    try:
        yield Bare(instance, settings.ami_port, settings.secret(names.SECRET_AMI))
    finally:
        instance.stop()


# --- the product -----------------------------------------------------------------------------


def product_run(at: Office, rate: float, count: int, **changes: Any) -> list[Call]:
    """A campaign at this rate, from its start to its last call."""
    values = {"calls_per_second": rate, "max_concurrent": 2000, "fallback": ()} | changes
    world = at.campaign(count, **values)
    at.wait_done(world, count / rate * 2 + SETTLE)
    at.stop(world)
    return [
        Call(
            row.dialled_at.timestamp() if row.dialled_at else None,
            row.answered_at.timestamp() if row.answered_at else None,
            None not in (row.answered_at, row.ended_at, row.last_prompt) and row.hung_up_by_debtor,
        )
        for row in at.attempts(world)
    ] + [Call(None, None, False)] * at.left(world)


# --- both ------------------------------------------------------------------------------------


def ladder(
    name: str, rates: tuple[int, ...], seconds: float, run: Callable[[float, int], list[Call]]
) -> dict[str, Any]:
    """Steps up to the first rate that fails twice; the greatest that was sustained."""
    steps: list[dict[str, Any]] = []
    best = 0.0
    for rate in rates:
        for _ in range(2):
            step = judge(run(rate, round(rate * seconds)), rate)
            steps.append(step)
            tell(f"{name} {rate}/s: {step}")
            time.sleep(1.0)
            if step["sustained"]:
                break
        if not steps[-1]["sustained"]:
            break
        best = float(rate)
    return {"sustained_per_second": best, "steps": steps}


def per_call(cpu: dict[str, float], calls: list[Call]) -> dict[str, Any]:
    """Milliseconds of CPU a call, by part."""
    found: dict[str, Any] = {
        name: round(value * 1000 / len(calls), 2) for name, value in cpu.items()
    }
    found["calls"] = len(calls)
    found["whole"] = sum(call.whole for call in calls)
    return found


def fixed(
    far: FarEnd, cpu: Callable[[], dict[str, float]], run: Callable[[], list[Call]]
) -> dict[str, Any]:
    """CPU a call at the common rate, idle time of the processes included."""
    before, far_before = cpu(), cpu_seconds(far.pid)
    calls = run()
    parts = per_call(spent(before, cpu()), calls)
    parts["far_end"] = round((cpu_seconds(far.pid) - far_before) * 1000 / len(calls), 2)
    tell(f"at {FIXED:g}/s, ms of CPU a call: {parts}")
    return parts


def main() -> None:
    """Measure both, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=4.0, help="of calls at each rate")
    parser.add_argument("--fixed-seconds", type=float, default=10.0)
    parser.add_argument("--bare-from", type=int, default=120)
    parser.add_argument("--product-from", type=int, default=40)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    count = round(FIXED * args.fixed_seconds)
    result: dict[str, Any] = {"machine": machine(), "database": args.database}
    with scratch() as folder:
        with FarEnd(folder / "far", TALK) as far:
            with bare(folder / "bare", far) as alone:
                alone.run(FIXED, 20)  # warm
                cpu = fixed(far, alone.cpu, lambda: alone.run(FIXED, count))
                rates = tuple(one for one in BARE_RATES if one >= args.bare_from)
                result["bare"] = ladder("bare", rates, args.seconds, alone.run)
                result["bare"]["cpu_ms_per_call"] = cpu
            result["far_end_bare"] = far.counts()
        with (
            FarEnd(folder / "far2", TALK) as far,
            office(
                folder / "product", trunk_port=far.port, postgres=args.database == "postgres"
            ) as at,
        ):
            product_run(at, FIXED, 20)  # warm
            cpu = fixed(far, at.cpu, lambda: product_run(at, FIXED, count))
            sms = (FallbackStep(StepKind.SMS, template="missed_call"),)
            with_sms = fixed(far, at.cpu, lambda: product_run(at, FIXED, count, fallback=sms))
            rates = tuple(one for one in PRODUCT_RATES if one >= args.product_from)
            result["product"] = ladder(
                "product", rates, args.seconds, lambda rate, n: product_run(at, rate, n)
            )
            result["product"]["cpu_ms_per_call"] = cpu
            result["product"]["cpu_ms_per_call_with_sms"] = with_sms
            result["far_end_product"] = far.counts()
    alone_best = result["bare"]["sustained_per_second"]
    if alone_best:
        result["ratio"] = round(result["product"]["sustained_per_second"] / alone_best, 3)
    finish(result, args.json)


if __name__ == "__main__":
    main()
