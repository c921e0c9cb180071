"""No digits in what a process writes: for processes that hear or send card numbers.

At every level, debug included, a run of four digits or more is masked, also with separators or
quotation marks between the digits; an exception is its type and where it arose, never its text
(libraries put what they were sent into it) and never a local variable. Ids are shown as well, but
only those that the process has named itself (``readable``): a rule of their shape would be a hole.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from dialer.config import Settings

MASK = "***"

# Between two digits: marks, at most one letter among them, so that `b'4', b'2'`, `\x34\x32` and
# `0x34 0x32` are runs too.
_RUN = re.compile(r"\d(?:[\W_]{0,4}[^\W\d_]?[\W_]{0,3}\d){3,}")
_ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])")
_MOST_IDS = 10_000
_LARGEST_SHOWN = 999

PINNED = (
    "stripe", "urllib3", "requests", "http", "httpx", "httpcore", "redsys", "asyncio",
    "sqlalchemy", "alembic", "multiprocessing", "concurrent",
)  # fmt: skip
"""Libraries that write down what they send: never below WARNING, whatever the level."""


class _Ids:
    """The ids that may be shown, the newest ``_MOST_IDS`` of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()

    def add(self, one: str) -> None:
        if _ID.fullmatch(one) is None:
            return
        with self._lock:
            self._known[one] = None
            self._known.move_to_end(one)
            if len(self._known) > _MOST_IDS:
                self._known.popitem(last=False)

    def __contains__(self, one: str) -> bool:
        with self._lock:
            return one in self._known


_ids = _Ids()


def readable(*ids: str) -> None:
    """Show these ids (32 hex digits: attempts, sessions, payments) from now on.

    Only ids that were made before a digit was heard, or by this process; others stay masked.
    """
    for one in ids:
        _ids.add(one)


def mask_digits(text: str) -> str:
    """The text without runs of four digits or more, but for ids made ``readable``."""
    parts, end = [], 0
    for found in _ID.finditer(text):
        if found[0] in _ids:
            parts += [_RUN.sub(MASK, text[end : found.start()]), found[0]]
            end = found.end()
    parts.append(_RUN.sub(MASK, text[end:]))
    return "".join(parts)


def mask_anything(value: object) -> object:
    """The value as it may be written; containers are gone through, what is unknown is its type."""
    match value:
        case None | bool():
            return value
        case str():
            return mask_digits(value)
        case int():
            return value if abs(value) <= _LARGEST_SHOWN else MASK
        case float():
            return round(value, 2 if abs(value) < 10 else 0) if abs(value) < 1000 else MASK
        case Mapping():
            fields = {mask_digits(str(key)): mask_anything(one) for key, one in value.items()}
            return MASK if _is_run(fields) else fields
        case list() | tuple() | set() | frozenset():
            items = [mask_anything(one) for one in value]
            return MASK if _is_run(items) else items
        case PurePath():
            return mask_digits(str(value))
        case BaseException():
            return told(value)
    return f"<{type(value).__name__}>"


def _is_run(masked: object) -> bool:
    """Whether digits that stand alone make a run together."""
    return mask_digits(str(masked)) != str(masked)


def told(error: BaseException) -> str:
    """An exception as it may be written: types and places, no text, no value."""
    chain: list[str] = []
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen and len(chain) < 5:
        seen.add(id(one))
        chain.append(f"{type(one).__name__}{_where(one.__traceback__)}")
        one = one.__cause__ or one.__context__
    return mask_digits(" from ".join(chain))


def _where(trace: TracebackType | None) -> str:
    frames = traceback.StackSummary.extract(
        traceback.walk_tb(trace), lookup_lines=False, capture_locals=False
    )
    if not frames:
        return ""
    places = [f"{PurePath(one.filename).stem}.{one.name}:{one.lineno}" for one in frames[-4:]]
    return f" ({' > '.join(places)})"


# --- logging -------------------------------------------------------------------------------


