"""``dialer import``: files of debtors into the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dialer.commands import common
from dialer.commands.company import new_company, with_company_options
from dialer.commands.exits import OK, PARTLY, USAGE
from dialer.config import load_settings
from dialer.importing.errors import ImportFileError
from dialer.importing.headers import FIELDS
from dialer.importing.run import Options, Summary, import_file
from dialer.logs import get_logger
from dialer.store.companies import NewCompany, NotPossible
from dialer.store.import_sink import DatabaseSink, find_target

log = get_logger(__name__)

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_REASONS_SHOWN = 8


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--company", help="Where there are several; with --country it may be a new one.")
@with_company_options
@click.option("--campaign", help="Also make a lead of each account in this campaign.")
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="FIELD=COLUMN",
    help=f"Which column is a field, by its name or #number; may be repeated. Fields: "
    f"{', '.join(FIELDS)}.",
)
@click.option("--currency", help="ISO code, where the file has no column for it.")
@click.option("--decimal", type=click.Choice([",", "."]), help="The decimal sign of the amounts.")
@click.option("--date-order", type=click.Choice(["dmy", "mdy"]), help="31/01 or 01/31.")
@click.option("--encoding", help="Where it cannot be told, like cp1252.")
@click.option("--delimiter", help="Where it cannot be told: one sign, or 'tab'.")
@click.option("--sheet", help="Of a workbook; default the first visible one.")
@click.option(
    "--documents",
    type=click.Choice(["warn", "reject", "off"]),
    default="warn",
    show_default=True,
    help="What to do about a document that is not one of its country.",
)
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rows go that stay out; default FILE.rejects.csv.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@common.actor_option
@common.json_option
def import_(
    file: Path,
    company: str | None,
    country: str,
    timezone: str | None,
    spoken_name: str | None,
    callback_number: str | None,
    campaign: str | None,
    mapping: tuple[str, ...],
    delimiter: str | None,
    dry_run: bool,
    actor: str,
    as_json: bool,
    **told: Any,
) -> int:
    """Bring in the debtors of FILE: CSV (any delimiter), TSV or .xlsx, in Spanish or English.

    \b
    dialer import debtors.csv
    dialer import debtors.xlsx --company "Banco Uno" --country MX --currency MXN
    dialer import list.csv --map amount=saldo_total --map reference=#4 --dry-run

    Rows that cannot be taken go to FILE.rejects.csv with the reasons, the others are in. The
    same file again changes nothing, and an import that was interrupted is finished by running it
    again. docs/import.md has the rules.

    Exit codes: 0 every row is in, 3 some were rejected, 2 the file could not be read.
    """
    options = Options(
        columns=_mapping(mapping), delimiter=_delimiter(delimiter), **_upper(told, "currency")
    )

    def new(name: str) -> NewCompany:
        # A slip in the name must not put debtors into a company of its own.
        if click.get_current_context().get_parameter_source("country") is ParameterSource.DEFAULT:
            raise NotPossible(
                f"there is no company {name!r}; `dialer company list` shows them. To make it with"
                " this import, say --country too"
            )
        return new_company(name, country, timezone, spoken_name, callback_number)

    engine = common.require_database(load_settings())
    started = time.monotonic()
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            target = find_target(connection, company, campaign, new)
        with (
            DatabaseSink(engine, target, actor, common.now, dry_run=dry_run) as sink,
            _progress(as_json) as progress,
        ):
            summary = import_file(file, options, sink, progress)
    except ImportFileError as error:
        click.echo(f"error: {file.name}: {error}", err=True)
        return USAGE
    finally:
        engine.dispose()
    seconds = time.monotonic() - started
    log.info("import finished", rows=summary.rows, rejected=summary.rejected, dry_run=dry_run)
    extra = {"company": target.company, "campaign": campaign, "dry_run": dry_run}
    if as_json:
        figures = {"seconds": round(seconds, 3), "rows_per_second": round(summary.rows / seconds)}
        common.write_json({**extra, "import": sink.batch_id, **summary.values(), **figures})
    else:
        _show(summary, extra, seconds)
    return PARTLY if summary.rejected else OK


def _mapping(texts: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, sign, column = text.partition("=")
        if not sign or not column.strip():
            raise click.UsageError(f"--map {text}: write it like --map amount=saldo_total")
        found.setdefault(name.strip().lower(), []).append(column.strip())
    return found


def _delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    sign = _DELIMITERS.get(text, text)
    if len(sign) != 1 or sign in '"\r\n' or sign.isalnum():
        raise click.UsageError("--delimiter: one sign, or comma, semicolon, tab, pipe")
    return sign


def _upper(told: dict[str, Any], key: str) -> dict[str, Any]:
    return {**told, key: told[key].upper()} if told[key] else told


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on a terminal; nothing where no person looks."""
    screen = common.console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=screen, transient=True, disable=as_json or not screen.is_terminal
    ) as bar:
        task = bar.add_task("reading", total=None)

        def show(what: str, done: int, total: int | None) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield show


def _show(summary: Summary, extra: dict[str, Any], seconds: float) -> None:
    """The summary for people."""
    how = [summary.sheet and f"sheet {summary.sheet}", summary.encoding.removesuffix("-sig")]
    if summary.delimiter:
        how.append(f"delimiter {summary.delimiter!r}")
    if summary.decimal:
        how.append(f"decimal {summary.decimal!r}")
    would = "would be " if extra["dry_run"] else ""
    rows = [
        ("rows", summary.rows),
        (f"{would}new", summary.new),
        (f"{would}updated", summary.updated),
        ("unchanged", summary.unchanged),
        ("rejected", summary.rejected),
        ("new debtors", summary.new_debtors),
        ("new phones", summary.new_phones),
    ]
    if extra["campaign"]:
        rows.append((f"leads in {extra['campaign']}", summary.leads))
    rows += [(f"warning: {name}", count) for name, count in sorted(summary.warnings.items())]
    click.echo(f"{summary.file} into {extra['company']} ({', '.join(filter(None, how))})")
    click.echo("columns: " + ", ".join(f"{k}={v}" for k, v in summary.columns.items()))
    common.write_table("", ("what", "count"), rows)
    for reason, count in summary.reasons.most_common(_REASONS_SHOWN):
        click.echo(f"  {count} x {reason}")
    if summary.rejects_file:
        click.echo(f"rejected rows and warnings, with the reasons: {summary.rejects_file}")
    if extra["dry_run"]:
        click.echo("dry run: nothing was changed")
    click.echo(f"{seconds:.1f} s, {summary.rows / max(seconds, 0.001):.0f} rows a second")
