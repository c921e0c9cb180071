"""Hidden digits show themselves to nobody who does not ask by name."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.payments.secret import HIDDEN, Secret, SecretDigits

NUMBER = "4000000012345674"


@given(st.text("0123456789", max_size=19))
def test_what_was_put_in_is_there_for_who_asks(digits: str) -> None:
    made, grown = SecretDigits(digits), SecretDigits()
    for one in digits.encode():
        grown.add(one)
    for hidden in (made, grown, made.copy()):
        assert hidden.reveal_str() == digits
        assert (len(hidden), bool(hidden)) == (len(digits), bool(digits))
        with hidden.reveal() as raw:
            assert raw == digits.encode()


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda hidden: f"{hidden}",
        lambda hidden: f"{hidden!r:>40}",
        lambda hidden: str([hidden]),
        lambda hidden: json.dumps({"number": hidden}, default=str),
    ],
)
def test_nothing_of_it_shows(show: Callable[[SecretDigits], str]) -> None:
    told = show(SecretDigits(NUMBER))
    assert HIDDEN in told
    assert not any(part in told for part in (NUMBER, NUMBER[:6], NUMBER[-4:]))


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy, list, json.dumps, hash])
def test_it_is_not_written_down(write: Callable[[Any], Any]) -> None:
    with pytest.raises((Secret, TypeError)) as told:
        write(SecretDigits(NUMBER))
    assert NUMBER[-4:] not in str(told.value)


@pytest.mark.parametrize("wrong", ["4000 0000", "12a", "\u0661\u0662", b"12\x00"])
def test_what_is_no_digit_is_refused_without_being_told(wrong: str | bytes) -> None:
    with pytest.raises(ValueError, match="^hidden digits are digits$"):
        SecretDigits(wrong)
    with pytest.raises(ValueError, match="^hidden digits are digits$"):
        SecretDigits().add(ord("a"))


def test_wiping_overwrites_what_lies_in_memory() -> None:
    hidden = SecretDigits(NUMBER)
    with hidden.reveal() as raw:
        hidden.wipe()
        assert raw == bytes(len(NUMBER)), "the very bytes, not another copy"
    assert not hidden


def test_a_number_that_grows_leaves_no_shorter_one_behind() -> None:
    hidden = SecretDigits()
    seen = []
    for one in NUMBER.encode():
        with hidden.reveal() as raw:
            seen.append(raw)
        hidden.add(one)
    assert all(raw == bytes(len(raw)) for raw in seen)
    assert hidden.reveal_str() == NUMBER


def test_a_with_wipes_at_its_end() -> None:
    with SecretDigits(NUMBER) as hidden, hidden.reveal() as raw:
        pass
    assert not any(raw)
