"""What an installation is made of before anything runs: folders, secrets, database, prompts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import AliasChoices
from pydantic_core import PydanticUndefined
from sqlalchemy import select

from dialer.config import ROOT, Settings
from dialer.speech.render import PromptReport, ensure_prompts
from dialer.store.db import migrate, open_database
from dialer.store.tables import company
from dialer.switch import names

SAMPLES = ROOT / "docs" / "samples"
_HEAD = """\
# Settings of this installation. Take the # away and change the value.
# An environment variable (named in front of each) goes before this file.
"""


class NotMade(Exception):
    """The installation could not be made; the message says what to do."""


def make_home(settings: Settings) -> Iterator[str]:
    """Folders, secrets, a commented config.yaml, sample files: what was made, line by line.

    What is there already stays as it is.
    """
    if not settings.home.exists():
        settings.home.mkdir(parents=True, mode=0o700)  # debtors are in it
        yield f"state folder {settings.home}"
    fresh = [name for name in secrets_of() if not (settings.home / "secrets" / name).exists()]
    for name in fresh:
        settings.secret(name)
    if fresh:
        yield f"secrets {', '.join(fresh)}"
    config = settings.home / "config.yaml"
    if not config.exists():
        config.write_text(sample_config())
        yield "config.yaml, all commented out"
    samples = settings.home / "samples"
    for source in sorted(SAMPLES.glob("*")):
        target = samples / source.name
        if source.is_file() and not target.exists():
            samples.mkdir(exist_ok=True)
            shutil.copyfile(source, target)
            yield f"samples/{source.name}"


def secrets_of() -> list[str]:
    """The secrets that the processes share, by name."""
    return [value for key, value in sorted(vars(names).items()) if key.startswith("SECRET_")]


def sample_config() -> str:
    """Every setting with its meaning and default, commented out."""
    lines = [_HEAD]
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else None
        variable = variable or f"DIALER_{name.upper()}"
        if name == "home" or "TOKEN" in variable:
            continue  # the folder that holds this file; and a secret belongs into secrets/
        default = field.default
        shown = "" if default in (None, PydanticUndefined, "") else _shown(default)
        about = f"  # {field.description}" if field.description else ""
        lines.append(f"# {variable}\n#{name}: {shown}{about}".rstrip())
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        return str(value.relative_to(ROOT))
    return str(value)


def make_database(settings: Settings) -> bool:
    """Bring the database to this version; whether a company is in it."""
    migrate(settings.database)
    return bool(spoken_names(settings))


def spoken_names(settings: Settings) -> list[str]:
    """The companies' names as greetings say them."""
    engine = open_database(settings.database)
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            return sorted(set(connection.execute(select(company.c.spoken_name)).scalars()))
    finally:
        engine.dispose()


def make_prompts(
    settings: Settings, progress: Callable[[int, int], None] | None = None
) -> PromptReport:
    """Every prompt with the companies' names. Raises NotMade when one cannot be made."""
    report = ensure_prompts(settings, progress, spoken_names(settings))
    if not report.ok:
        raise NotMade("prompts could not be made:\n" + "\n".join(report.failed[:5]))
    return report
