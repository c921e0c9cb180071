"""How many calls a second: Asterisk alone against the whole product, on this machine.

    python bench/bench_calls.py [--database sqlite|postgres] [--seconds 6] [--json FILE]

Both place the same calls through the same Asterisk with the product's configuration to the same
far end (SIPp): 200 ms of ringing, an answer, the product's greeting, and a hang-up by the far end
1.5 s after it picked up. Alone: a bare AMI client, and a dialplan that plays the greeting; then
the same with the smallest IVR there can be (``bare_agi``: a FastAGI session of eight commands, the
greeting among them), since no dialer with an IVR does with less.
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
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
from dialer.config import Settings  # noqa: E402
from dialer.domain.model import FallbackStep, StepKind  # noqa: E402
from dialer.speech.render import ensure_company, ensure_prompts, prompt_path  # noqa: E402
from dialer.switch import names  # noqa: E402
from dialer.switch.instance import AsteriskInstance  # noqa: E402
from dialer.switch.portable import ensure_asterisk  # noqa: E402
from dialer.switch.product import prepare_product  # noqa: E402

TALK = 1.5
LATE = RING_MS / 1000 + 0.5
WHOLE, LATE_SHARE, PACE = 0.99, 0.01, 0.97
BARE_RATES = (60, 75, 90, 105, 120, 135, 150, 165, 180, 200, 220, 240, 260, 280, 300, 320, 340)
PRODUCT_RATES = (20, 40, 60, 75, 90, 100, 110, 120, 130, 140, 150, 165, 180, 200)
FIXED = 20.0
SETTLE = 6.0
"""Seconds after the last call that calls may still take to end."""
BENCH_CONTEXT, BENCH_AGI_CONTEXT = "bench", "bench-agi"


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

    def __init__(
        self, instance: AsteriskInstance, settings: Settings, greeting: tuple[Path, ...]
    ) -> None:
        self.instance = instance
        self._port, self._agi_port = settings.ami_port, settings.agi_port
        self._secret = settings.secret(names.SECRET_AMI)
        self._greeting = greeting

    def run(self, rate: float, count: int, context: str = BENCH_CONTEXT) -> list[Call]:
        """Calls at a rate, each to its end."""
        return asyncio.run(self._run(rate, count, context))

    async def _run(self, rate: float, count: int, context: str) -> list[Call]:
        async with (
            await asyncio.start_server(self._session, "127.0.0.1", self._agi_port, backlog=1000),
            BareClient(self._port, self._secret, context) as client,
        ):
            await asyncio.sleep(0.2)
            await paced(rate, count, lambda n: client.originate(f"+346{n:08d}"))
            await until_ended(client, count, SETTLE)
            return [
                Call(one.dialled, one.answered, None not in (one.answered, one.hangup, one.ended))
                for one in client.calls.values()
            ]

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Eight commands, to the hang-up."""
        # Cancelled when a step is over: the calls that are left do not matter.
        with suppress(OSError, asyncio.CancelledError):
            while await reader.readline() not in (b"", b"\n"):
                pass
            for command in (
                "GET VARIABLE DIALER_FLOW",
                "GET VARIABLE DIALER_LANGUAGE",
                "SET VARIABLE BENCH 1",
                "EXEC UserEvent Bench",
                *(f'STREAM FILE "{one}" "0123456789*#"' for one in self._greeting),
                "WAIT FOR DIGIT 20000",
            ):
                writer.write(f"{command}\n".encode())
                if not (await reader.readline()).startswith(b"200"):
                    break
            writer.close()

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
    company = next(one for one in ensure_company(settings, COMPANY) if "/es/" in str(one))
    instance = prepare_product(settings, ensure_asterisk())
    # As the product says it: with the company's name in the middle.
    first, last = (prompt_path(settings, "es", f"greeting-{part}") for part in (1, 2))
    greeting = (first, company, last)
    said = "&".join(str(one) for one in greeting)
    with (instance.folder / "etc" / "extensions.conf").open("a") as out:
        out.write(
            f"\n[{BENCH_CONTEXT}]\nexten => s,1,Playback({said})\n same => n,Wait(30)\n"
            "exten => h,1,NoOp()\n"
            f"\n[{BENCH_AGI_CONTEXT}]\nexten => s,1,Set(AGISIGHUP=no)\n"
            f" same => n,AGI(agi://127.0.0.1:{settings.agi_port}/bench)\n same => n,Hangup(16)\n"
            "exten => h,1,NoOp()\n"
        )
    instance.start()
    try:
        yield Bare(instance, settings, greeting)
        if "does not exist" in instance.log_file.read_text():
            raise SystemExit(f"the greeting was not played:\n{instance.last_words()}")
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


def since(rates: tuple[int, ...], first: int) -> tuple[int, ...]:
    """Those that are tried."""
    return tuple(one for one in rates if one >= first)


def main() -> None:
    """Measure both, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=4.0, help="of calls at each rate")
    parser.add_argument("--fixed-seconds", type=float, default=10.0)
    parser.add_argument("--bare-from", type=int, default=150)
    parser.add_argument("--bare-agi-from", type=int, default=90)
    parser.add_argument("--product-from", type=int, default=60)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    count = round(FIXED * args.fixed_seconds)
    result: dict[str, Any] = {"machine": machine(), "database": args.database}
    with scratch() as folder:
        with FarEnd(folder / "far", TALK) as far:
            with bare(folder / "bare", far) as alone:
                alone.run(FIXED, 20)  # warm
                for name, context, first in (
                    ("bare", BENCH_CONTEXT, args.bare_from),
                    ("bare_agi", BENCH_AGI_CONTEXT, args.bare_agi_from),
                ):
                    run = partial(alone.run, context=context)
                    cpu = fixed(far, alone.cpu, partial(run, FIXED, count))
                    result[name] = ladder(name, since(BARE_RATES, first), args.seconds, run)
                    result[name]["cpu_ms_per_call"] = cpu
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
            rates = since(PRODUCT_RATES, args.product_from)
            result["product"] = ladder("product", rates, args.seconds, partial(product_run, at))
            result["product"]["cpu_ms_per_call"] = cpu
            result["product"]["cpu_ms_per_call_with_sms"] = with_sms
            result["far_end_product"] = far.counts()
    ours = result["product"]["sustained_per_second"]
    for name in ("bare", "bare_agi"):
        alone_best = result[name]["sustained_per_second"]
        result[f"ratio_to_{name}"] = round(ours / alone_best, 3) if alone_best else None
    finish(result, args.json)


if __name__ == "__main__":
    main()
