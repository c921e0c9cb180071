"""How busy each dial mode keeps the agents, and how many callers it abandons, in a simulated day.

    python bench/bench_pacing.py [--quick | --full] [--loads steady,sine] [--agents 5,20,50]
        [--seeds 2] [--hours 2] [--policies progressive,predictive] [--jobs 2]
        [--markdown FILE] [--json FILE] [--plot FILE.svg]

Every policy meets the same debtors (paired seeds). Occupancy is talk and wrap-up over logged-in
time; abandoned, of all live answers of a day, as the mean and the worst of the days; calls placed
for each one served. The fixed ratio is the best of a search on these very days, which no
supervisor could know beforehand; the oracles are told what nobody can know (pacing_oracle.py).
Plain: two days of two hours. ``--full``: 20 days of 8 hours, which takes hours of computing.
``--quick``: one short day each. ``--jobs``: days computed at once, one a process (as many as there
are cores, if not said).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pacing_loads import LOADS  # noqa: E402
from pacing_longest import longest_decision  # noqa: E402
from pacing_oracle import KnowsAnswers, KnowsFrees  # noqa: E402
from pacing_world import Day, Load, World  # noqa: E402

from dialer.domain.pacing import Pacer, make_pacer  # noqa: E402

LIMIT = 0.03
POLICIES = ("progressive", "fixed", "adaptive", "predictive", "knows frees", "knows answers")
TITLES = {
    "fixed": "best fixed ratio, tuned afterwards",
    "knows frees": "told when each agent will be free",
    "knows answers": "told which ringing lines will answer",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One policy in one load with so many agents, over all days."""

    load: str
    agents: int
    policy: str
    days: int
    hours: float
    occupancy: float
    abandoned: float
    worst: float
    placed_per_served: float
    given_up_share: float
    decision_ms: float
    longest_ms: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class OneDay:
    """What a process of its own is told: everything by name, for a load cannot be sent to one."""

    load: str
    agents: int
    hours: float
    seed: int
    policy: str
    ratio: float = 0.0


def run(one: OneDay) -> Day:
    if one.policy == "knows frees":
        pacer: Pacer = KnowsFrees()
    elif one.policy == "knows answers":
        pacer = KnowsAnswers()
    else:
        pacer = make_pacer(one.policy, **({"ratio": one.ratio} if one.ratio else {}))
    world = World(LOADS[one.load], one.agents, one.hours * 3600.0, one.seed, pacer)
    if isinstance(pacer, KnowsFrees | KnowsAnswers):
        pacer.world = world
    return world.run()


@dataclass(frozen=True, slots=True)
class Bench:
    """The days that every policy is measured on."""

    pool: ProcessPoolExecutor
    hours: float
    seeds: Sequence[int]

    def days(self, load: Load, agents: int, policy: str, ratio: float = 0.0) -> list[Day]:
        wanted = [OneDay(load.name, agents, self.hours, seed, policy, ratio) for seed in self.seeds]
        return list(self.pool.map(run, wanted))


def row(load: Load, agents: int, policy: str, days: Sequence[Day], note: str = "") -> Row:
    shares = [day.abandoned_share for day in days]
    placed, served = sum(day.placed for day in days), sum(day.served for day in days)
    return Row(
        load.name,
        agents,
        policy,
        len(days),
        days[0].seconds / 3600.0,
        100.0 * sum(day.occupancy for day in days) / len(days),
        100.0 * sum(shares) / len(days),
        100.0 * max(shares),
        placed / max(1, served),
        sum(day.given_up for day in days) / max(1, placed),
        1000.0 * sum(day.deciding for day in days) / max(1, sum(day.decisions for day in days)),
        1000.0 * max(day.slowest for day in days),
        note,
    )


def best_fixed(bench: Bench, load: Load, agents: int) -> Row:
    """The fixed ratio with the highest occupancy of those within the limit on every day."""

    def tried(ratio: float) -> Row:
        days = bench.days(load, agents, "power", ratio)
        return row(load, agents, "fixed", days, f"{ratio:.2f} lines an idle agent")

    low, high = 1.0, 2.0
    best = tried(low)
    while (found := tried(high)).worst <= 100.0 * LIMIT and high < 64.0:
        best, low, high = found, high, high * 2.0
    while high - low > max(0.05, 0.02 * low):
        middle = (low + high) / 2.0
        if (found := tried(middle)).worst <= 100.0 * LIMIT:
            best, low = found, middle
        else:
            high = middle
    return best


