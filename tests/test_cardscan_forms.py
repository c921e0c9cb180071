"""The scan finds a card number in every shape, and nothing where there is none."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from dialer.local.cardscan.forms import Planted
from dialer.local.cardscan.listening import as_sent, search_events
from dialer.local.cardscan.matcher import LONGEST, Matcher
from dialer.local.cardscan.places import search_folder, search_memory

NUMBER = "4539578763621486"
AMEX = "371449635398431"
CARDS = (Planted("a", NUMBER, "0931", "847"), Planted("b", AMEX, "1130", "9053"))
MATCHER = Matcher(CARDS)

SHAPES = {
    "plain": f"x{NUMBER}y".encode(),
    "spaced": b"4539 5787 6362 1486",
    "amex spaced": b"3714 496353 98431",
    "hyphens": b"4539-5787-6362-1486",
    "digits spaced": " ".join(NUMBER).encode(),
    "a list in Python": repr(list(NUMBER)).encode(),
    "url": b"card=4539%205787%206362%201486&x=1",
    "form": b"card=4539+5787+6362+1486",
    "hex": NUMBER.encode().hex().encode(),
    "hex upper": AMEX.encode().hex().upper().encode(),
    "utf-16": NUMBER.encode("utf-16"),
    "utf-16 be": NUMBER.encode("utf-16-be"),
    "packed": bytes.fromhex(NUMBER),
    "integer": int(NUMBER).to_bytes(8, "little"),
    "base64": base64.b64encode(b"{" + NUMBER.encode() + b"}"),
    "base64 +1": base64.b64encode(b"{{" + NUMBER.encode() + b"}"),
    "base64 +2": base64.b64encode(b'{"n":"' + NUMBER.encode() + b'"}'),
    "redsys": base64.b64encode(json.dumps({"DS_MERCHANT_PAN": NUMBER}).encode()),
    "base64 twice": base64.b64encode(b"a" + base64.b64encode(b"bc" + NUMBER.encode() + b"!!")),
    "gzip": b"some" + gzip.compress(b"log " + NUMBER.encode() + b"\n"),
    "zlib": b"\0\1" + zlib.compress(b"pickle " + AMEX.encode()),
    "gzip in gzip": gzip.compress(gzip.compress(NUMBER.encode())),
    "tail": b"1486 0931847"[5:] + b" 14860931847",
    "nearly all": NUMBER[6:].encode(),
    "code": b'"cvc": "847"',
    "code in a form": b"card[cvc]=9053&x",
    "reversed": NUMBER[::-1].encode(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_found(shape: str) -> None:
    assert MATCHER.search_bytes(b"\0" * 1000 + SHAPES[shape] + b"\0" * 1000)


def test_no_finding_tells_the_number() -> None:
    for content in SHAPES.values():
        for one in MATCHER.search_bytes(content):
            assert NUMBER not in one.what and AMEX not in one.what and "847" not in one.what


def test_nothing_is_found_in_what_may_be_shown() -> None:
    clean = (
        f"visa ending {NUMBER[-4:]} 45.00 EUR {NUMBER[:6]} x{NUMBER[-4:]} 847 9053 0931"
        ' {"cvc": "848"} 4539570063621487'
    ).encode()
    assert MATCHER.search_bytes(clean) == []
    assert MATCHER.search_bytes(os.urandom(3_000_000)) == []


@pytest.mark.parametrize("cut", [1, 7, 15])
def test_a_number_across_two_pieces_is_found_once(cut: int) -> None:
    piece = b"." * (LONGEST * 2) + NUMBER.encode() + b"." * 900
    at = LONGEST * 2 + cut
    found = MATCHER.search([piece[:at], piece[at:]])
    assert [one.offset for one in found] == [LONGEST * 2]


def test_digits_one_a_line_are_put_together_by_channel() -> None:
    lines = []
    for one, other in zip(NUMBER, "9" * 16, strict=True):
        lines.append(f"DTMF[7] channel.c: DTMF end '{one}' received on PJSIP/carrier-0000000a")
        lines.append(f"DTMF[7] channel.c: DTMF end '{other}' received on PJSIP/carrier-0000000b")
    content = "\n".join(lines).encode()
    assert MATCHER.search_bytes(content) == []
    assert MATCHER.search_digit_lines(content)
    begin_too = "\n".join(
        f"DTMF {what} '{one}' received on PJSIP/carrier-0000000a"
        for one in NUMBER
        for what in ("begin", "end")
    )
    assert MATCHER.search_digit_lines(begin_too.encode())


def test_digits_that_are_told_four_times_each_are_put_together() -> None:
    lines = (
        "DTMF begin '{}' received on PJSIP/carrier-0000000a",
        "DTMF begin ignored '{}' on PJSIP/carrier-0000000a",
        "DTMF end '{}' received on PJSIP/carrier-0000000a, duration 160 ms",
        "DTMF end passthrough '{}' on PJSIP/carrier-0000000a",
    )
    content = "\n".join(line.format(one) for one in NUMBER for line in lines).encode()
    assert MATCHER.search_digit_lines(content)


@pytest.mark.parametrize(
    "line",
    [
        "<PJSIP/carrier-0000000a>AGI Tx >> 200 result={code}",
        'DTMF,,"{{""digit"":""{digit}"",""duration_ms"":100}}"',
        "Event: DTMFEnd Channel: PJSIP/carrier-0000000a Uniqueid: 0123 Digit: {digit}",
    ],
)
def test_digits_in_the_words_of_asterisk_are_put_together(line: str) -> None:
    content = "\n".join(line.format(code=ord(one), digit=one) for one in NUMBER).encode()
    assert MATCHER.search_digit_lines(content)
    other = "\n".join(line.format(code=ord(one), digit=one) for one in NUMBER[::-1]).encode()
    assert MATCHER.search_digit_lines(other) == []


def test_a_part_of_a_number_that_was_heard_is_enough_and_what_many_cards_share_is_not() -> None:
    assert MATCHER.search_keys_heard(f"1*{NUMBER[7:14]} 22")
    assert MATCHER.search_keys_heard("0931847")
    assert MATCHER.search_keys_heard(f"1{NUMBER[:8]}5551{AMEX[:7]}") == []


def test_what_redis_shows_is_unpacked() -> None:
    payload = zlib.compress(f"\x80job {NUMBER}".encode())
    shown = b"".join(
        bytes((one,)) if 32 <= one < 127 and one not in b'"\\' else b"\\x%02x" % one
        for one in payload
    )
    line = b'1700000000.1 [0 lua] "HSET" "rq:job:1" "data" "' + shown + b'"'
    assert MATCHER.search_bytes(line) == []
    assert MATCHER.search_bytes(as_sent(line))


def test_keys_in_events_of_ami_are_put_together() -> None:
    event = "Event: {}\r\nChannel: PJSIP/carrier-0000000{}\r\nUniqueid: {}\r\nDigit: {}\r\n\r\n"
    stream = "".join(
        event.format("DTMFBegin", at, at, one) + event.format("DTMFEnd", at, at, one)
        for pair in zip(NUMBER, "7" * 16, strict=True)
        for at, one in enumerate(pair)
    )
    assert search_events(MATCHER, stream.encode())
    assert search_events(MATCHER, stream.replace(NUMBER[-1], "x").encode()) == []


def test_files_are_searched_and_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "dialer.db-wal").write_bytes(b"\0" * 5000 + NUMBER.encode())
    (tmp_path / "clean.log").write_text("nothing")
    (tmp_path / "left out").write_text(NUMBER)
    found = search_folder(MATCHER, "state", tmp_path, (tmp_path / "left out",))
    assert found.bytes > 5000
    assert len({one.split(" at ")[1] for one in found.findings}) == 1
    assert "dialer.db-wal" in found.findings[0]


def test_memory_of_another_process_is_searched() -> None:
    code = "import sys; n = bytes(int(c, 16) for c in sys.stdin.readline().split())"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{code}\nprint('up', flush=True)\nsys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(b" ".join(b"%02x" % one for one in NUMBER.encode()) + b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"up\n"
        found = search_memory(MATCHER, "child", child.pid)
        child.stdin.close()
    assert found.trouble is None
    assert found.bytes > 1_000_000
    assert any("as it is" in one for one in found.findings)
