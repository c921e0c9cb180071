"""Fields keyed in over real SIP and RTP: nothing is lost, or the field is void."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from keys_line import KeysLine, keys_line

from agi_scripts.digits import SLOWEST, Ending, collect
from agi_scripts.wire import Agi, Gone
from dialer.payments.entry import Rule, card_number, expiry, security_code
from dialer.simulation.key_sender import number_to_dial
from dialer.switch.portable import AsteriskBinary

CARD = "4539148803436467"
SHORTS = (60, 80, 120, 200)
GAP = 40
SECOND = b"\x20\xa0" * 4000
"""A second of u-law that is heard."""


@pytest.fixture(scope="module")
def line(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KeysLine]:
    with keys_line(tmp_path_factory.mktemp("digits"), asterisk_binary) as one:
        yield one


@pytest.fixture(scope="module")
def prompt(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prompt of two seconds, as Asterisk is told it."""
    path = tmp_path_factory.mktemp("sounds") / "prompt"
    path.with_suffix(".ulaw").write_bytes(SECOND * 2)
    return str(path)


@dataclass
class Field:
    """What one field gave."""

    digits: str
    ending: Ending
    worst: float
    counts: list[int] = field(default_factory=list)


def number(agi: Agi, *paths: str, first: float = 4, between: float = 1.0) -> Field:
    return _field(agi, paths, card_number(), first, between)


def _field(
    agi: Agi, paths: Sequence[str], rule: Rule, first: float = 4, between: float = 1
) -> Field:
    counts: list[int] = []
    found = collect(agi, paths, rule, first, between, on_digit=counts.append)
    return Field(found.digits.reveal_str(), found.verdict, found.worst_turnaround, counts)


@contextmanager
def busy(seconds: float, processes: int = 2) -> Iterator[None]:
    """Every core is wanted by somebody else, at most so long."""
    burn = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    with ExitStack() as stack:
        for _ in range(processes):
            burner = subprocess.Popen([sys.executable, "-c", burn])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield


# --- senders of every kind -------------------------------------------------------------------

SENDERS = [number_to_dial(way, ms, GAP, 600, CARD) for way in "ritb" for ms in SHORTS]


def test_no_key_of_any_sender_is_lost(line: KeysLine) -> None:
    fields = line.ring(SENDERS, number)
    assert [one.digits for one in fields] == [CARD] * len(SENDERS)
    assert {one.ending for one in fields} == {Ending.DONE}
    assert fields[0].counts == list(range(1, len(CARD)))


def test_on_a_busy_machine_a_field_is_whole_or_void(line: KeysLine) -> None:
    with busy(30):
        fields = line.ring(SENDERS, number)
    whole = [one for one in fields if one.ending is Ending.DONE]
    assert {one.digits for one in whole} == {CARD}
    void = [one for one in fields if one.ending is not Ending.DONE]
    assert all(one.ending is Ending.LOST and not one.digits for one in void), void
    assert whole, "not a single field was taken"


def test_fields_follow_each_other_at_the_pace_of_the_keys(line: KeysLine) -> None:
    """No prompt between them: whoever knows the way keys all of it in one go."""

    def session(agi: Agi) -> list[str]:
        rules = (card_number(), expiry(), security_code(None))
        return [_field(agi, (), rule).digits for rule in rules]

    keys = CARD + "0929" + "123"
    calls = [number_to_dial(way, 60, GAP, 600, keys) for way in "rt"]
    assert line.ring(calls, session) == [[CARD, "0929", "123"]] * 2


# --- we are slow -----------------------------------------------------------------------------


def late_session(seconds: float, at: int) -> Callable[[Agi], Field]:
    """One that is held up behind the nth key."""

    def session(agi: Agi) -> Field:
        def hold_up(count: int) -> None:
            if count == at:
                time.sleep(seconds)

        found = collect(agi, (), card_number(), 4, 1.0, on_digit=hold_up)
        return Field(found.digits.reveal_str(), found.verdict, found.worst_turnaround)

    return session


@pytest.mark.parametrize("way", ["r", "i", "t"])
def test_a_field_with_a_hole_is_void(line: KeysLine, way: str) -> None:
    """Held up for 400 ms while keys come each 100 ms: three are thrown away by Asterisk."""
    [found] = line.ring([number_to_dial(way, 60, GAP, 600, CARD)], late_session(0.4, at=5))
    assert (found.ending, found.digits) == (Ending.LOST, "")
    assert found.worst > SLOWEST


