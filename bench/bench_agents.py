"""Simulated agents and debtors on a real Asterisk: how soon they hear each other, how busy the
agents are, how many debtors are abandoned; beside it what the simulator says of the same load.

    python bench/bench_agents.py [--agents 20] [--leads 500] [--mode predictive] [--seed 1]
        [--talk 20] [--wrap 4] [--cps 20] [--json FILE]

The calls are `dialer demo --agents`: two Asterisks, SIP and RTP, the API, the engine. From the
answer to the first sound is measured where it is heard, at the debtor's end. Everything, the far
ends too, runs on this machine: the figures are those of a loaded small machine. The simulator
(pacing_world.py) is given the shares and means that were measured, and keeps its own shapes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pacing_world import Kind, Load, World, log_normal  # noqa: E402

from dialer.domain.pacing import make_pacer  # noqa: E402

SIGMA = 0.6
"""Of the simulated agents' talks (dialer.simulation.agents_double)."""


def call(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    """The result of the demo's agents. Raises SystemExit where the demo did not run to its end."""
    file = home / "result.json"
    ended = subprocess.run(
        [
            sys.executable, "-m", "dialer", "--home", str(home), "demo",
            "--agents", str(options.agents), "--leads", str(options.leads),
            "--cps", str(options.cps), "--mode", options.mode, "--seed", str(options.seed),
            "--talk-mean", str(options.talk), "--wrap-mean", str(options.wrap),
            "--json", str(file),
        ],
        cwd=ROOT, check=False, stdout=sys.stderr, timeout=1800,
    )  # fmt: skip
    if not file.exists():
        raise SystemExit(f"the demo ended with {ended.returncode} and no result")
    found: dict[str, Any] = json.loads(file.read_text())["agents"]
    return found


def foretold(real: dict[str, Any], mode: str) -> dict[str, float]:
    """The same load in the simulator, some such shifts: as many answers, rings, talks and wraps as
    long as were measured, and those who came to the agents from a flow or by transfer."""
    spent, seconds = real["seconds_by_state"], real["dialling_seconds"]
    calls = sum(one.get("served", 0) for one in real["calls"].values())
    guests = calls - real["calls"]["predictive"]["served"]
    talk, wrap = (spent.get(state, 0.0) / calls for state in ("talking", "wrap_up"))
    load = Load(
        "demo",
        p=lambda at: real["answered"] / real["placed"],
        kinds=(Kind("", scale=real["mean_ring_seconds"] / Kind("").shape),),
        talk=lambda dice: log_normal(dice, talk, SIGMA),
        wrap=lambda dice: log_normal(dice, wrap, SIGMA) if wrap else 0.0,
        guests=guests / seconds,
    )
    days = [
        World(load, real["agents"], seconds, seed, make_pacer(mode)).run() for seed in range(1, 11)
    ]
    answered = sum(day.answered for day in days)
    return {
        "occupancy": sum(day.occupancy for day in days) / len(days),
        "abandoned_share": sum(day.abandoned for day in days) / max(1, answered),
        "answered": answered / len(days),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--leads", type=int, default=500)
    parser.add_argument("--mode", default="predictive")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--talk", type=float, default=20.0, help="mean seconds of a talk")
    parser.add_argument("--wrap", type=float, default=4.0, help="mean seconds of a wrap-up")
    parser.add_argument("--cps", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agents-") as folder:
        real = call(options, Path(folder))
    told = foretold(real, options.mode)
    result = {"measured": real, "simulator": told}
    sound, heard = real["answer_to_sound_ms"], real["answer_to_sound_heard_ms"]
    print(f"{options.agents} agents, {options.leads} debtors, {options.mode}")
    for name, times in (("joined, as the dialer saw it", sound), ("sound, as it was heard", heard)):
        said = ", ".join(f"{key} {value}" for key, value in times.items())
        print(f"answer to {name} (ms): {said}")
    print(f"occupancy {real['occupancy']} (simulator {told['occupancy']:.3f})")
    print(f"abandoned {real['abandoned_share']} (simulator {told['abandoned_share']:.3f})")
    print(f"answers while dialling {real['answered']} (simulator {told['answered']:.0f})")
    for problem in real["problems"]:
        print(f"off: {problem}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
