"""``dialer prompts``: what debtors hear, rendered, listed and checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import select

from dialer.commands.common import console, json_option, reading, warn, write_json, write_table
from dialer.commands.exits import FAILED, OK
from dialer.config import ConfigError, Settings, load_settings
from dialer.speech.catalogue import prompt_catalogue
from dialer.speech.render import (
    PromptReport,
    ensure_prompts,
    missing_prompts,
    prompt_path,
    read_made,
)
from dialer.store.tables import company


@click.command("prompts")
@click.option("--check", is_flag=True, help="Make nothing; say what is missing (exit code 1).")
@click.option("--list", "listing", is_flag=True, help="Every prompt with length and source.")
@json_option
def prompts(check: bool, listing: bool, as_json: bool) -> int:
    """Render the spoken prompts.

    Texts are in ivr_flows/prompts/LANGUAGE.yaml; a recording
    ivr_flows/recordings/LANGUAGE/KEY.wav (any usual WAV) takes the place of a text. What is there
    already stays as it is. DIALER_VOICE chooses the voice: auto, pico, espeak or command.
    """
    settings = load_settings()
    companies = spoken_companies(settings)
    if listing:
        return _list(settings, companies, as_json)
    if check:
        return _check(settings, companies, as_json)
    return _render(settings, companies, as_json)


def spoken_companies(settings: Settings) -> list[str]:
    """The companies' names as they are spoken; none when nothing is set up yet."""
    try:
        with reading(settings) as connection:
            return sorted(set(connection.execute(select(company.c.spoken_name)).scalars()))
    except ConfigError:
        return []


def _render(settings: Settings, companies: list[str], as_json: bool) -> int:
    screen = console(stderr=True)
    if as_json or not screen.is_terminal:
        report = ensure_prompts(settings, companies=companies)
    else:
        with screen.status("rendering prompts") as status:
            report = ensure_prompts(
                settings,
                lambda done, total: status.update(f"rendering prompts: {done} of {total}"),
                companies,
            )
    if as_json:
        write_json({**asdict(report), "total": report.total})
    else:
        _tell(settings, report)
    return OK if report.ok else FAILED


def _tell(settings: Settings, report: PromptReport) -> None:
    click.echo(
        f"{report.total} prompts ({report.seconds:.0f} s) in {settings.prompts_dir}: "
        f"{report.rendered} rendered, {report.cached} from the cache, "
        f"{report.recorded} from recordings, {report.unchanged} unchanged"
    )
    for language, voice in sorted(report.voices.items()):
        click.echo(f"  {language}: {voice}")
    warn(report.refused)
    warn(report.failed)


def _check(settings: Settings, companies: list[str], as_json: bool) -> int:
    wrong = missing_prompts(settings, companies)
    if as_json:
        write_json({"ok": not wrong, "wrong": wrong})
    else:
        for line in wrong:
            click.echo(line)
        click.echo("run `dialer prompts` to make them" if wrong else "every prompt is there")
    return FAILED if wrong else OK


def _list(settings: Settings, companies: list[str], as_json: bool) -> int:
    rows: list[dict[str, Any]] = []
    for language, texts in prompt_catalogue(settings, companies).items():
        for key, text in texts.items():
            made = read_made(prompt_path(settings, language, key))
            rows.append(
                {
                    "language": language,
                    "key": key,
                    "seconds": made.seconds if made else None,
                    "source": made.source if made else None,
                    "text": text,
                }
            )
    if as_json:
        write_json(rows)
    else:
        write_table(
            "",
            ["language", "key", "seconds", "source", "text"],
            [list(row.values()) for row in rows],
        )
    return OK