def test_a_delay_that_loses_nothing_costs_nothing(line: KeysLine) -> None:
    [found] = line.ring([number_to_dial("r", 60, GAP, 600, CARD)], late_session(0.12, at=5))
    assert (found.ending, found.digits) == (Ending.DONE, CARD), "it waited beside Asterisk"


# --- keys at the wrong moment ----------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """Keys (``w``: half a second), and what two fields with prompts of two seconds make of it."""

    keys: str
    first: tuple[Ending, str]
    second: tuple[Ending, str]


DONE, AGAIN, LEAVE, TIMEOUT = Ending.DONE, Ending.AGAIN, Ending.LEAVE, Ending.TIMEOUT
MOMENTS = {
    "over the prompts": Moment(CARD + "www" + "0929", (DONE, CARD), (DONE, "0929")),
    "a late # over the next prompt": Moment(CARD + "ww#ww0929", (DONE, CARD), (DONE, "0929")),
    "a late # at once": Moment(CARD + "#www0929", (DONE, CARD), (DONE, "0929")),
    "a late # behind the next prompt": Moment(CARD + "wwwwww#0929", (DONE, CARD), (DONE, "0929")),
    "only one late # is swallowed": Moment(CARD + "ww#ww#", (DONE, CARD), (DONE, "")),
    "a # that ends a field": Moment(CARD[:13] + "#wwww#", (DONE, CARD[:13]), (DONE, "")),
    "a doubled #": Moment(CARD[:13] + "##www0929", (DONE, CARD[:13]), (DONE, "0929")),
    "a digit too many": Moment(CARD + "7www0929", (DONE, CARD), (DONE, "0929")),
    "three digits and nothing": Moment(CARD + "www929", (DONE, CARD), (TIMEOUT, "929")),
    "doubled digits are two": Moment("1123www0929", (TIMEOUT, "1123"), (DONE, "0929")),
    "* begins anew": Moment("453*www" + "0929", (AGAIN, "453"), (DONE, "0929")),
    "* and the field at once": Moment("453*0929", (AGAIN, "453"), (DONE, "0929")),
    "** leaves": Moment("453**", (LEAVE, "453"), (TIMEOUT, "")),
    "a slow ** is twice *": Moment("453*wwww*", (AGAIN, "453"), (AGAIN, "")),
    "nothing": Moment("", (TIMEOUT, ""), (TIMEOUT, "")),
}  # fmt: skip


def test_keys_at_every_moment(line: KeysLine, prompt: str) -> None:
    def session(agi: Agi) -> list[tuple[Ending, str]]:
        fields = (
            _field(agi, [prompt], card_number(), first=1.5),
            _field(agi, [prompt], expiry(), first=1.5),
        )
        return [(one.ending, one.digits) for one in fields]

    calls = [number_to_dial("r", 80, GAP, 1000, one.keys) for one in MOMENTS.values()]
    found = dict(zip(MOMENTS, line.ring(calls, session), strict=True))
    assert found == {name: [one.first, one.second] for name, one in MOMENTS.items()}


def test_keys_pressed_while_we_are_busy_are_not_the_beginning_of_a_field(
    line: KeysLine, prompt: str
) -> None:
    """They fall into two seconds of work and into the first moments of the prompt behind it."""

    def session(agi: Agi) -> tuple[str, str]:
        first = _field(agi, (), security_code(None))
        time.sleep(2.0)
        return first.digits, _field(agi, [prompt], expiry()).digits

    keys = "123" + "w" + "09290929" + "0929" + "w" + "0929"
    calls = [number_to_dial("r", 80, 80, 600, keys)]
    assert line.ring(calls, session) == [("123", "0929")]


def test_a_key_cuts_the_second_prompt_short_too(line: KeysLine, prompt: str) -> None:
    def session(agi: Agi) -> tuple[str, bool]:
        begun = time.monotonic()
        found = number(agi, prompt, prompt)
        return found.digits, time.monotonic() - begun < 3 + 16 * 0.2 + 1

    calls = [number_to_dial("r", 60, GAP, 3000, CARD)]
    assert line.ring(calls, session) == [(CARD, True)]


def test_whoever_hangs_up_leaves_nothing(line: KeysLine) -> None:
    """The digits are gone with the call: what is raised carries none."""
    calls = itertools.count()

    def session(agi: Agi) -> bool:
        assert next(calls) == 0
        agi.set_variable("TIMEOUT(absolute)", "2")
        with pytest.raises(Gone) as gone:
            number(agi, between=5)
        return CARD[:4] in repr(gone.value)

    assert line.ring([number_to_dial("r", 60, GAP, 300, CARD[:8])], session) == [False]
