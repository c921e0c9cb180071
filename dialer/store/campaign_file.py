"""The campaign file as written by people: its keys, their shapes, and errors that name the key."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from dialer.domain.currency import parse_written
from dialer.domain.model import (
    DayWindow,
    Detector,
    Disposition,
    FallbackStep,
    MachineAction,
    PaymentTerms,
    RetryRule,
    StepKind,
)
from dialer.domain.said import of_error
from dialer.flow.words import SPOKEN
from dialer.store.campaign_agents import AgentsEntry
from dialer.store.campaign_values import Seconds, Strict
from dialer.store.countries import WEEKDAYS
from dialer.store.plan_says import PlanSays, at

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WINDOW = re.compile(r"([a-z,\- ]+?)\s+([0-9]{1,2}:[0-9]{2})\s*-\s*([0-9]{1,2}:[0-9]{2})")


class PlanError(Exception):
    """A campaign file is wrong; ``problems`` has one line for each thing to change."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def parse_amount(value: object) -> tuple[int, str]:
    """Minor units and currency of ``10.00 EUR``, in major units. Raises ValueError."""
    text = str(value).strip().upper()
    currency = text[-3:]
    if currency.isalpha() and currency not in SPOKEN:  # no debtor could be told of it
        raise ValueError(PlanSays.NOT_SPOKEN.say(currency=currency, known=", ".join(SPOKEN)))
    money = parse_written(text)
    return money.minor, money.currency


def parse_window(lines: Collection[str]) -> tuple[DayWindow, ...]:
    """Of lines like ``mon-fri 09:00-21:00`` or ``sat,sun 10:00-14:00``, a window for each day.

    ``24:00`` is the end of the day. Raises ValueError naming the line.
    """
    found = []
    for line in lines:
        match = _WINDOW.fullmatch(line.strip().lower())
        if match is None:
            raise ValueError(PlanSays.LIKE_A_WINDOW.say(line=line))
        start = _clock(match[2], line)
        end = time() if match[3] in ("24:00", "00:00") else _clock(match[3], line)
        if end != time() and end <= start:
            raise ValueError(PlanSays.ENDS_BEFORE.say(line=line))
        found += [DayWindow(day, start, end) for day in _days(match[1], line)]
    return tuple(sorted(found, key=lambda one: (one.weekday, one.start)))


def _clock(text: str, line: str) -> time:
    hour, minute = (int(part) for part in text.split(":"))
    try:
        return time(hour, minute)
    except ValueError as error:
        raise ValueError(PlanSays.NO_TIME.say(text=text, line=line)) from error


def _days(text: str, line: str) -> list[int]:
    days: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise ValueError(PlanSays.OTHER_DAYS.say(days=", ".join(WEEKDAYS), line=line))
        at, to = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        days |= {(at + step) % 7 for step in range((to - at) % 7 + 1)}
    return sorted(days)


class RetryEntry(Strict):
    """When a lead is tried again after one disposition."""

    delay: Seconds
    growth: float = Field(default=1.0, ge=1, le=10)
    max_delay: Seconds = 7 * 86400.0
    max_attempts: int = Field(default=3, ge=1, le=50)

    def rule(self) -> RetryRule:
        """As the domain has it."""
        return RetryRule(self.delay, self.growth, self.max_delay, self.max_attempts)


class RedialEntry(Strict):
    """The redial of a fallback."""

    flow: str | None = None
    unseen_days: float = Field(default=7.0, gt=0, le=365)


class SmsEntry(Strict):
    """The message of a fallback."""

    template: str = "missed_call"


class StepEntry(Strict):
    """One step: exactly one of its keys is set."""

    redial: RedialEntry | None = None
    sms: SmsEntry | None = None
    retry: Strict | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        """``- redial`` alone, or ``- redial:`` without anything below it."""
        if isinstance(value, str):
            value = {value: {}}
        if isinstance(value, dict):
            value = {key: {} if inner in ("", None) else inner for key, inner in value.items()}
            if len(value) != 1:
                raise ValueError(PlanSays.ONE_STEP.say())
        return value

    def step(self) -> FallbackStep:
        """As the domain has it."""
        if self.redial is not None:
            return FallbackStep(
                StepKind.REDIAL, flow=self.redial.flow, unseen_days=self.redial.unseen_days
            )
        if self.sms is not None:
            return FallbackStep(StepKind.SMS, template=self.sms.template)
        return FallbackStep(StepKind.RETRY)


