"""``dialer report``: a campaign in figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import click

from dialer.commands import common
from dialer.config import load_settings
from dialer.domain.currency import minor_digits
from dialer.store import campaigns, reports


@click.command("report")
@click.option("--campaign", "name", required=True, help="Of which campaign.")
@common.json_option
def report(name: str, as_json: bool) -> None:
    """Show leads, dispositions, where debtors left, and what the fallbacks brought.

    Percentiles are by the nearest-rank method over all latencies of the campaign.
    """
    with common.reading(load_settings()) as connection:
        row = campaigns.find(connection, name)
        figures = {"campaign": name, "state": row.state, **reports.report(connection, row.id)}
    if as_json:
        common.write_json(figures)
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """The figures of ``reports.report`` as tables."""
    title = f"{figures['campaign']} ({figures['state']})" if "campaign" in figures else ""
    common.write_table(title, ("figure", "value"), list(_summary(figures)))
    common.write_table(
        "dispositions",
        ("disposition", "calls", "share"),
        [
            (kind, count, _percent(count, sum(figures["dispositions"].values())))
            for kind, count in figures["dispositions"].items()
        ],
    )
    common.write_table(
        "answered, then hung up: what followed",
        ("step", "taken", "p50 ms", "p90 ms", "p99 ms", "refused"),
        list(_fallbacks(figures["fallbacks"])),
    )
    if figures["agents"]["calls"]:
        _show_agents(figures["agents"])
    if figures["left_at"]:
        common.write_table(
            "last prompt heard",
            ("node", "prompt", "calls", "hung up there", "without a key"),
            [
                (left["node"], left["prompt"], left["calls"], left["hung_up"], left["abandoned"])
                for left in figures["left_at"]
            ],
        )


def _summary(figures: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    leads, attempts, abandoned = figures["leads"], figures["attempts"], figures["abandoned"]
    yield "leads", _pairs({k: v for k, v in leads.items() if k != "closed"})
    yield "closed as", _pairs(leads["closed"])
    yield "attempts", f"{attempts['total']}, {attempts['redials']} of them redials"
    answered = figures["answered"]
    yield "answered", f"{answered['count']} ({_share(answered['share'])})"
    yield (
        "conversations",
        f"{answered['conversations']} ({_share(answered['conversation_share'])})",
    )
    yield "abandoned for want of an agent", _without_agent(figures["agents"])
    yield "answered, then hung up", f"{abandoned['calls']} calls, {abandoned['leads']} leads"
    yield (
        "reached by the redial",
        f"{abandoned['reached_by_redial']} ({_share(abandoned['reached_share'])})",
    )
    yield "redials ended as", _pairs(abandoned["redials"])
    yield "promises", _promises(figures["promises"])
    yield "messages", _pairs(figures["messages"])


def _without_agent(agents: dict[str, Any]) -> str:
    said = f"{agents['abandoned']} of {agents['live_answers']} live answers"
    if agents["live_answers"]:
        worst = agents["worst_day"]
        said += (
            f" ({_share(agents['abandoned_share'])}; worst day {worst['day']}:"
            f" {_share(worst['abandoned_share'])})"
        )
    return said


def _show_agents(agents: dict[str, Any]) -> None:
    common.write_table(
        "agents",
        ("figure", "value"),
        [
            *(
                (f"calls: {kind}", f"{of['count']}: {_pairs(of['results'])}")
                for kind, of in agents["calls"].items()
            ),
            ("waited, s", _pairs(agents["wait_seconds"])),
            ("answer to sound, ms", _pairs(agents["answer_to_sound_ms"])),
            ("talk, s", _pairs(agents["talk_seconds"])),
            ("wrap-up, s", _pairs(agents["wrap_seconds"])),
        ],
    )
    if agents["by_agent"]:
        common.write_table(
            "by agent",
            ("agent", "calls", "talk, s"),
            [tuple(one.values()) for one in agents["by_agent"]],
        )


def _promises(promises: dict[str, Any]) -> str:
    amounts = ", ".join(
        f"{Decimal(minor).scaleb(-minor_digits(code)):,f} {code}"
        for code, minor in promises["amount_minor"].items()
    )
    return f"{promises['count']} ({amounts})" if amounts else str(promises["count"])


def _fallbacks(steps: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for kind, step in steps.items():
        times = step.get("latency_ms", {})
        yield (
            kind,
            step["count"],
            *(times.get(f"p{percent}") for percent in reports.PERCENTILES),
            _pairs(step.get("refused", {})),
        )


def _pairs(counts: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {'-' if n is None else n}" for name, n in counts.items())


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
