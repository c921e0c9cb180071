"""``dialer pool``: the caller IDs that campaigns show."""

from __future__ import annotations

from collections.abc import Sequence

import click

from dialer.commands import common
from dialer.config import load_settings
from dialer.store import companies, countries
from dialer.store.companies import NotPossible

_company_option = click.option("--company", "company_name", help="Where there are several.")


@click.group("pool")
def pool() -> None:
    """Pools of caller IDs: numbers the company owns and answers.

    A redial shows another number than the call before it, so a pool needs two or more.

    \b
    dialer pool create madrid 910123401 910123402 910123403
    dialer pool add madrid 910123404
    dialer pool list
    """


def checked(numbers: Sequence[str], country: str) -> list[str]:
    """In E.164. Raises NotPossible with every number that may not be shown, and why."""
    good, problems = [], []
    for number in numbers:
        try:
            good.append(countries.parse_caller_id(number, country))
        except ValueError as error:
            problems.append(str(error))
    problems += countries.refused_caller_ids(good, country, common.now().date())
    if problems:
        raise NotPossible("\n".join(problems))
    return good


@pool.command("create")
@click.argument("name")
@click.argument("numbers", nargs=-1, required=True)
@_company_option
@common.actor_option
@common.json_option
def create(
    name: str, numbers: tuple[str, ...], company_name: str | None, actor: str, as_json: bool
) -> None:
    """Make a pool NAME of NUMBERS (E.164, or as written in the company's country)."""
    moment = common.now()
    with common.transaction(load_settings()) as connection:
        company = companies.find_company(connection, company_name)
        good = checked(numbers, company.country)
        companies.create_pool(connection, company.id, name, good, actor, moment)
    common.warn(countries.doubtful_caller_ids(good, company.country, moment.date()))
    _tell(name, good, as_json)


@pool.command("add")
@click.argument("name")
@click.argument("numbers", nargs=-1, required=True)
@_company_option
@common.actor_option
@common.json_option
def add(
    name: str, numbers: tuple[str, ...], company_name: str | None, actor: str, as_json: bool
) -> None:
    """Add NUMBERS; campaigns of the pool show them from now on."""
    _change(name, company_name, actor, as_json, add=numbers)


@pool.command("remove")
@click.argument("name")
@click.argument("numbers", nargs=-1, required=True)
@_company_option
@common.actor_option
@common.json_option
def remove(
    name: str, numbers: tuple[str, ...], company_name: str | None, actor: str, as_json: bool
) -> None:
    """Take NUMBERS out; campaigns of the pool do not show them any more."""
    _change(name, company_name, actor, as_json, remove=numbers)


def _change(
    name: str,
    company_name: str | None,
    actor: str,
    as_json: bool,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> None:
    with common.transaction(load_settings()) as connection:
        company = companies.find_company(connection, company_name)
        left = companies.change_pool(
            connection,
            companies.find_pool(connection, company.id, name),
            add=checked(add, company.country),
            remove=[countries.parse_caller_id(number, company.country) for number in remove],
            actor=actor,
            now=common.now(),
        )
    _tell(name, left, as_json)


def _tell(name: str, numbers: Sequence[str], as_json: bool) -> None:
    if as_json:
        common.write_json({"name": name, "numbers": list(numbers)})
    else:
        click.echo(f"pool {name}: {', '.join(numbers)}")


@pool.command("list")
@common.json_option
def list_(as_json: bool) -> None:
    """Show the pools, and how many campaigns that are not over use each."""
    with common.reading(load_settings()) as connection:
        found = companies.list_pools(connection)
    if as_json:
        common.write_json(found)
        return
    common.write_table(
        "",
        ("company", "pool", "numbers", "campaigns"),
        [(p["company"], p["name"], ", ".join(p["numbers"]), p["campaigns"]) for p in found],
    )
