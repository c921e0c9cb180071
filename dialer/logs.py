"""Log lines: JSON (or text) on standard error, one for each event, with key and value.

    log = get_logger(__name__)
    log.info("message sent", message_id=12, latency_ms=140.2)

Personal data does not belong into a log line. What slips in all the same (a number in an error
text of a library, the values of a failed SQL statement) is masked, unless the level is debug.
Ids stay readable: attempts (32 hex digits), messages, what Twilio calls SM..., UUIDs, addresses
and times.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from dialer.config import Settings

_KEEP = r"""
    \b (?:[A-Z]{2})? [0-9a-f]{32} \b                              # attempts, Twilio's ids
  | \b [0-9a-f]{8} (?: - [0-9a-f]{4} ){3} - [0-9a-f]{12} \b       # UUIDs
  | \b \d{4}-\d\d-\d\d (?: [T ]\d\d:\d\d (?: :\d\d (?:\.\d+)? )? (?: Z | [+-]\d\d:?\d\d )? )? \b
  | \b \d{1,3} (?: \. \d{1,3} ){3} \b                             # IPv4
  | \b (?: message | campaign | lead ) [-:=] \d+ \b
"""
_HIDE = r"""
    \+? \d (?: [ ().\-]{0,2} \d ){5,} [A-Za-z]?                   # phones, documents, cards
  | [^\s@<>"'()]+ @ [^\s@<>"'()]+ \. [A-Za-z]{2,}                 # email addresses
"""
_FIND = re.compile(rf"(?P<keep>{_KEEP})|(?P<hide>{_HIDE})", re.VERBOSE)
_SQL_VALUES = re.compile(r"\[parameters: .*\]")
_POSTGRES_DETAIL = re.compile(r"^\s*DETAIL: .*$", re.MULTILINE)

MASK = "***"
_DIGITS_SHOWN = 999_999
_PLAIN_KEYS = ("id", "ms", "port", "pid", "bytes", "seconds", "rows", "count")
_NOISY = ("rq", "urllib3", "asyncio", "twilio", "waitress", "werkzeug", "alembic", "sqlalchemy")


def mask_text(text: str) -> str:
    """The text without digit runs of six or more, email addresses and values of SQL."""
    text = _SQL_VALUES.sub(f"[parameters: {MASK}]", text)
    text = _POSTGRES_DETAIL.sub(f"DETAIL: {MASK}", text)
    return _FIND.sub(lambda found: found["keep"] or MASK, text)


def mask_value(key: str, value: object) -> object:
    """The value of a key as it may be logged; containers are gone through."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        plain = key.rpartition("_")[2] in _PLAIN_KEYS
        return value if plain or abs(value) <= _DIGITS_SHOWN else MASK
    if isinstance(value, Mapping):
        return {str(k): mask_value(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(key, item) for item in value]
    return mask_text(str(value))


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: mask_value(key, value) for key, value in event.items()}


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send what this process logs, also through the standard library, to ``stream`` (stderr).

    May be called again, the last call counts. At level debug nothing is masked.
    """
    debug = settings.log_level == "debug"
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    render: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        *([] if debug else [_mask]),
        renderer,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=render)
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.captureWarnings(True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: ``log.info("what happened", key=value)``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def about_attempt(attempt_id: str) -> AbstractContextManager[None]:
    """Within it every line of this task or thread carries ``attempt_id``."""
    return structlog.contextvars.bound_contextvars(attempt_id=attempt_id)


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

# At import, so that a line written before configure_logging goes to the standard library's
# handlers and never to standard output, which belongs to the commands.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)
