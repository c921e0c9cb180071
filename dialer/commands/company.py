"""``dialer company``: creditors."""

from __future__ import annotations

from dataclasses import asdict

import click

from dialer.commands import common
from dialer.config import load_settings
from dialer.speech.render import ensure_company
from dialer.store import companies

company_options = (
    click.option("--country", default="ES", show_default=True, help="ISO 3166, for its phones."),
    click.option(
        "--timezone",
        default=None,
        show_default="the country's",
        help="Of debtors whose file names none, like Europe/Madrid.",
    ),
    click.option("--spoken-name", help="As the greeting says it; default the name."),
    click.option("--callback-number", help="Said in messages; a number somebody answers."),
)

TIMEZONES = {
    "ES": "Europe/Madrid",
    "US": "America/New_York",
    "GB": "Europe/London",
    "MX": "America/Mexico_City",
    "CO": "America/Bogota",
    "CL": "America/Santiago",
    "PE": "America/Lima",
    "AR": "America/Argentina/Buenos_Aires",
    "BR": "America/Sao_Paulo",
}


def new_company(
    name: str,
    country: str,
    timezone: str | None,
    spoken_name: str | None,
    callback_number: str | None,
) -> companies.NewCompany:
    """From what the options say. Raises UsageError for a country without a known zone."""
    country = country.upper()
    zone = timezone or TIMEZONES.get(country)
    if zone is None:
        raise click.UsageError(f"say the time zone of {country} with --timezone")
    return companies.NewCompany(name, country, zone, spoken_name or name, callback_number)


@click.group("company")
def company() -> None:
    """Companies (creditors) that calls are made for.

    \b
    dialer company create "Banco Uno" --country ES --callback-number 910123456
    dialer company list
    """


def with_company_options(function: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(company_options):
        function = option(function)
    return function


@company.command("create")
@click.argument("name")
@with_company_options
@common.actor_option
@common.json_option
def create(
    name: str,
    country: str,
    timezone: str | None,
    spoken_name: str | None,
    callback_number: str | None,
    actor: str,
    as_json: bool,
) -> None:
    """Make a company, and the sound of its name."""
    new = new_company(name, country, timezone, spoken_name, callback_number)
    settings = load_settings()
    with common.transaction(settings) as connection:
        companies.create_company(connection, new, actor, common.now())
    ensure_company(settings, new.spoken_name)
    if as_json:
        common.write_json(asdict(new))
        return
    click.echo(f"made company {name} ({new.country}, {new.timezone})")


@company.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """Show the companies."""
    keys = ("name", "country", "timezone", "spoken_name", "callback_number")
    with common.reading(load_settings()) as connection:
        found = [
            {key: getattr(row, key) for key in keys} for row in companies.list_companies(connection)
        ]
    if as_json:
        common.write_json(found)
    else:
        common.write_table("", keys, [[one[key] for key in keys] for one in found])