def _iso(value: object) -> object:
    # Digits alone would be taken for seconds since 1970.
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError(PlanSays.NO_DATE.say(given=value))
    return value


Day = Annotated[date, BeforeValidator(_iso)]


class Holidays(Strict):
    """``country``: ISO 3166, default the company's; ``none``: only the days of ``also``."""

    country: str | None = None
    region: str | None = None
    also: tuple[Day, ...] = ()


class PaymentEntry(Strict):
    """What may be paid in a call. ``minimum`` as ``10.00 EUR``; ``instalments``: 0 for none."""

    minimum_percent: int = Field(default=10, ge=1, le=100)
    minimum: str | None = None
    instalments: int = Field(default=0, ge=0, le=60)

    @field_validator("minimum")
    @classmethod
    def _an_amount(cls, value: str | None) -> str | None:
        if value is not None:
            parse_amount(value)
        return value

    @field_validator("instalments")
    @classmethod
    def _more_than_one(cls, value: int) -> int:
        if value == 1:
            raise ValueError(PlanSays.ONE_INSTALMENT.say())
        return value

    def terms(self, gateway: str | None) -> PaymentTerms:
        """As the domain has it."""
        minor, currency = (0, None) if self.minimum is None else parse_amount(self.minimum)
        return PaymentTerms(
            gateway=gateway,
            minimum_percent=self.minimum_percent,
            minimum_minor=minor,
            instalments=self.instalments,
            minimum_currency=currency,
        )


class CampaignFile(Strict):
    """A campaign file. docs/campaigns.md explains each key."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")
    company: str | None = None
    flow: str
    language: str = Field(default="es", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    pool: str | None = None
    caller_ids: tuple[str, ...] = ()
    trunk: str = "carrier"
    calls_per_second: float = Field(default=5.0, gt=0, le=200)
    max_concurrent: int = Field(default=100, ge=1, le=10_000)
    max_attempts: int = Field(default=8, ge=1, le=100)
    max_attempts_per_day: int = Field(default=4, ge=1, le=50)
    max_per_day: int | None = Field(default=None, ge=1, le=50)
    max_per_week: int | None = Field(default=None, ge=1, le=100)
    ring_timeout: Seconds = 25.0
    window: tuple[str, ...] | None = None
    holidays: Holidays | None = None
    default_timezone: str | None = None
    retry: dict[Disposition, RetryEntry | Literal["never"]] = Field(default_factory=dict)
    fallback: tuple[StepEntry, ...] = (
        StepEntry(redial=RedialEntry()),
        StepEntry(sms=SmsEntry()),
        StepEntry(retry=Strict()),
    )
    detector: Detector = Detector.TALK
    on_machine: MachineAction = MachineAction.LEAVE_MESSAGE
    gateway: str | None = None
    payment: PaymentEntry = PaymentEntry()
    agents: AgentsEntry = AgentsEntry()
    record: bool = False

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        if isinstance(value, dict):
            return {key: inner for key, inner in value.items() if inner not in ("", None)}
        return value

    @field_validator("agents", mode="before")
    @classmethod
    def _mode_alone(cls, value: object) -> object:
        return {"mode": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source_of_caller_ids(self) -> Self:
        if self.pool is not None and self.caller_ids:
            raise ValueError(PlanSays.POOL_OR_NUMBERS.say())
        return self

    @field_validator("window", mode="before")
    @classmethod
    def _one_line_window(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("window")
    @classmethod
    def _readable_window(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None:
            if not value:
                raise ValueError(PlanSays.EMPTY_WINDOW.say())
            parse_window(value)
        return value

    @field_validator("holidays", mode="before")
    @classmethod
    def _short_holidays(cls, value: object) -> object:
        return {"country": value} if isinstance(value, str) else value

    @field_validator("ring_timeout")
    @classmethod
    def _rings_long_enough(cls, value: float) -> float:
        if not 5 <= value <= 120:
            raise ValueError(PlanSays.RING.say())
        return value

    @field_validator("default_timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(PlanSays.NO_ZONE.say(zone=value))
        return None if value is None else ZoneInfo(value).key

    @field_validator("retry")
    @classmethod
    def _only_what_is_retried(
        cls, value: dict[Disposition, RetryEntry | str]
    ) -> dict[Disposition, RetryEntry | str]:
        for kind in value:
            if kind.conversation or kind is Disposition.INVALID_NUMBER:
                raise ValueError(PlanSays.NEVER_RETRIED.say(disposition=kind.value))
        return value


class _Loader(yaml.BaseLoader):
    """Every scalar stays text (``no`` is Norway, ``+34910000001`` keeps its plus)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                line = key_node.start_mark.line + 1
                raise PlanError([f"line {line}: the key {key_node.value!r} is there twice"])
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_campaign_file(path: Path) -> CampaignFile:
    """The file at ``path``. Raises PlanError with every problem, each with its key or line."""
    return campaign_of(parse_campaign_values(path))


