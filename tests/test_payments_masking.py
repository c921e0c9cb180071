"""What a process that hears cards can write: no digits, at no level, by no way."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.config import load_settings
from dialer.logs import about_attempt, get_logger
from dialer.payments import masking
from dialer.payments.masking import MASK, MaskedStream, configure_masked_logging, mask_digits

NUMBER = "4539578763621486"
SHAPES = {
    "plain": NUMBER,
    "spaced": " ".join(NUMBER[n : n + 4] for n in range(0, 16, 4)),
    "hyphens": "-".join(NUMBER[n : n + 4] for n in range(0, 16, 4)),
    "single": " ".join(NUMBER),
    "list": str([int(c) for c in NUMBER]),
    "bytes": str([c.encode() for c in NUMBER]),
    "escaped": "".join(f"\\x{ord(c):02x}" for c in NUMBER),
    "hex": NUMBER.encode().hex(" "),
    "url": NUMBER[:4] + "%20" + NUMBER[4:8],
    "arabic": NUMBER.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
    "no-break": "\u00a0".join(NUMBER[n : n + 2] for n in range(0, 16, 2)),
    "a time": "4539-12-11T10:12:14.863621",
    "an id": NUMBER * 2,
    "an id with letters": NUMBER + "abcdefabcdefabcd",
}
"""A number as it could stand in a line."""


@pytest.fixture(params=["json", "text"])
def stream(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the payment process logs at its most verbose."""
    root = logging.getLogger()
    last, raising = logging.lastResort, logging.raiseExceptions
    handlers, level = root.handlers[:], root.level
    made = io.StringIO()
    configure_masked_logging(load_settings(log_level="debug", log_format=request.param), made)
    yield made
    root.handlers[:], root.level = handlers, level
    logging.lastResort, logging.raiseExceptions = last, raising
    logging.captureWarnings(False)


def digits_of(line: str) -> str:
    """The digits that stand in a line, but for those of its time."""
    if line.startswith("{"):
        line = json.dumps({k: v for k, v in json.loads(line).items() if k != "timestamp"})
    else:
        line = line.split(" ", 1)[1]
    return "".join(c for c in line if c.isdigit())


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_a_number_is_shown(shape: str) -> None:
    masked = mask_digits(f"before {SHAPES[shape]} after")
    assert MASK in masked
    assert sum(c.isdigit() for c in masked) < 4
    assert masked.startswith("before ")
    assert masked.endswith(" after")


@given(st.text(alphabet="0123456789 -.,/'\"b", max_size=60))
def test_never_four_digits_in_a_row(text: str) -> None:
    compact = "".join(c for c in mask_digits(text) if c not in " -.,/'\"")
    run = longest = 0
    for c in compact:
        run = run + 1 if c.isdigit() else 0
        longest = max(longest, run)
    assert longest < 4


def test_ids_that_were_named_are_shown_and_others_are_not() -> None:
    named, other = "abcdef12" * 4, "12345678" * 4
    masking.readable(named, "not an id", NUMBER)
    masked = mask_digits(f"payment={named} {NUMBER} {other} ({named})")
    assert masked.count(named) == 2
    assert sum(c.isdigit() for c in masked.replace(named, "")) < 4
    assert mask_digits(f"{named}{NUMBER}").count("***") == 1, "an id with digits behind is none"
    assert NUMBER not in mask_digits(f"{NUMBER} {named}")


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_logged_is_masked(stream: io.StringIO, shape: str) -> None:
    shown = SHAPES[shape]
    log = get_logger("payments")
    log.debug(shown, number=shown, **{f"key {shown}": 1}, nested={"a": [shown, {shown: shown}]})
    log.info("of %s and %s", shown, shown)
    log.warning("object", given=type("Card", (), {"__repr__": lambda _: shown})(), raw=b"4539578")
    plain = logging.getLogger("some.library")
    plain.debug("posted %s", {"card": shown})
    plain.error("%s%s", shown[:8], shown[8:])
    plain.info("%d %d", 4539, 5787, extra={"number": shown})
    plain.info("%d", shown)  # a wrong format: nothing of the argument
    for c in NUMBER[:3]:
        plain.info("of many", extra={"key": c})
    plain.info("counts %s", [4, 5, 3, 9])
    log.info("ints", port=4539, number=int(NUMBER), ratio=float(NUMBER), few=[4, 5, 3, 9])
    with about_attempt(NUMBER * 2):
        log.info("bound")
    said = stream.getvalue()
    assert len(said.splitlines()) == 13
    for line in said.splitlines():
        assert not any(NUMBER[n : n + 4] in digits_of(line) for n in range(13)), line


def test_an_exception_is_its_type_and_place(stream: io.StringIO) -> None:
    card = NUMBER
    try:
        try:
            int(card + "x")
        except ValueError as error:
            raise RuntimeError(f"no charge for {card}") from error
    except RuntimeError as caught:
        get_logger("payments").exception("session broke", why=caught)
        logging.getLogger("plain").exception("it broke", stack_info=True)
    said = stream.getvalue()
    assert "RuntimeError (test_payments_masking.test_an_exception" in said
    assert "from ValueError" in said
    assert "card" not in said
    assert "no charge" not in said
    assert "453" not in said


def test_libraries_that_write_down_what_they_send_are_pinned(stream: io.StringIO) -> None:
    for name in ("stripe", "urllib3.connectionpool", "http.client"):
        logging.getLogger(name).setLevel(logging.DEBUG)  # somebody thinks it helps
        logging.getLogger(name).debug("Post details: number=%s", NUMBER)
        logging.getLogger(name).warning("a warning")
    assert stream.getvalue().count("a warning") == 3
    assert "Post details" not in stream.getvalue()


def test_warnings_are_masked(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(f"odd number {NUMBER}", stacklevel=1)
    assert "odd number" in stream.getvalue()
    assert "4539" not in stream.getvalue()


def test_what_is_printed_is_masked_even_digit_by_digit() -> None:
    raw = io.StringIO()
    masked = MaskedStream(raw)
    for c in NUMBER:
        print(c, end="", file=masked)
        masked.flush()
    print("\nthe rest " + NUMBER, end="", file=masked)
    masked.close()
    assert raw.getvalue() == f"{MASK}\nthe rest {MASK}"


def test_a_process_that_dies_says_no_digit() -> None:
    script = f"""
        import logging, sys, threading, click
        from dialer.config import load_settings
        from dialer.payments.masking import configure_masked_logging, mask_output
        mask_output()
        configure_masked_logging(load_settings(log_level="debug"))
        def broken(card):
            raise ValueError("no " + card)
        class Left:
            def __del__(self):
                broken("{NUMBER}")
        Left()
        one = threading.Thread(target=broken, args=("{NUMBER}",))
        one.start(); one.join()
        click.echo("told {NUMBER}", err=True)
        click.echo("printed {NUMBER}")
        sys.stderr.write("begun " + "{NUMBER}")
        broken("{NUMBER}")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "told ***" in done.stderr
    assert done.stdout == "printed ***\n"
    assert said.count("ValueError") == 3
    assert "4539" not in said
    assert "card" not in said


def test_hardened_means_not_dumpable_and_without_core_files() -> None:
    script = """
        import faulthandler, os, resource
        faulthandler.enable()
        from dialer.payments.hardening import harden_process, what_shows
        before = what_shows()
        harden_process()
        assert what_shows() is None
        status = open("/proc/self/status").read()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if what_shows() is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert not faulthandler.is_enabled()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        print(before, "|", os.stat("/proc/self/mem").st_uid)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the process is dumpable")
