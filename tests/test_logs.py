"""Log lines, and what must never stand in one."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.config import load_settings
from dialer.logs import MASK, about_attempt, configure_logging, get_logger, mask_text

ATTEMPT = "0123456789abcdef0123456789abcdef"


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _json_log(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(load_settings(log_level=level, log_format="json"), stream)
    return stream


@pytest.mark.parametrize(
    "text",
    [
        "+34600123456",
        "600 12 34 56",
        "(91) 123-45-67",
        "12345678Z",
        "X1234567L",
        "PJSIP/0034600123456@carrier",
        "tel:34600123456",
        "4111 1111 1111 1111",
        "ana.garcia@example.es",
    ],
)
def test_personal_data_is_masked(text: str) -> None:
    masked = mask_text(f"before {text} after")
    assert MASK in masked
    assert sum(c.isdigit() for c in masked) < 4
    assert "ana" not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")


@pytest.mark.parametrize(
    "text",
    [
        ATTEMPT,
        "SM" + ATTEMPT,
        "123e4567-e89b-12d3-a456-426614174000",
        "2025-11-03T10:15:00.123456Z",
        "2025-11-03 10:15:00+00:00",
        "2025-11-03",
        "127.0.0.1:5060",
        "message-1234567",
        "took 12345 ms",
        "sip 486, q850 17",
    ],
)
def test_ids_times_and_addresses_stay(text: str) -> None:
    assert mask_text(f"a {text} b") == f"a {text} b"


@given(st.text("0123456789 ().-+", max_size=12), st.integers(10**5, 10**15))
def test_no_long_digit_run_survives(prefix: str, number: int) -> None:
    masked = mask_text(f"{prefix}x{number}y")
    assert str(number) not in masked


def test_values_of_sql_do_not_reach_the_log() -> None:
    text = "(IntegrityError) no\n[SQL: INSERT]\n[parameters: ('Ana', '+34600123456')]\n(Background"
    assert "Ana" not in mask_text(text)
    detail = "duplicate key\nDETAIL:  Failing row contains (1, Ana, Calle Mayor).\nmore"
    assert "Ana" not in mask_text(detail)
    assert mask_text(detail).endswith("\nmore")


def test_one_json_line_an_event_with_its_attempt() -> None:
    stream = _json_log()
    log = get_logger("dialer.test")
    with about_attempt(ATTEMPT):
        log.info("answered", number="+34600123456", message_id=12345678, amount=7654321, tries=2)
    log.debug("unseen")
    log.info("outside")
    first, second = _lines(stream)
    assert first["event"] == "answered"
    assert first["level"] == "info"
    assert first["logger"] == "dialer.test"
    assert first["timestamp"].endswith("Z")
    assert first["attempt_id"] == ATTEMPT
    assert first["number"] == MASK
    assert first["message_id"] == 12345678
    assert first["amount"] == MASK
    assert first["tries"] == 2
    assert "attempt_id" not in second


def test_the_standard_library_and_exceptions_take_the_same_way() -> None:
    stream = _json_log()
    try:
        raise ValueError("no such number +34600123456")
    except ValueError:
        logging.getLogger("lib").exception("failed for %s", "600123456")
        get_logger("ours").exception("failed", values={"phone": ["+34 600 123 456"]})
    foreign, ours = _lines(stream)
    assert foreign["event"] == f"failed for {MASK}"
    assert foreign["logger"] == "lib"
    assert ours["values"] == {"phone": [MASK]}
    for line in (foreign, ours):
        assert "ValueError" in line["exception"]
        assert "600123456" not in line["exception"]


def test_debug_masks_nothing() -> None:
    stream = _json_log("debug")
    get_logger("x").debug("dialled", number="+34600123456")
    assert _lines(stream)[0]["number"] == "+34600123456"


def test_text_lines_are_masked_too() -> None:
    stream = io.StringIO()
    configure_logging(load_settings(log_format="text"), stream)
    get_logger("x").info("dialled", number="+34600123456")
    assert "dialled" in stream.getvalue()
    assert "600123456" not in stream.getvalue()