def parse_campaign_values(path: Path) -> dict[str, Any]:
    """The keys and values of a file, unchecked. Raises PlanError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError([f"{path} cannot be read: {error}"]) from error
    return _values(text)


def parse_campaign(text: str) -> CampaignFile:
    """The campaign of a YAML text. Raises PlanError."""
    return campaign_of(_values(text))


def _values(text: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 - builds text, lists, mappings only
    except yaml.YAMLError as error:
        raise PlanError([f"this is no YAML: {_yaml_problem(error)}"]) from error
    if not isinstance(values, dict):
        raise PlanError(["a campaign file is a list of keys and values; see docs/campaigns.md"])
    return values


def campaign_of(values: dict[str, Any]) -> CampaignFile:
    """The campaign of keys and values. Raises PlanError."""
    try:
        return CampaignFile.model_validate(values)
    except ValidationError as error:
        raise PlanError(_say_all(error)) from error


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {what}" if mark is not None else what


_PYDANTIC_PARTS = {"RetryEntry", "literal['never']", "[key]"}


def _say_all(error: ValidationError) -> list[str]:
    """Each problem once: of a choice between ``never`` and a rule, the half that was meant."""
    said: dict[str, str] = {}
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"] if str(part) not in _PYDANTIC_PARTS)
        if item["type"] == "literal_error" and any(other.startswith(key) for other in said):
            continue
        said[key] = _say(item)
    return [at(key, what) if key else what for key, what in said.items()]


_SHAPES = {
    "extra_forbidden": PlanSays.NO_SUCH_KEY,
    "missing": PlanSays.MISSING,
    "model_type": PlanSays.NEVER_OR_KEYS,
    "greater_than_equal": PlanSays.AT_LEAST,
    "less_than_equal": PlanSays.AT_MOST,
    "greater_than": PlanSays.MORE_THAN,
    "less_than": PlanSays.LESS_THAN,
    "int_parsing": PlanSays.WHOLE,
    "float_parsing": PlanSays.NUMBER,
    "string_pattern_mismatch": PlanSays.PATTERN,
    "enum": PlanSays.ONE_OF,
    "literal_error": PlanSays.ONE_OF,
}
"""What pydantic found -> how it is said."""


def _say(item: ErrorDetails) -> str:
    kind, values = item["type"], item.get("ctx", {})
    if kind == "value_error":
        return of_error(values["error"])
    if kind in ("date_from_datetime_parsing", "date_parsing"):
        return PlanSays.NO_DATE.say(given=item["input"])
    if kind in _SHAPES:
        return _SHAPES[kind].say(**values)
    return PlanSays.OTHER.say(why=item["msg"])
