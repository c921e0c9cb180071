"""``dialer payments``: what people see of payments and do to them."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import click
import pytest
from fixtures_bank import BankProcess, gateway_at, make_card
from payment_support import HARD, OWED, Till
from sqlalchemy import Engine, update
from world import World

from dialer.cli import run
from dialer.commands.payments_actions import minor_units, money
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.payments.orders import order_of
from dialer.simulation.cards import Behaviour
from dialer.store import payment_reports
from dialer.store import tables as t

ON_ONE = pytest.mark.database("sqlite")
"""For what is no matter of SQL."""
Capture = pytest.CaptureFixture[str]


class Office:
    """An installation with a debt, and the command line in front of it."""

    def __init__(self, database: Engine, bank: BankProcess, capsys: Capture) -> None:
        self.bank = bank
        self.capsys = capsys
        self.till = Till(World(database), bank.settings())

    def run(self, *words: str) -> int:
        return run(["payments", *words])

    def json(self, *words: str, code: int = 0) -> Any:
        """What a command answers as JSON."""
        self.capsys.readouterr()
        assert self.run(*words, "--json") == code
        return json.loads(self.capsys.readouterr().out)

    def charge(self, mode: PaymentMode = PaymentMode.CHARGE, minor: int = OWED) -> str:
        """A payment that the bank has taken, as after a call."""
        return self.send(Behaviour.APPROVE, mode, minor)

    def send(
        self, behaviour: Behaviour, mode: PaymentMode = PaymentMode.CHARGE, minor: int = OWED
    ) -> str:
        self.till.wait(1)
        key = self.till.send(minor, mode=mode)
        with self.till.engine.connect() as c:
            order = order_of(c, key)
        self.till.settle(
            key, gateway_at(self.bank, "test").submit(order, None, make_card(behaviour))
        )
        return key

    def hang_on(self, operation: str, behaviour: str = "dropped_after") -> None:
        """The next one gets no answer."""
        self.bank.post("behaviour", behaviour=behaviour, times=1, operation=operation)


@pytest.fixture
def office(
    database: Engine,
    database_url: str,
    bank: BankProcess,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> Office:
    monkeypatch.setenv("DIALER_HOME", str(bank.home))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TEST_ACQUIRER_API_BASE", bank.url)
    monkeypatch.setenv("REDSYS_API_BASE", f"{bank.url}/redsys")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Office(database, bank, capsys)


YES = ("--yes", "--actor", "ana", "--reason", "a test")


def test_they_are_listed_masked(office: Office) -> None:
    till = office.till
    first = till.send(5000, fingerprint="a" * 64)
    till.settle(first, HARD)
    second = office.charge()
    found = office.json()
    assert [one["id"] for one in found] == [first, second]
    assert [(one["state"], one["outcome"], one["reason"]) for one in found] == [
        ("declined", "declined-hard", "stolen_card"),
        ("approved", "approved", None),
    ]
    one = found[1]
    assert (one["brand"], one["last_four"], one["amount_minor"], one["currency"]) == (
        "visa", "4242", OWED, "EUR",
    )  # fmt: skip
    assert (one["account"], one["campaign"], one["company"]) == ("R1", "test", "Acme")
    assert one["phone"] == f"...{till.number[-3:]}"
    assert one["auth_code"] and one["provider_ref"]
    everything = json.dumps(found)
    assert till.number not in everything and "f" * 64 not in everything


def test_they_are_narrowed_down(office: Office) -> None:
    paid = office.charge(minor=1000)
    held = office.charge(PaymentMode.AUTHORISE, minor=1000)
    doubt = office.send(Behaviour.DROPPED_AFTER, minor=1000)

    def ids(*words: str) -> list[str]:
        return [one["id"] for one in office.json(*words)]

    assert ids("--unresolved") == [doubt]
    assert ids("--uncaptured") == [held]
    assert ids("--state", "approved") == [paid, held]
    assert ids("--limit", "1") == [doubt]
    assert ids("--campaign", "test") == ids("--company", "Acme") == [paid, held, doubt]
    assert ids("--since", "2026-03-17") == []
    assert ids("--since", "2026-03-16T10:59") == [paid, held, doubt]
    assert office.run("--campaign", "july") == 1
    assert "no campaign 'july'" in office.capsys.readouterr().err
    assert office.run("--state", "lost") == 2


@ON_ONE
def test_a_table_for_people(office: Office) -> None:
    office.charge(PaymentMode.AUTHORISE)
    assert office.run() == 0
    said = office.capsys.readouterr().out
    for word in ("R1", "123.45 EUR", "visa *4242", "authorised", "test"):
        assert word in said
    assert office.till.number not in said


def test_the_life_of_one(office: Office) -> None:
    key = office.charge()
    assert office.run("refund", key[:8], "--amount", "20.00", *YES) == 0
    office.capsys.readouterr()
    told = office.json("show", office.till.payment(key).order_ref)
    assert told["id"] == key
    assert [one["transaction"].split(":")[0] for one in told["ledger"]] == (
        ["reserve"] * 2 + ["settle"] * 2 + ["refund"] * 2
    )
    assert (told["balance"]["paid"], told["balance"]["open"]) == (OWED - 2000, 2000)
    assert {one["kind"] for one in told["events"]} == {"state", "refund"}
    (row,) = told["audit"]
    assert (row["actor"], row["action"], row["after"]["reason"]) == (
        "ana", "payment.refund", "a test",
    )  # fmt: skip
    assert office.run("show", key) == 0
    said = office.capsys.readouterr().out
    assert "a test" in said and "20.00 EUR" in said and office.till.number not in said


@ON_ONE
@pytest.mark.parametrize("name", ["abc", "0" * 32, "PAYMENT", "%%%%%%"])
def test_one_that_is_not_there_is_said(office: Office, name: str) -> None:
    office.charge()
    for command in ("show", "resolve"):
        assert office.run(command, name) == 1
        assert "there is no payment" in office.capsys.readouterr().err


def test_the_beginning_of_several_is_not_enough(office: Office) -> None:
    with office.till.engine.begin() as c:
        for key in ("abcdef" + "0" * 26, "abcdef" + "1" * 26):
            made = office.till.request(100)
            c.execute(
                t.payment.insert().values(
                    id=key, order_ref=key[-12:], company_id=office.till.world.company_id,
                    account_id=made.account_id, source="call", gateway="test", mode="charge",
                    amount_minor=100, currency="EUR", state="declined", created_at=office.till.now,
                    send_before=office.till.now,
                )
            )  # fmt: skip
    assert office.run("show", "abcdef") == 1
    assert "several payments begin with 'abcdef'" in office.capsys.readouterr().err
    assert office.json("show", "abcdef1")["state"] == "declined"


def test_a_refund_is_made_once_kept_and_never_too_much(office: Office) -> None:
    key = office.charge()
    done = office.json("refund", key, "--amount", "100", *YES)
    assert (done["payment"], done["state"]) == (key, "done")
    assert office.run("refund", key, "--amount", "100", *YES) == 1
    assert "ask for 1 to 2345" in office.capsys.readouterr().err
    assert office.run("refund", key, *YES, "--forgive") == 0
    assert office.till.stands() == (10000, 0, 0)
    assert [one["minor"] for one in office.bank.ledger()["refunds"]] == [10000, 2345]
    assert office.till.audit() == []


@ON_ONE
def test_nobody_is_asked_where_nobody_is(office: Office) -> None:
    key = office.charge()
    assert office.run("refund", key, "--reason", "r") == 2
    said = office.capsys.readouterr().err
    assert "Give back all that is left of payment" in said and "add --yes" in said
    assert office.run("refund", key, "--yes") == 2  # without a reason
    assert office.run("refund", key, "--amount", "1,5", *YES) == 2
    assert "20.00 EUR" in office.capsys.readouterr().err
    assert office.bank.ledger()["refunds"] == []


@ON_ONE
@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 130, OWED), ("y\n", 0, 0)])
def test_people_are_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    key = office.charge()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert office.run("refund", key, "--reason", "r") == code
    assert "visa *4242" in office.capsys.readouterr().out
    assert office.till.stands()[2] == left


def test_a_refund_without_an_answer_is_not_repeated_but_resolved(office: Office) -> None:
    key = office.charge()
    office.hang_on("refund")
    assert office.run("refund", key, *YES) == 3
    assert "do not repeat it" in office.capsys.readouterr().out
    told = office.json("resolve", key[:10])
    assert list(told["refunds"].values()) == ["done"]
    assert len(office.bank.ledger()["refunds"]) == 1
    assert office.till.stands() == (OWED, 0, 0)


def test_what_was_not_taken_cannot_be_given_back(office: Office) -> None:
    held = office.charge(PaymentMode.AUTHORISE, minor=1000)
    doubt = office.send(Behaviour.DROPPED_AFTER, minor=1000)
    for key, why in ((doubt, "look it up first"), (held, "void it")):
        assert office.run("refund", key, *YES) == 1
        assert why in office.capsys.readouterr().err
    assert office.run("capture", doubt, *YES) == 1


def test_an_authorisation_is_taken_or_let_go(office: Office) -> None:
    first = office.charge(PaymentMode.AUTHORISE, minor=5000)
    assert office.till.stands() == (OWED - 5000, 5000, 0)
    assert office.run("capture", first, "--amount", "40.00", *YES) == 0
    assert office.till.stands() == (OWED - 4000, 0, 4000)
    second = office.charge(PaymentMode.AUTHORISE, minor=1000)
    assert office.json("void", second, *YES)["state"] == "done"
    assert office.till.stands() == (OWED - 4000, 0, 4000)
    assert office.json("--uncaptured") == []
    assert office.run("capture", second, *YES) == 1
    assert office.json("books") == {"ok": True, "wrong": []}


@ON_ONE
def test_a_capture_without_an_answer_is_repeated(office: Office) -> None:
    key = office.charge(PaymentMode.AUTHORISE)
    office.hang_on("capture")
    assert office.json("capture", key, *YES, code=3)["outcome"] == "unknown"
    assert office.run("capture", key, *YES) == 0
    assert office.till.stands() == (0, 0, OWED)


def test_everything_in_doubt_is_asked_about(office: Office) -> None:
    assert office.run("resolve") == 0
    assert "nothing is in doubt" in office.capsys.readouterr().out
    key = office.send(Behaviour.DROPPED_AFTER)
    office.bank.post("outage", how="error")
    told = office.json("resolve", code=3)
    assert told == {"payments": {key: "unknown"}, "refunds": {}, "in_doubt": 1}
    office.bank.post("outage", how=None)
    assert office.run("resolve") == 0
    assert f"payment {key[:8]}: approved" in office.capsys.readouterr().out
    assert office.till.stands() == (0, 0, OWED)
    assert office.till.messages() == ["payment_receipt"]


def test_books_that_do_not_add_up_are_told(office: Office) -> None:
    key = office.charge()
    assert office.run("books") == 0
    assert "add up" in office.capsys.readouterr().out
    with office.till.engine.begin() as c:
        c.execute(update(t.payment).values(state="declined"))
    assert office.run("books") == 1
    assert f"payment {key}" in office.capsys.readouterr().out
    assert office.json("books", code=1)["ok"] is False


def test_a_link_at_the_gateway(office: Office) -> None:
    assert office.run("link", "--account", "R1") == 1
    assert "no gateway takes payments in ES" in office.capsys.readouterr().err
    assert office.run("link", "--account", "R1", "--gateway", "test") == 1
    assert "makes no payment pages" in office.capsys.readouterr().err
    made = office.json("link", "--account", "R1", "--gateway", "redsys", "--days", "2")
    assert made["url"].startswith("http")
    assert (made["amount_minor"], made["currency"]) == (OWED, "EUR")
    one = office.till.payment(made["payment"])
    assert (one.state, one.source, one.reason) == (PaymentState.NEEDS_ACTION, "link", "link")
    assert office.till.stands() == (OWED, 0, 0), "a link that nobody uses holds nothing"
    (row,) = office.till.world.rows(t.audit, action="payment.link")
    assert made["url"] not in json.dumps(row.after)


@ON_ONE
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("link",), "give a payment, or --account"),
        (("link", "x", "--account", "R1"), "give a payment, or --account"),
        (("link", "--account", "R9"), "no debt with the reference 'R9'"),
        (("link", "--account", "R1", "--gateway", "swipe"), "there is no gateway 'swipe'"),
    ],
)
def test_a_link_asked_for_wrongly(office: Office, words: tuple[str, ...], why: str) -> None:
    assert office.run(*words) in (1, 2)
    assert why in office.capsys.readouterr().err


def test_no_link_for_what_is_paid_or_in_doubt(office: Office) -> None:
    key = office.send(Behaviour.DROPPED_AFTER, minor=1000)
    asked = ("link", key, "--gateway", "redsys")
    assert office.run(*asked) == 1
    assert "under way or in doubt" in office.capsys.readouterr().err
    assert office.run("resolve") == 0
    office.charge(minor=OWED - 1000)
    assert office.run(*asked) == 1
    assert "nothing is open" in office.capsys.readouterr().err


@ON_ONE
def test_no_link_where_the_gateway_makes_none(office: Office) -> None:
    office.bank.post("outage", how="error")
    assert office.run("link", "--account", "R1", "--gateway", "redsys") == 1
    assert "no link was made" in office.capsys.readouterr().err
    (one,) = office.json()
    assert one["state"] == "not_charged"
    assert office.till.stands() == (OWED, 0, 0)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("20", "EUR", 2000), ("20.5", "EUR", 2050), ("20.50 eur", "EUR", 2050), ("7", "CLP", 7)],
)
def test_amounts_are_read(text: str, currency: str, minor: int) -> None:
    assert minor_units(text, currency) == minor
    assert minor_units(money(minor, currency), currency) == minor


@pytest.mark.parametrize("text", ["", "-1", "1.234", "1,5", "1e3", "20 USD", "٢", "NaN"])
def test_amounts_that_are_none(text: str) -> None:
    with pytest.raises(click.UsageError, match="write it like 20.00 EUR"):
        minor_units(text, "EUR")


def test_a_prefix_is_no_pattern(office: Office) -> None:
    office.charge()
    with office.till.engine.connect() as c, pytest.raises(payment_reports.NoSuchPayment):
        payment_reports.find(c, "______")