def measure(bench: Bench, load: Load, agents: int, policy: str) -> Row:
    if policy == "fixed":
        return best_fixed(bench, load, agents)
    return row(load, agents, policy, bench.days(load, agents, policy))


def markdown(rows: Sequence[Row]) -> str:
    lines = [
        "| load | agents | policy | occupancy % | abandoned % | worst day % | placed per served |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        title = TITLES.get(one.policy, one.policy) + (f" ({one.note})" if one.note else "")
        lines.append(
            f"| {one.load} | {one.agents} | {title} | {one.occupancy:.1f} | {one.abandoned:.2f} "
            f"| {one.worst:.2f} | {one.placed_per_served:.2f} |"
        )
    return "\n".join(lines) + "\n"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Occupancy by number of agents, one line a policy, and the worst day beneath."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install matplotlib") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 8), height_ratios=(3, 2))
    steady = [one for one in rows if one.load == rows[0].load]
    for policy in dict.fromkeys(one.policy for one in steady):
        mine = sorted((one for one in steady if one.policy == policy), key=lambda r: r.agents)
        sizes = [str(one.agents) for one in mine]
        above.plot(sizes, [one.occupancy for one in mine], "o-", label=TITLES.get(policy, policy))
        below.plot(sizes, [one.worst for one in mine], "o-")
    above.set_ylabel(f"occupancy %, load {rows[0].load}")
    above.legend()
    above.grid(alpha=0.3)
    below.axhline(100.0 * LIMIT, color="black", linestyle=":")
    below.set_ylabel("abandoned %, worst day")
    below.set_xlabel("agents")
    below.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def plan(options: argparse.Namespace) -> list[tuple[str, int, tuple[str, ...]]]:
    """(load, agents, policies) to measure: the first load with all, the others with the middle."""
    loads = options.loads.split(",") if options.loads else list(LOADS)
    unknown = [load for load in loads if load not in LOADS]
    if unknown:
        raise SystemExit(f"no load {', '.join(unknown)}; there are {', '.join(LOADS)}")
    sizes = [int(size) for size in options.agents.split(",")]
    chosen = tuple(options.policies.split(",")) if options.policies else POLICIES
    if any(policy not in POLICIES for policy in chosen):
        raise SystemExit(f"policies are {', '.join(POLICIES)}")
    some = tuple(policy for policy in chosen if not policy.startswith("knows"))
    cells = [(loads[0], size, chosen) for size in sizes]
    for load in loads[1:]:
        few = sizes if options.full else sizes[len(sizes) // 2 :][:1]
        cells += [(load, size, some) for size in few]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one day of half an hour each")
    parser.add_argument("--full", action="store_true", help="20 days of 8 h, all sizes, all loads")
    parser.add_argument("--seeds", type=int, help="days, each with a seed of its own")
    parser.add_argument("--hours", type=float)
    parser.add_argument("--agents", help="such as 5,20,50")
    parser.add_argument("--loads", help=f"of {', '.join(LOADS)}".replace("%", "%%"))
    parser.add_argument("--policies", help=f"of {', '.join(POLICIES)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="days computed at once")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an .svg or .png to draw (needs matplotlib)")
    options = parser.parse_args()
    days = options.seeds or (20 if options.full else 1 if options.quick else 2)
    hours = options.hours or (8.0 if options.full else 0.5 if options.quick else 2.0)
    options.agents = options.agents or ("5,10,20,50,100" if options.full else "5,20,50")
    seeds = range(1, days + 1)
    rows: list[Row] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        bench = Bench(pool, hours, seeds)
        for load, agents, policies in plan(options):
            for policy in policies:
                began = time.monotonic()
                rows.append(measure(bench, LOADS[load], agents, policy))
                took = f"{time.monotonic() - began:.0f} s"
                print(markdown(rows[-1:]).splitlines()[2], took, flush=True)
    longest = longest_decision(500)
    text = f"{days} days of {hours:g} hours each.\n\n{markdown(rows)}\n{longest.text()}\n"
    print("\n" + text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        report = {"rows": [asdict(one) for one in rows], "longest": asdict(longest)}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
