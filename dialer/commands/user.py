"""``dialer user``: who may come into the console and the desk."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from dialer.commands import common
from dialer.config import Settings, load_settings
from dialer.domain.access import LINK_LIFE, Role
from dialer.store import agents, companies, users
from dialer.store.users import User

_ROLES = click.Choice([role.value for role in Role])
company_option = click.option("--company", help="Whose; without it, for those who see all.")


@click.group("user")
def user() -> None:
    """Users of the console and the desk.

    A user chooses a password by a link that works once, for a day.

    \b
    dialer user create ana@example.com --name "Ana Ruiz" --role supervisor --company Acme
    dialer user create luis@example.com --name Luis --role agent --agent luis
    dialer user link ana@example.com
    dialer user list
    dialer user deactivate ana@example.com
    """


@user.command("create")
@click.argument("email")
@click.option("--name", required=True, help="As colleagues know them.")
@click.option("--role", type=_ROLES, default=Role.SUPERVISOR.value, show_default=True)
@company_option
@click.option("--agent", help="Login of the agent that they are at a desk.")
@click.option("--language", type=click.Choice(users.LANGUAGES), default="es", show_default=True)
@click.option("--timezone", help="Like Europe/Madrid; the company's unless given.")
@common.actor_option
@common.json_option
def create(
    email: str,
    name: str,
    role: str,
    company: str | None,
    agent: str | None,
    language: str,
    timezone: str | None,
    actor: str,
    as_json: bool,
) -> None:
    """Make a user and show the link by which they choose a password.

    \b
    dialer user create eva@example.com --name Eva --role administrator
    """
    settings, moment = load_settings(), common.now()
    with common.transaction(settings) as connection:
        linked = agents.agent_by_login(connection, agent) if agent else None
        needs_company = company is not None or Role(role) in (Role.AGENT, Role.SUPERVISOR)
        found = companies.find_company(connection, company) if needs_company else None
        if linked is not None and company is None:
            found = companies.find_company(connection, linked.company)
        made = users.create_user(
            connection,
            email=email,
            name=name,
            role=Role(role),
            company_id=found.id if found else None,
            agent_id=linked.id if linked else None,
            language=language,
            timezone=timezone or (found.timezone if found else "UTC"),
            actor=actor,
            now=moment,
        )
        token = users.new_link(connection, made, actor, moment)
    _tell(settings, email, token, as_json)


@user.command("link")
@click.argument("email")
@common.actor_option
@common.json_option
def link(email: str, actor: str, as_json: bool) -> None:
    """A new link to choose a password by; the ones before are void.

    \b
    dialer user link ana@example.com
    """
    settings, moment = load_settings(), common.now()
    with common.transaction(settings) as connection:
        found = users.user_by_email(connection, email)
        token = users.new_link(connection, found.id, actor, moment)
    _tell(settings, email, token, as_json)


@user.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """Who may come in.

    \b
    dialer user list --json
    """
    with common.transaction(load_settings()) as connection:
        found = users.list_users(connection)
    if as_json:
        common.write_json([_shown(one) for one in found])
        return
    if not found:
        click.echo("nobody yet; `dialer user create` makes the first administrator")
    for one in found:
        whose = one.company or "every company"
        state = "" if one.active else ", not active"
        pending = "" if one.has_password else ", has chosen no password yet"
        click.echo(f"{one.email}: {one.name}, {one.role.value} of {whose}{state}{pending}")


@user.command("deactivate")
@click.argument("email")
@common.actor_option
def deactivate(email: str, actor: str) -> None:
    """Shut a user out, at once and everywhere.

    \b
    dialer user deactivate ana@example.com
    """
    _activate(email, actor, active=False)
    click.echo(f"{email} is logged out and cannot come in; `dialer user activate` undoes it")


@user.command("activate")
@click.argument("email")
@common.actor_option
def activate(email: str, actor: str) -> None:
    """Let a user in again.

    \b
    dialer user activate ana@example.com
    """
    _activate(email, actor, active=True)
    click.echo(f"{email} may log in again")


def _activate(email: str, actor: str, *, active: bool) -> None:
    with common.transaction(load_settings()) as connection:
        found = users.user_by_email(connection, email)
        users.update_user(connection, found.id, {"active": active}, actor, common.now())


def _tell(settings: Settings, email: str, token: str, as_json: bool) -> None:
    address = f"{settings.web_url}/welcome/{token}"
    hours = int(LINK_LIFE.total_seconds() // 3600)
    if as_json:
        common.write_json({"email": email, "link": address, "hours": hours})
        return
    click.echo(f"{email} chooses a password here, once, within {hours} hours:")
    click.echo(f"  {address}")


def _shown(one: User) -> dict[str, Any]:
    return asdict(one)
