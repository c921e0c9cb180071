"""``dialer dnc``: the do-not-call list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, Engine

from dialer.commands import common
from dialer.commands.exits import OK, PARTLY, USAGE
from dialer.config import load_settings
from dialer.importing.errors import CellError, ImportFileError
from dialer.importing.numbers import NumberFile, NumberRow, open_numbers
from dialer.importing.phones import parse_phone
from dialer.importing.rejects import RejectsFile, default_rejects
from dialer.store import audit, suppressions
from dialer.store.companies import find_company

BATCH = 500  # rows of one transaction

company_option = click.option("--company", help="Where there are several.")


@click.group("dnc")
def dnc() -> None:
    """The do-not-call list: one a company, for calls and messages alike, in force at once.

    \b
    dialer dnc add 600123123
    dialer dnc import robinson.csv
    dialer dnc list
    dialer dnc remove 600123123
    """


def _number(text: str, country: str) -> str:
    try:
        return parse_phone(text, country).number
    except CellError as error:
        raise click.UsageError(f"{text}: {error}") from error


@dnc.command("add")
@click.argument("numbers", nargs=-1, required=True)
@company_option
@common.actor_option
def add(numbers: tuple[str, ...], company: str | None, actor: str) -> None:
    """Put NUMBERS on the list; nobody calls or texts them from now on."""
    with common.transaction(load_settings()) as connection:
        found = find_company(connection, company)
        for number in dict.fromkeys(_number(text, found.country) for text in numbers):
            new = suppressions.add_number(connection, found.id, number, actor, common.now())
            having = suppressions.debtors_with(connection, found.id, number)
            debtors = f"{having} debtor{'' if having == 1 else 's'} of {found.name} with it"
            click.echo(
                f"{number} {'is on the list' if new else 'was on the list already'}, {debtors}"
            )


@dnc.command("remove")
@click.argument("number")
@click.option(
    "--opted-out",
    "lift",
    is_flag=True,
    help="Also of debtors who opted out themselves, and have asked to be called again.",
)
@company_option
@common.actor_option
def remove(number: str, lift: bool, company: str | None, actor: str) -> None:
    """Take NUMBER off the list."""
    with common.transaction(load_settings()) as connection:
        found = find_company(connection, company)
        e164 = _number(number, found.country)
        done = suppressions.remove_number(
            connection, found.id, e164, actor, common.now(), lift_opt_out=lift
        )
    click.echo(f"{e164} is off the list of {found.name}")
    if done.lifted:
        click.echo(f"{done.lifted} with it had opted out, and may be called again")
    if done.opted_out:
        click.echo(
            f"{done.opted_out} with it opted out by key or message and stay so:"
            f" dialer dnc remove {e164} --opted-out"
        )


@dnc.command("list")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many.")
@company_option
@common.json_option
def list_(limit: int | None, company: str | None, as_json: bool) -> None:
    """Show the list, the newest first; with --json a line each."""
    keys = ("number", "reason", "source", "at")
    with common.reading(load_settings()) as connection:
        found = find_company(connection, company)
        rows = suppressions.list_numbers(connection, found.id, limit)
        if as_json:
            common.write_json_lines(dict(zip(keys, row, strict=True)) for row in rows)
            return
        common.write_table("", keys, rows)
        click.echo(
            f"{suppressions.count_numbers(connection, found.id)} on the list of {found.name}"
        )


@dnc.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--column", help="The header of the column with the numbers, if an unusual one.")
@click.option("--encoding", help="Where it cannot be told, like cp1252.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rows go that have no number; default FILE.rejects.csv.",
)
@company_option
@common.actor_option
@common.json_option
def import_(
    file: Path,
    column: str | None,
    encoding: str | None,
    rejects: Path | None,
    company: str | None,
    actor: str,
    as_json: bool,
) -> int:
    """Put the numbers of FILE on the list: a number a line, CSV or .xlsx.

    The same file again changes nothing. Exit codes: 0 every row is in, 3 some had no number.
    """
    engine = common.require_database(load_settings())
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            found = find_company(connection, company)
        with open_numbers(file, found.country, column, encoding) as numbers:
            target = RejectsFile(rejects or default_rejects(file), numbers.header or ("numero",))
            target.check()
            with target:
                counts = _store(engine, found.id, numbers, target, actor)
    except ImportFileError as error:
        click.echo(f"error: {file.name}: {error}", err=True)
        return USAGE
    finally:
        engine.dispose()
    said = {"company": found.name, "file": file.name, **counts}
    said["rejects_file"] = str(target.path) if target.written else None
    if as_json:
        common.write_json(said)
    else:
        click.echo(
            f"{counts['added']} numbers added, {counts['known']} were on the list already,"
            f" {counts['rejected']} rows with what is no number"
        )
        if target.written:
            click.echo(f"those rows, with the reasons: {target.path}")
    return PARTLY if counts["rejected"] else OK


def _store(
    engine: Engine, company_id: int, numbers: NumberFile, rejects: RejectsFile, actor: str
) -> dict[str, int]:
    counts = {"rows": 0, "added": 0, "known": 0, "rejected": 0}
    source = f"import:{numbers.sha256[:32]}"
    for batch in _batches(numbers.rows()):
        good = list(dict.fromkeys(number for row in batch for number in row.numbers))
        with engine.begin() as connection:
            added = suppressions.add_numbers(connection, company_id, good, source, common.now())
        counts["rows"] += len(batch)
        counts["added"] += added
        counts["known"] += len(good) - added
        for row in batch:
            if row.reason:
                counts["rejected"] += 1
                rejects.write(row.raw.line, row.raw.cells, "rejected", [row.reason])
    with engine.begin() as connection:
        _record(connection, company_id, numbers.sha256, counts, actor)
    return counts


def _record(
    connection: Connection, company_id: int, sha256: str, counts: dict[str, int], actor: str
) -> None:
    after: dict[str, Any] = {"sha256": sha256, **counts}
    audit.record(
        connection,
        actor=actor,
        action="dnc.import",
        target=f"company:{company_id}",
        now=common.now(),
        after=after,
    )


def _batches(rows: Iterator[NumberRow]) -> Iterator[list[NumberRow]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
