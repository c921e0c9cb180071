"""Single commands on the wire: what is sent, and what answers mean."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from agi_scripts.server import entry_of
from agi_scripts.wire import Agi
from dialer.flow.errors import FlowError


@pytest.fixture
def line() -> Iterator[tuple[Agi, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"agi_network_script: flow\nagi_uniqueid: 1\n\n")
    yield Agi(ours), theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("text", ["a\nHANGUP", "a\rb", "a\x00b", "a\tb"])
def test_a_control_character_never_reaches_asterisk(
    line: tuple[Agi, socket.socket], text: str
) -> None:
    agi, theirs = line
    with pytest.raises(ValueError, match="control character"):
        agi.stream_file(text)
    with pytest.raises(ValueError, match="line break"):
        agi.send_command(f"EXEC {text}\n")
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_quotes_and_backslashes_are_escaped(line: tuple[Agi, socket.socket]) -> None:
    agi, theirs = line
    theirs.sendall(b"200 result=0 endpos=1\n")
    agi.stream_file('a "b" \\c', "1")
    assert theirs.recv(100) == b'STREAM FILE "a \\"b\\" \\\\c" "1" 0\n'


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        (b"200 result=12 (timeout)\n", ("12", True)),
        (b"200 result= (timeout)\n", ("", True)),
        (b"200 result=\n", ("", False)),
        (b"200 result=1234\n", ("1234", False)),
        (b"200 result=*12\n", ("*12", False)),
    ],
)
def test_keys_and_time_outs_are_told_apart(
    line: tuple[Agi, socket.socket], answer: bytes, given: tuple[str, bool]
) -> None:
    agi, theirs = line
    theirs.sendall(answer)
    assert agi.get_data("x", 1000, 4) == given


def test_the_entry_is_found_in_the_request_too(line: tuple[Agi, socket.socket]) -> None:
    agi, _ = line
    agi.env = {"agi_request": "agi://127.0.0.1:4573/machine?x=1"}
    found = entry_of(agi, {"machine": lambda _agi, _ivr: None})
    assert callable(found)
    agi.env = {"agi_request": "agi://127.0.0.1/"}
    with pytest.raises(FlowError, match="there are machine"):
        entry_of(agi, {"machine": lambda _agi, _ivr: None})
