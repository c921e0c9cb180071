"""``dialer init``: from nothing to an installation."""

from __future__ import annotations

import click

from dialer.commands import common
from dialer.commands.company import new_company, with_company_options
from dialer.commands.exits import OK
from dialer.config import Settings, load_settings
from dialer.local.console import FIRST, address, first_administrator
from dialer.store import companies
from dialer.store.db import open_database


@click.command("init")
@click.option("--company", "name", help="Make this company, unless it is there.")
@with_company_options
@click.option("--admin", default=FIRST, show_default=True, help="The first administrator's email.")
@click.option("--no-prompts", is_flag=True, help="Do not render the spoken prompts now.")
@common.actor_option
@common.json_option
def init(
    name: str | None,
    country: str,
    timezone: str | None,
    spoken_name: str | None,
    callback_number: str | None,
    admin: str,
    no_prompts: bool,
    actor: str,
    as_json: bool,
) -> int:
    """Make this installation: state folder, secrets, database, first company, prompts.

    May be run again at any time: what is there stays, the database is brought to this version.

    \b
    dialer init --company "Banco Uno" --country ES --callback-number 910123456
    """
    from dialer.local.installation import make_database, make_home, make_prompts

    settings = load_settings()
    say = common.say_unless_json(as_json)
    made = []
    for one in make_home(settings):
        made.append(one)
        say(f"made {one}")
    has_company = make_database(settings)
    database = _without_password(settings.database)
    say(f"database is ready: {database}")
    if name is not None:
        new = new_company(name, country, timezone, spoken_name, callback_number)
        with common.transaction(settings) as connection:
            there = [row.name for row in companies.list_companies(connection)]
            if name not in there:
                companies.create_company(connection, new, actor, common.now())
                made.append(f"company {name}")
                say(f"made company {name} ({new.country}, {new.timezone})")
    elif not has_company:
        say('there is no company yet: dialer init --company "Banco Uno" --country ES')
    link = _first_link(settings, admin, actor)
    if link is not None:
        say(f"{admin} chooses a password for the console here, once, while it is served:\n  {link}")
    prompts = None
    if not no_prompts:
        prompts = make_prompts(settings).total
        say(f"{prompts} prompts are there")
    if as_json:
        shown = {"home": str(settings.home), "database": database, "made": made}
        common.write_json({**shown, "prompts": prompts, "administrator_link": link})
    say("next: dialer import FILE, or `dialer demo` to see calls without a line")
    return OK


def _first_link(settings: Settings, email: str, actor: str) -> str | None:
    """Of the first administrator, where nobody is there yet."""
    engine = open_database(settings.database)
    token = first_administrator(engine, email, actor, common.now())
    engine.dispose()
    return None if token is None else address(settings, token)


def _without_password(url: str) -> str:
    engine = open_database(url)
    engine.dispose()
    return engine.url.render_as_string(hide_password=True)
