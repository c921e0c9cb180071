"""``dialer agent`` and ``dialer callback``: the people who talk, and the calls they agreed upon."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection

from dialer.commands import common
from dialer.config import load_settings
from dialer.store import agent_sessions, agents, callbacks, companies
from dialer.store.agents import Agent, AgentChanges
from dialer.store.campaign_values import parse_duration

company_option = click.option("--company", help="Where there are several.")
CAMPAIGN = "campaign"


def _list_of(text: str) -> list[str]:
    return [part for part in text.replace(",", " ").split() if part]


def _wrap_seconds(text: str) -> float | None:
    """Seconds of a duration; None leaves it to the campaign. Raises UsageError."""
    if text == CAMPAIGN:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--wrap: {error}") from error


_options = (
    click.option("--name", help="As colleagues know them."),
    click.option("--skills", help="Like 'payments,legal'; '' for none."),
    click.option("--languages", help="Which they speak, like 'es,en'."),
    click.option("--station", help="browser, sip:ana@10.0.0.5, or a number that is called."),
    click.option(
        "--ringing/--nailed-up",
        default=None,
        help="Ring them for each call, or keep their line up all the time (faster).",
    ),
    click.option("--wrap", help="Time after a talk, like 30s; 'campaign' leaves it to that."),
)


def with_agent_options(function: click.decorators.FC) -> click.decorators.FC:
    """What is said of an agent."""
    for option in reversed(_options):
        function = option(function)
    return function


def _changes(given: dict[str, Any]) -> AgentChanges:
    """Of the options that were given."""
    changes: AgentChanges = {}
    if given["name"] is not None:
        changes["name"] = given["name"]
    if given["skills"] is not None:
        changes["skills"] = _list_of(given["skills"])
    if given["languages"] is not None:
        changes["languages"] = _list_of(given["languages"])
    if given["station"] is not None:
        changes["station"] = given["station"]
    if given["ringing"] is not None:
        changes["ringing"] = given["ringing"]
    if given["wrap"] is not None:
        changes["wrap_seconds"] = _wrap_seconds(given["wrap"])
    return changes


@click.group("agent")
def agent() -> None:
    """Agents: who takes the calls.

    An agent logs in with a token, which is told once and kept nowhere.

    \b
    dialer agent create ana --name "Ana Ruiz" --skills payments --languages es,en
    dialer agent token ana
    dialer agent set ana --station sip:ana@10.0.0.5
    dialer agent list
    dialer agent deactivate ana
    """


@agent.command("create")
@click.argument("login")
@with_agent_options
@click.option("--with-token", is_flag=True, help="Make a token too, and show it this once.")
@company_option
@common.actor_option
@common.json_option
def create(
    login: str, with_token: bool, company: str | None, actor: str, as_json: bool, **given: Any
) -> None:
    """Make an agent LOGIN, who works in the browser unless --station says otherwise.

    \b
    dialer agent create luis --with-token
    dialer agent create eva --station 910123456 --ringing --wrap 1m
    """
    moment = common.now()
    with common.transaction(load_settings()) as connection:
        found = companies.find_company(connection, company)
        made = agents.create_agent(connection, found.id, login, _changes(given), actor, moment)
        token = agents.new_token(connection, made, actor, moment) if with_token else None
        one = agents.agent_by_login(connection, login)
    if as_json:
        common.write_json({**_shown(one), **({"token": token} if token else {})})
        return
    click.echo(f"made agent {login} of {found.name}")
    _tell_token(login, token)


@agent.command("token")
@click.argument("login")
@common.actor_option
@common.json_option
def token(login: str, actor: str, as_json: bool) -> None:
    """Make a new token for LOGIN and show it, this once; the one before is void."""
    with common.transaction(load_settings()) as connection:
        one = agents.agent_by_login(connection, login)
        made = agents.new_token(connection, one.id, actor, common.now())
    if as_json:
        common.write_json({"login": login, "token": made})
    else:
        _tell_token(login, made)


@agent.command("set")
@click.argument("login")
@with_agent_options
@click.option("--active/--inactive", default=None, help="Whether they may log in.")
@common.actor_option
@common.json_option
def set_(login: str, active: bool | None, actor: str, as_json: bool, **given: Any) -> None:
    """Change LOGIN: what is not given stays. In force from their next log-in.

    \b
    dialer agent set ana --skills payments,legal --wrap 20s
    dialer agent set ana --wrap campaign --skills ''
    dialer agent set ana --active          then make a new token
    """
    changes = _changes(given)
    if active is not None:
        changes["active"] = active
    if not changes:
        raise click.UsageError("say what is to change, like --skills payments")
    with common.transaction(load_settings()) as connection:
        _update(connection, login, changes, actor, common.now())
        one = agents.agent_by_login(connection, login)
    if as_json:
        common.write_json(_shown(one))
    else:
        click.echo(f"changed agent {login}: {', '.join(sorted(changes))}")


@agent.command("deactivate")
@click.argument("login")
@common.actor_option
@common.json_option
def deactivate(login: str, actor: str, as_json: bool) -> None:
    """Let LOGIN in no more: their token is void; what they did stays in the reports."""
    with common.transaction(load_settings()) as connection:
        _update(connection, login, {"active": False}, actor, common.now())
        one = agents.agent_by_login(connection, login)
    if as_json:
        common.write_json(_shown(one))
    else:
        click.echo(f"agent {login} may not log in any more")


@agent.command("list")
@click.option("--all", "everyone", is_flag=True, help="Also those who may not log in.")
@company_option
@common.json_option
def list_(everyone: bool, company: str | None, as_json: bool) -> None:
    """Show the agents, and what each is doing now."""
    with common.reading(load_settings()) as connection:
        company_id = companies.find_company(connection, company).id if company else None
        found = agents.list_agents(connection, company_id=company_id, active_only=not everyone)
        states = {one.agent_id: one.state.value for one in agent_sessions.open_sessions(connection)}
    shown = [{**_shown(one), "state": states.get(one.id, "logged_out")} for one in found]
    if as_json:
        common.write_json(shown)
        return
    columns = ("login", "name", "company", "skills", "languages", "station", "ringing", "wrap",
               "token", "active", "state")  # fmt: skip
    common.write_table("", columns, [[_cell(one[key]) for key in columns] for one in shown])


def _update(
    connection: Connection, login: str, changes: AgentChanges, actor: str, now: datetime
) -> None:
    agents.update_agent(
        connection, agents.agent_by_login(connection, login).id, changes, actor, now
    )


def _shown(one: Agent) -> dict[str, Any]:
    values = asdict(one)
    del values["id"], values["company_id"]
    wrap, token = values.pop("wrap_seconds"), values.pop("has_token")
    lists = {"skills": list(one.skills), "languages": list(one.languages)}
    return {**values, **lists, "wrap": wrap, "token": token}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value


def _tell_token(login: str, token: str | None) -> None:
    if token is None:
        click.echo(f"they log in with a token: dialer agent token {login}")
        return
    click.echo(f"token of {login}, shown this once: {token}")


# --- callbacks ------------------------------------------------------------------------------


@click.group("callback")
def callback() -> None:
    """Calls that were agreed upon with debtors.

    \b
    dialer callback list
    dialer callback cancel 12
    """


@callback.command("list")
@company_option
@common.json_option
def list_callbacks(company: str | None, as_json: bool) -> None:
    """Show what is not over, soonest first; times are UTC."""
    with common.reading(load_settings()) as connection:
        company_id = companies.find_company(connection, company).id if company else None
        found = callbacks.list_open(connection, company_id)
        logins = {one.id: one.login for one in agents.list_agents(connection)}
    shown = [
        {
            "id": one.id,
            "due_at": one.due_at,
            "state": one.state.value,
            "agent": logins.get(one.agent_id) if one.agent_id is not None else None,
            "debtor_id": one.debtor_id,
            "tries": one.tries,
            "note": one.note,
            "made_by": one.made_by,
            "created_at": one.created_at,
        }
        for one in found
    ]
    if as_json:
        common.write_json(shown)
        return
    columns = ("id", "due_at", "state", "agent", "debtor_id", "tries", "note", "made_by")
    common.write_table("", columns, [[one[key] for key in columns] for one in shown])


@callback.command("cancel")
@click.argument("numbers", nargs=-1, required=True, type=int)
@common.actor_option
@common.json_option
def cancel(numbers: tuple[int, ...], actor: str, as_json: bool) -> None:
    """Call off the callbacks NUMBERS (of `dialer callback list`): all of them, or none."""
    moment = common.now()
    with common.transaction(load_settings()) as connection:
        for number in dict.fromkeys(numbers):
            callbacks.cancel(connection, number, actor, moment)
    if as_json:
        common.write_json({"cancelled": list(dict.fromkeys(numbers))})
    else:
        click.echo(f"called off: {', '.join(str(one) for one in dict.fromkeys(numbers))}")
