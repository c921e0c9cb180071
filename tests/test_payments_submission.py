"""Cards sent from a process of their own: real processes, a real acquirer over HTTP."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acquirer_by_http import ask
from hypothesis import given
from hypothesis import strategies as st

from dialer.config import Settings, load_settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, FieldUse, PaymentMode, PaymentOutcome
from dialer.payments.clean_room import NOT_SENT, decode_card, encode_card, read_reply
from dialer.payments.gateway import Card, GatewayError, Order, Reply
from dialer.payments.secret import SecretDigits
from dialer.payments.submission import Submitter

HERE = Path(__file__).parent
FACTORY = "acquirer_by_http:from_settings"
NUMBER = "4539578763621486"
WAIT = 15.0


def a_card() -> Card:
    """One with everything."""
    return Card(SecretDigits(NUMBER), 7, 2031, SecretDigits("123"), "28001")


def an_order(what: str) -> Order:
    """``what``: what the acquirer does with it."""
    return Order(
        uuid.uuid4().hex, "123400000001", Money(1234, "EUR"), PaymentMode.CHARGE, what, "ES", "es",
        datetime.now(UTC),
    )  # fmt: skip


def soon() -> datetime:
    """A moment before which all is sent."""
    return datetime.now(UTC) + timedelta(seconds=30)


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def acquirer() -> Iterator[str]:
    """Its address."""
    with subprocess.Popen(
        [sys.executable, HERE / "acquirer_by_http.py"], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": f"{HERE.parent}"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.fixture
def settings(acquirer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of an installation whose acquirer it is."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return load_settings(home=tmp_path, test_acquirer_api_base=acquirer, gateway_seconds=5)


@pytest.fixture
def submitter(settings: Settings) -> Iterator[Submitter]:
    """Ready to send."""
    with Submitter(settings, factory=FACTORY) as one:
        yield one


def charged(base: str, order: Order) -> list[str]:
    """The last four digits of the charges for an order."""
    found: Any = ask(base, "GET", "/ledger")
    return [one["last_four"] for one in found if one["payment"] == order.payment_id]


def test_approved(submitter: Submitter, acquirer: str) -> None:
    heard: queue.Queue[Reply] = queue.Queue()
    card, order = a_card(), an_order("approve")
    submission = submitter.submit("http", order, None, card, soon(), heard.put)
    assert not card.number, "wiped as soon as it was handed over"
    assert not card.security_code
    wanted = Reply(PaymentOutcome.APPROVED, "ch_1", "A1B2C3")
    assert submission.wait(WAIT) == wanted
    assert heard.get_nowait() == wanted
    assert charged(acquirer, order) == ["1486"]


def test_many_at_once_each_with_its_own_answer(submitter: Submitter, acquirer: str) -> None:
    orders = [an_order("approve") for _ in range(8)]
    heard: queue.Queue[Reply] = queue.Queue()
    sent = [submitter.submit("http", o, None, a_card(), soon(), heard.put) for o in orders]
    assert all(one.wait(WAIT) for one in sent)
    assert [charged(acquirer, one) for one in orders] == [["1486"]] * 8


def test_a_connection_dropped_after_the_charge_is_unknown(
    submitter: Submitter, acquirer: str
) -> None:
    order = an_order("drop")
    submission = submitter.submit("http", order, None, a_card(), soon(), lambda _: None)
    reply = submission.wait(WAIT)
    assert reply is not None
    assert reply.outcome is PaymentOutcome.UNKNOWN
    assert charged(acquirer, order) == ["1486"]


def test_an_answer_that_comes_late_is_still_heard(submitter: Submitter, acquirer: str) -> None:
    heard: queue.Queue[Reply] = queue.Queue()
    order = an_order("slow")
    submission = submitter.submit("http", order, None, a_card(), soon(), heard.put)
    until(lambda: charged(acquirer, order) == ["1486"])
    assert submission.wait(0.05) is None
    ask(acquirer, "POST", "/release", {"payment": order.payment_id})
    assert heard.get(timeout=WAIT).outcome is PaymentOutcome.APPROVED
    assert submitter.close(drain=WAIT), "nothing is listened for any more"


def test_too_late_is_not_sent(submitter: Submitter, acquirer: str) -> None:
    order = an_order("approve")
    past = datetime.now(UTC) - timedelta(seconds=1)
    reply = submitter.submit("http", order, None, a_card(), past, lambda _: None).wait(WAIT)
    assert reply == Reply(PaymentOutcome.CONFIGURATION_ERROR, reason=NOT_SENT)
    assert charged(acquirer, order) == []


def test_a_gateway_that_breaks_is_unknown_and_shows_nothing(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    with Submitter(settings, factory=FACTORY) as submitter:
        replies = [
            submitter.submit("http", an_order(what), None, a_card(), soon(), lambda _: None).wait(
                WAIT
            )
            for what in ("break", "approve")
        ]
    assert [one and one.outcome for one in replies] == [
        PaymentOutcome.UNKNOWN,
        PaymentOutcome.APPROVED,
    ]
    said = "".join(capfd.readouterr())
    assert "ValueError" in said
    assert "sending" in said, "what a library prints is there, masked"
    assert "4539" not in said
    assert "cannot send" not in said


def test_a_clean_process_that_died_is_started_again(submitter: Submitter) -> None:
    assert submitter.problem() is None
    process = submitter._process
    assert process is not None
    process.kill()
    process.wait()
    assert submitter.problem() is not None
    order = an_order("approve")
    reply = submitter.submit("http", order, None, a_card(), soon(), lambda _: None).wait(WAIT)
    assert reply is not None
    assert reply.outcome is PaymentOutcome.APPROVED
    assert submitter.problem() is None


def test_preparing(submitter: Submitter) -> None:
    order = an_order("approve")
    assert submitter.prepare("http", order) == "prepared-123400000001"
    with pytest.raises(GatewayError, match="refuses") as refused:
        submitter.prepare("http", an_order("refuse"))
    assert not refused.value.passing


def test_preparing_is_not_waited_for_for_ever(settings: Settings) -> None:
    hasty = settings.model_copy(update={"gateway_seconds": 0.6})
    with (
        Submitter(hasty, factory=FACTORY) as submitter,
        pytest.raises(GatewayError, match="did not answer") as silent,
    ):
        submitter.prepare("http", an_order("hang"))
    assert silent.value.passing


def test_a_gateway_nobody_knows_sends_nothing(settings: Settings) -> None:
    with Submitter(settings) as submitter:
        order = an_order("approve")
        reply = submitter.submit("none", order, None, a_card(), soon(), lambda _: None).wait(WAIT)
        assert reply == Reply(PaymentOutcome.CONFIGURATION_ERROR, reason=NOT_SENT)
        with pytest.raises(GatewayError, match="there is no gateway 'none'"):
            submitter.prepare("none", order)


def test_what_a_gateway_can_do_is_asked_of_it(settings: Settings, submitter: Submitter) -> None:
    found = submitter.capabilities("http")
    assert found.modes == frozenset({PaymentMode.CHARGE})
    assert found.brands == frozenset({Brand.VISA})
    assert found.security_code is FieldUse.REQUIRED
    assert found == submitter.capabilities("http")


def test_with_its_parent_killed_the_charge_ends_too(
    settings: Settings, acquirer: str, tmp_path: Path
) -> None:
    """SIGKILL of the process that heard the card, the acquirer silent: no process stays behind
    that holds a card, and nobody made anything of it."""
    order = an_order("silence")
    script = f"""
        import sys, time
        from datetime import UTC, datetime, timedelta
        sys.path.insert(0, {str(HERE)!r})
        from dialer.config import load_settings
        from dialer.payments.submission import Submitter
        import test_payments_submission as t
        settings = load_settings(home={str(tmp_path)!r}, test_acquirer_api_base={acquirer!r})
        with Submitter(settings, factory=t.FACTORY) as submitter:
            from dataclasses import replace
            order = replace(t.an_order("silence"), payment_id={order.payment_id!r})
            print(submitter._process.pid, flush=True)
            submitter.submit("http", order, None, t.a_card(), t.soon(), print)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            room = int(process.stdout.readline())
            until(lambda: charged(acquirer, order) == ["1486"])
            (child,) = children_of(room)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        until(lambda: not alive(room) and not alive(child))


def children_of(pid: int) -> list[int]:
    """Processes that it forked."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether it still runs (a dead one nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


digits = st.text(alphabet="0123456789", min_size=1, max_size=19)

postals = st.text(alphabet="0123456789", min_size=1, max_size=5)


@given(digits, st.integers(1, 12), st.integers(2000, 2099), st.none() | digits, st.none() | postals)
def test_a_card_comes_out_of_the_pipe_as_it_went_in(
    number: str, month: int, year: int, code: str | None, postal: str | None
) -> None:
    card = Card(
        SecretDigits(number), month, year, None if code is None else SecretDigits(code), postal
    )
    raw = encode_card(card)
    if len(number) > 5:
        assert number.encode() not in raw
    made = decode_card(raw)
    assert made.number.reveal_str() == number
    assert (made.month, made.year, made.postal_code) == (month, year, postal)
    assert (made.security_code and made.security_code.reveal_str()) == code


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"reply": {}}', b'{"reply": {"outcome": 1}}'])
def test_what_is_no_answer_is_unknown(raw: bytes) -> None:
    assert read_reply(raw).outcome is PaymentOutcome.UNKNOWN
