"""What an installation was told, setting by setting: value, where it comes from, never a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from dialer.config import Settings

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]+@")


class Source(StrEnum):
    """Where a value comes from."""

    ENVIRONMENT = "environment"
    FILE = "file"
    SECRET_FILE = "secret_file"
    START = "start"
    DEFAULT = "default"


GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("installation", ("home", "cache", "flows_dir", "node", "log_", "secrets_dir", "voice")),
    ("store", ("database_url", "redis_")),
    ("addresses", ("public_url", "pay_link_base", "web_")),
    ("messages", ("twilio_", "sms_", "smtp_")),
    ("payments", ("gateway", "payment", "test_acquirer", "stripe", "redsys", "mercadopago",
                  "acquirer")),
    ("agents", ("agents", "agent_", "http_port", "browser_ws", "queue_")),
    ("telephony", ("",)),
)  # fmt: skip
"""Groups and how the names of their settings begin; the first that fits has it."""


@dataclass(frozen=True, slots=True)
class Row:
    """``name``: as it is set. ``value`` None: empty. ``secret``: the value is only whether there
    is one. ``about``: in English, as the code says it."""

    name: str
    value: str | None
    source: Source
    secret: bool
    about: str


def grouped(settings: Settings) -> list[tuple[str, list[Row]]]:
    """All settings, by group."""
    found: dict[str, list[Row]] = {group: [] for group, _names in GROUPS}
    written = _in_file(settings.home / "config.yaml")
    for name, field in Settings.model_fields.items():
        row = _row(settings, name, field, written)
        found[_group(name)].append(row)
    return [(group, rows) for group, rows in found.items() if rows]


def secret_files(settings: Settings) -> Iterator[Row]:
    """The secrets that lie in files: their names alone."""
    folders = [settings.home / "secrets"]
    if settings.secrets_dir is not None:
        folders.insert(0, settings.secrets_dir)
    seen = set()
    for folder in folders:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_file() and path.name not in seen:
                seen.add(path.name)
                yield Row(path.name, str(folder), Source.SECRET_FILE, secret=True, about="")


def _row(settings: Settings, name: str, field: FieldInfo, written: Mapping[str, Any]) -> Row:
    value = getattr(settings, name)
    secret = isinstance(value, SecretStr)
    names = _names(name, field)
    told = {key.upper() for key in os.environ}
    if any(one.upper() in told for one in names):
        source = Source.ENVIRONMENT
    elif any(one in written for one in (name, *names)):
        source = Source.FILE
    elif name in settings.model_fields_set:
        source = Source.START
    else:
        source = Source.DEFAULT
    if isinstance(value, SecretStr):
        shown = "set" if value.get_secret_value() else None
    else:
        shown = _shown(value)
    return Row(names[0], shown, source, secret, field.description or "")


def _names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(one) for one in alias.choices]
    return [f"DIALER_{name.upper()}"]


def _shown(value: object) -> str | None:
    if value in (None, "", {}):
        return None
    if isinstance(value, dict):
        text = ", ".join(f"{key}: {one}" for key, one in value.items())
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(value)
    return _PASSWORD.sub(r"\1:•••@", text)


def _group(name: str) -> str:
    return next(group for group, starts in GROUPS if name.startswith(starts))


def _in_file(path: Path) -> Mapping[str, Any]:
    try:
        read = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError):
        return {}
    return read if isinstance(read, dict) else {}
