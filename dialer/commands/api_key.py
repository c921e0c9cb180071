"""``dialer api-key``: tokens for programs that use the API."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import click

from dialer.commands import common
from dialer.config import load_settings
from dialer.domain.api import Scope
from dialer.store import api_tokens, companies
from dialer.store.companies import NotPossible

SCOPES = [scope.value for scope in Scope]


@click.group("api-key")
def api_key() -> None:
    """Keys for programs that use the API (docs/api.md).

    \b
    dialer api-key create "the CRM" --company Acme --scope leads:write --scope results:read
    dialer api-key list
    dialer api-key revoke 3
    """


@api_key.command("create")
@click.argument("name")
@click.option("--company", help="Whose; where there are several.")
@click.option("--every-company", is_flag=True, help="It opens all of them.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="A right; may be repeated. Without any: all of them.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="It expires after so many.")
@common.actor_option
@common.json_option
def create(
    name: str,
    company: str | None,
    every_company: bool,
    scopes: tuple[str, ...],
    days: int | None,
    actor: str,
    as_json: bool,
) -> None:
    """Make a key called NAME and show it, this once.

    \b
    dialer api-key create "the CRM" --scope leads:write --days 365
    """
    if every_company and company is not None:
        raise click.UsageError("--company and --every-company: give one of them, not both")
    moment = common.now()
    with common.transaction(load_settings()) as connection:
        found = None if every_company else companies.find_company(connection, company)
        made, token = api_tokens.create_token(
            connection,
            company_id=None if found is None else found.id,
            name=name,
            scopes=[Scope(one) for one in scopes or SCOPES],
            actor=actor,
            now=moment,
            expires_at=moment + timedelta(days=days) if days else None,
        )
    if as_json:
        common.write_json({"id": made, "token": token})
        return
    whose = "every company" if found is None else found.name
    click.echo(f"key {made} opens {whose}; it is shown this once:")
    click.echo(f"  {token}")


@api_key.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """The keys, newest first; none of them is shown itself.

    \b
    dialer api-key list --json
    """
    with common.reading(load_settings()) as connection:
        found = api_tokens.list_tokens(connection)
    if as_json:
        common.write_json([asdict(one) for one in found])
        return
    if not found:
        click.echo("no key yet; `dialer api-key create` makes one")
        return
    moment = common.now()
    common.write_table(
        "",
        ("id", "name", "company", "scopes", "expires", "last used", "state"),
        [
            (
                one.id,
                one.name,
                one.company or "every company",
                " ".join(one.scopes),
                one.expires_at and one.expires_at.date(),
                one.last_used_at and f"{one.last_used_at:%Y-%m-%d %H:%M}",
                "open" if one.opens(moment) else "revoked" if one.revoked_at else "expired",
            )
            for one in found
        ],
    )


@api_key.command("revoke")
@click.argument("key_id", type=int)
@common.actor_option
def revoke(key_id: int, actor: str) -> None:
    """Make the key KEY_ID open nothing from now on; that is final.

    \b
    dialer api-key revoke 3
    """
    with common.transaction(load_settings()) as connection:
        found = api_tokens.load_token(connection, key_id)
        if found is None:
            raise NotPossible(f"there is no key {key_id}; `dialer api-key list` shows them")
        api_tokens.revoke_token(connection, key_id, actor, common.now())
    click.echo(f"key {key_id} ({found.name}) opens nothing any more")
