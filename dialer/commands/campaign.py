"""``dialer campaign``: from a file to a running campaign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.commands import common
from dialer.config import load_settings
from dialer.domain.model import DialMode
from dialer.local.launch import make_campaign
from dialer.store import agents, campaigns, idle, imports, leases, policy_approvals
from dialer.store.campaign_file import CampaignFile, campaign_of, parse_campaign_values
from dialer.store.campaigns import Action
from dialer.store.plans import plan_of
from dialer.switch.trunks import load_trunks

MODES = [mode.value for mode in DialMode]


@click.group("campaign")
def campaign() -> None:
    """Make, start, pause, stop and explain campaigns.

    \b
    dialer campaign create docs/samples/campaign.yaml
    dialer campaign create --name june --flow reminder --pool madrid
    dialer campaign start june
    dialer campaign why june        why does it call nobody?
    dialer campaign mode june predictive
    dialer campaign pause june
    """


@campaign.command("create")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--name", help="What it is called; for ever.")
@click.option("--company", help="Where there are several.")
@click.option("--flow", help="A file of ivr_flows/, without its ending.")
@click.option("--language", help="es or en.")
@click.option("--pool", help="The pool of caller IDs.")
@click.option("--caller-id", "caller_ids", multiple=True, help="A caller ID; may be repeated.")
@click.option("--trunk", help="Which trunk carries the calls.")
@click.option("--calls-per-second", type=float, help="At most so many new calls a second.")
@click.option("--max-concurrent", type=int, help="At most so many calls at once.")
@click.option("--mode", type=click.Choice(MODES), help="Agents or none; how many are dialled.")
@click.option("--window", multiple=True, help="Like 'mon-fri 09:00-21:00'; may be repeated.")
@click.option("--no-leads", is_flag=True, help="Make it empty: do not add the company's accounts.")
@click.option("--start", is_flag=True, help="Start it at once.")
@common.actor_option
@common.json_option
def create(
    file: Path | None, no_leads: bool, start: bool, actor: str, as_json: bool, **flags: Any
) -> None:
    """Make a campaign of the YAML FILE, of flags, or of both (a flag goes before the file).

    Every account of the company becomes a lead; accounts imported later are added with
    `dialer campaign add-leads`. docs/campaigns.md explains each key of the file.
    """
    settings = load_settings()
    wanted = _campaign_file(file, flags)
    moment = common.now()
    with common.transaction(settings) as connection:
        campaign_id, warnings = make_campaign(connection, settings, wanted, actor, moment)
        added = 0 if no_leads else imports.add_leads(connection, campaign_id)
        if start:
            campaigns.change_state(connection, wanted.name, Action.START, actor, moment, alone=True)
    common.warn(warnings)
    state = "running" if start else "draft"
    if as_json:
        common.write_json(
            {"name": wanted.name, "state": state, "leads": added, "warnings": warnings}
        )
        return
    click.echo(f"made campaign {wanted.name} with {added} leads; it is {state}")
    if not start:
        click.echo(f"start it with: dialer campaign start {wanted.name}")


def _campaign_file(file: Path | None, flags: dict[str, Any]) -> CampaignFile:
    """The file with the flags over it."""
    given = {key: value for key, value in flags.items() if value not in (None, ())}
    if file is None and not given:
        raise click.UsageError("give a campaign file, or flags (--name, --flow, --pool)")
    values = parse_campaign_values(file) if file is not None else {}
    mode = given.pop("mode", None)
    if mode is not None:
        section = values.get("agents") or {}
        values["agents"] = {**(section if isinstance(section, dict) else {}), "mode": mode}
    for one, other in (("pool", "caller_ids"), ("caller_ids", "pool")):
        if one in given and other not in given:
            values.pop(other, None)
    return campaign_of({**values, **given})


@campaign.command("add-leads")
@click.argument("name")
@common.actor_option
@common.json_option
def add_leads(name: str, actor: str, as_json: bool) -> None:
    """Add the accounts of the company that are not in campaign NAME yet."""
    with common.transaction(load_settings()) as connection:
        row = campaigns.find(connection, name)
        added = imports.add_leads(connection, row.id)
        campaigns.record_leads(connection, row.id, added, actor, common.now())
    if as_json:
        common.write_json({"campaign": name, "state": row.state, "leads": added})
        return
    click.echo(f"{name}: {added} leads added")
    if added and row.state == "finished":
        click.echo(f"it had finished: dialer campaign start {name}")


def _change(name: str, action: Action, actor: str, as_json: bool) -> None:
    settings = load_settings()
    moment = common.now()
    with common.transaction(settings) as connection:
        after = campaigns.change_state(connection, name, action, actor, moment, alone=True)
        campaign_id = campaigns.find(connection, name).id
        reasons = idle.why_idle(connection, campaign_id, moment)
        stands = policy_approvals.standing(connection, campaign_id)
    if action is Action.START and not stands.may_start:
        common.warn(
            [
                f"{one.rule.value}: {one.mine} is looser than {one.usual} ({stands.country}), and"
                " nobody else has granted it; the audit says who started it"
                for one in stands.looser
            ]
        )
    if as_json:
        common.write_json({"campaign": name, "state": after.value, "reasons": reasons})
        return
    click.echo(f"{name} is {after.value}")
    if action in (Action.START, Action.RESUME):
        for reason in reasons:
            click.echo(f"note: {reason}")


@campaign.command("start")
@click.argument("name")
@common.actor_option
@common.json_option
def start_(name: str, actor: str, as_json: bool) -> None:
    """Start NAME: a running engine takes it up within a second."""
    _change(name, Action.START, actor, as_json)


@campaign.command("pause")
@click.argument("name")
@common.actor_option
@common.json_option
def pause(name: str, actor: str, as_json: bool) -> None:
    """Place no further call for NAME; calls that are going on go on."""
    _change(name, Action.PAUSE, actor, as_json)


@campaign.command("resume")
@click.argument("name")
@common.actor_option
@common.json_option
def resume(name: str, actor: str, as_json: bool) -> None:
    """Go on with a paused campaign."""
    _change(name, Action.RESUME, actor, as_json)


@campaign.command("stop")
@click.argument("name")
@common.actor_option
@common.json_option
def stop(name: str, actor: str, as_json: bool) -> None:
    """Stop NAME for good; calls that are going on go on."""
    _change(name, Action.STOP, actor, as_json)


@campaign.command("mode")
@click.argument("name")
@click.argument("mode", type=click.Choice(MODES))
@common.actor_option
@common.json_option
def mode_(name: str, mode: str, actor: str, as_json: bool) -> None:
    """Change how NAME dials, also while it runs; calls in the air keep the mode they began in.

    
    agentless     the flow talks; agents only take who asks for them
    preview       an agent sees each debtor first, and calls or skips
    progressive   one line for each free agent
    power         a fixed number of lines for each
    adaptive      a number that is raised and lowered
    predictive    as many as the law of abandoned calls lets be dialled
    """
    wanted = DialMode(mode)
    with common.transaction(load_settings()) as connection:
        before = campaigns.change_mode(connection, name, wanted, actor, common.now())
        row = campaigns.find(connection, name)
        staff = agents.list_agents(connection, company_id=row.company_id, active_only=True)
    if wanted.needs_agents and not staff:
        common.warn([f"{row.company} has no agents: `dialer agent create` makes them"])
    if as_json:
        common.write_json({"campaign": name, "before": before.value, "mode": mode})
        return
    was = "already" if before is wanted else f"was {before.value}"
    click.echo(f"{name} dials in mode {mode} ({was})")


@campaign.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """Show the campaigns with their leads by state."""
    with common.reading(load_settings()) as connection:
        found = campaigns.list_all(connection)
    if as_json:
        common.write_json(found)
        return
    common.write_table(
        "",
        ("campaign", "company", "state", "flow", "mode", "waiting", "claimed", "done", "started"),
        [
            (
                *(c[key] for key in ("name", "company", "state", "flow", "mode")),
                *c["leads"].values(),
                c["started_at"],
            )
            for c in found
        ],
    )


@campaign.command("show")
@click.argument("name")
@common.json_option
def show(name: str, as_json: bool) -> None:
    """Show NAME's plan as it is in force, and who changed it."""
    with common.reading(load_settings()) as connection:
        row = campaigns.find(connection, name)
        shown = {
            "name": row.name,
            "company": row.company,
            "state": row.state,
            "pool": row.pool,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
            "plan": row.plan,
            "history": campaigns.history(connection, row.id),
        }
        plan_of(row.plan)  # a plan that cannot be read is an error here too
    if as_json:
        common.write_json(shown)
        return
    flat = [(key, value) for key, value in shown.items() if key not in ("plan", "history")]
    plan = [(f"plan.{key}", value) for key, value in row.plan.items() if key != "name"]
    common.write_table(row.name, ("key", "value"), [*flat, *plan])
    common.write_table(
        "history",
        ("at", "who", "what", "before", "after"),
        [tuple(one.values()) for one in shown["history"]],
    )


@campaign.command("why")
@click.argument("name")
@common.json_option
def why(name: str, as_json: bool) -> None:
    """Say why NAME calls nobody: window, caps, retries, do-not-call, engine, trunk."""
    settings = load_settings()
    with common.reading(settings) as connection:
        row = campaigns.find(connection, name)
        trunk = load_trunks(settings).by_name.get(row.plan["trunk"])
        limit = trunk.max_channels if trunk is not None else None
        moment = common.now()
        reasons = idle.why_idle(connection, row.id, moment, limit)
        engine = leases.holder(connection, row.id, moment)
        if trunk is None:
            reasons.insert(0, f"the trunk {row.plan['trunk']} is not configured any more")
    if as_json:
        common.write_json({"campaign": name, "reasons": reasons, "engine": engine})
        return
    click.echo(idle.explain(reasons, name))
    if engine is not None:
        click.echo(f"{name}: run by the engine {engine}")