def _without_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception is told by its type; frames and stacks are left out."""
    given = event.pop("exc_info", None)
    for name in ("stack_info", "stack", "exception"):
        event.pop(name, None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event["exception"] = told(given)
    return event


def _masked(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event.pop("timestamp", None)
    shown = {mask_digits(str(key)): mask_anything(value) for key, value in event.items()}
    if _is_run(shown):  # digits handed out over several values
        return {"event": MASK, "level": str(shown.get("level", ""))}
    return shown


def _stamped(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # After the mask, which would take it for digits.
    return {**event, "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")}


class _Foreign(logging.Filter):
    """Drops what pinned libraries say below WARNING, even if somebody moves their level."""

    def filter(self, record: logging.LogRecord) -> bool:
        pinned = record.name.split(".")[0] in PINNED
        return record.levelno >= logging.WARNING or not pinned


class _SafeHandler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Where a record cannot be written, nothing of it is shown (logging's own way prints the
        message, its arguments and the stack)."""


def _text_of(record: logging.LogRecord) -> None:
    """Put the arguments into the message, so that a run over both of them is one."""
    try:
        record.msg = record.getMessage() if not isinstance(record.msg, dict) else record.msg
    except Exception as error:  # noqa: BLE001 - a wrong format must not show its arguments
        record.msg = f"unreadable log message ({type(error).__name__})"
    record.args = None


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        """One masked line."""
        _text_of(record)
        record.exc_text = None
        return super().format(record)


def configure_masked_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send what this process logs to ``stream`` (stderr), masked at every level.

    No other handler stays. May be called again, the last call counts.
    """
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=_type_of)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
    ]
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = _SafeHandler(stream or _raw(sys.stderr))
    handler.addFilter(_Foreign())
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=shared,
            processors=[remove, _without_values, _masked, _stamped, render],
        )
    )
    root = logging.getLogger()
    for logger in (root, *_all_loggers()):
        for old in logger.handlers[:]:
            logger.removeHandler(old)
        logger.propagate = True
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    logging.lastResort = handler
    logging.raiseExceptions = False
    for name in PINNED:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _type_of(value: object) -> str:
    return type(value).__name__


def _all_loggers() -> Iterator[logging.Logger]:
    for one in list(logging.root.manager.loggerDict.values()):
        if isinstance(one, logging.Logger):
            yield one


# --- everything else that prints -----------------------------------------------------------


class MaskedStream(io.TextIOBase):
    """A text stream that masks line by line what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream
        self._line = ""
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream behind it."""
        return self.raw.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """Of the stream behind it."""
        return self.raw.errors

    def write(self, text: str, /) -> int:
        """Keep until the line is whole: digits may come one by one."""
        with self._lock:
            *whole, self._line = (self._line + text).split("\n")
            for line in whole:
                self.raw.write(mask_digits(line) + "\n")
        return len(text)

    def flush(self) -> None:
        """Write out whole lines; one that was begun waits for its end."""
        self.raw.flush()

    def close(self) -> None:
        """Write out the rest."""
        with self._lock:
            line, self._line = self._line, ""
            if line and not self.raw.closed:
                self.raw.write(mask_digits(line))
                self.raw.flush()

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Never: nothing colours what is written here."""
        return False

    def fileno(self) -> int:
        """Of the stream behind it."""
        return self.raw.fileno()


def _raw(stream: TextIO) -> TextIO:
    return stream.raw if isinstance(stream, MaskedStream) else stream


def mask_output() -> None:
    """Mask what is printed, and what nobody caught; debugging output is off."""
    for name in ("STRIPE_LOG", "PYTHONINSPECT", "PYTHONFAULTHANDLER"):
        os.environ.pop(name, None)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, MaskedStream):
            setattr(sys, name, MaskedStream(stream))
    sys.excepthook = lambda _kind, error, _trace: _say(f"died of {told(error)}")
    threading.excepthook = lambda given: _say(
        f"a thread died of {told(given.exc_value) if given.exc_value else '?'}"
    )
    sys.unraisablehook = lambda given: _say(
        f"left alone: {told(given.exc_value) if given.exc_value else '?'}"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
