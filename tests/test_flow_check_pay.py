"""The proofs of pay nodes, each with a flow that breaks just that one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from flows import SOUND, TEXTS, texts

from dialer.domain.payment import PaySpec, PayStep
from dialer.flow.check import check_flow
from dialer.flow.errors import FlowError
from dialer.flow.model import Flow, load_named
from dialer.flow.nodes import Pay
from dialer.flow.prompts import Prompt, Prompts
from dialer.flow.waiting_prompts import WAITING_PROMPTS

PAY: dict[str, Any] = {
    "type": "pay", "paid": "end", "unknown": "end", "link": "link", "agent": "agent",
}  # fmt: skip
PAYING: list[tuple[str, Any]] = [
    ("nodes.choose.keys", {1: "promise", 2: "pay", 9: "out", "*": "again"}),
    ("nodes.link", {"type": "send_link", "next": "end", "not_mobile": "back"}),
    ("nodes.back", {"type": "go_back", "to": "choose", "then": "end"}),
    ("nodes.agent", {"type": "agent", "next": "end"}),
]


def _pay_problems(*changes: tuple[str, Any], **pay: Any) -> list[tuple[str | None, str, str]]:
    """(node, proof, what and what to do) of the sound flow with a pay node, and the shipped texts
    of payments; ``changes`` of texts are keyed ``texts.<language>.<key>``."""
    raw = copy.deepcopy(SOUND)
    said = {
        language: {k: Prompt(k, text) for k, text in TEXTS.items()}
        | {
            k: p
            for k, p in texts(language).by_key.items()
            if k.startswith("pay_") or k in WAITING_PROMPTS
        }
        for language in ("en", "es")
    }
    raw["nodes"]["pay"] = PAY | pay
    for path, value in (*PAYING, *changes):
        *where, last = path.split(".")
        at: Any = {"texts": said, **raw} if where[0] == "texts" else raw
        for part in where:
            at = at[part]
        if value is None:
            at.pop(last)
        else:
            at[last] = Prompt(last, value) if where[0] == "texts" else value
    found = check_flow(
        Flow.model_validate(raw),
        {language: Prompts(language, by_key) for language, by_key in said.items()},
    )
    return [(p.node, p.proof, f"{p.what}; {p.todo}") for p in found]


def test_a_sound_flow_with_a_payment() -> None:
    assert _pay_problems() == []
    everything = {
        "amounts": ["whole", "part", "instalment"], "mode": "authorise", "brands": ["visa", "jcb"],
        "security_code": "optional", "postal_code": "required", "submissions": 3,
        "attempts": {"number": 5, "postal_code": 1}, "first_timeout": 20,
        "inter_timeout": {"expiry": 6},
        "require_matching_inputs": ["number", "postal-code"],
        "prompts": [
            {"for": "number", "error": "invalid-card-number", "attempt": [2, 3], "say": "bye"},
            {"for": "payment-card-number", "say": ["pay_anew", "bye"]},
            {"for": "number", "second_entry": True, "say": "bye"},
            {"for": "number", "second_entry": True, "error": "keys-lost", "say": "bye"},
            {"for": "postal_code", "error": "input-matching-failed", "say": "bye"},
            {"for": "result", "attempt": 3, "card_type": ["jcb"], "say": "bye"},
        ],
    }  # fmt: skip
    assert _pay_problems(**everything) == []


def test_what_is_keyed_in_twice_as_the_payment_process_takes_it() -> None:
    """Steps by either name, one or a list; none where none is named."""
    assert _spec().matching == ()
    assert _spec(require_matching_inputs="number").matching == (PayStep.CARD_NUMBER,)
    given = ["security_code", "expiration-date"]
    prompts = [{"for": "expiry", "second_entry": True, "say": "bye"}]
    spec = _spec(require_matching_inputs=given, prompts=prompts)
    assert spec.matching == (PayStep.SECURITY_CODE, PayStep.EXPIRATION_DATE)
    assert [one.second_entry for one in spec.prompts] == [True]


def test_a_field_that_is_keyed_in_twice_is_asked_twice_as_often() -> None:
    once, twice = _pay(), _pay(require_matching_inputs=["number", "expiry"], attempts={"expiry": 2})
    assert once.most_asked - 2 == twice.most_asked - 2 * (3 + 2)


def _pay(**changes: Any) -> Pay:
    return Pay.model_validate(PAY | changes)


def _spec(**changes: Any) -> PaySpec:
    return _pay(**changes).spec()


def test_a_payment_without_a_proven_identity() -> None:
    keys = {1: "who", 2: "pay", 9: "out"}
    found = _pay_problems(("nodes.hello.keys", keys))
    assert ("pay", "disclosure") in [(node, proof) for node, proof, _ in found]


@pytest.mark.parametrize("way", ["paid", "unknown", "nothing_owed"])
@pytest.mark.parametrize("to", ["link", "pay_back", "promise"])
def test_nobody_is_asked_to_pay_twice(way: str, to: str) -> None:
    """Neither the one who has paid, nor the one of whom it is not known yet."""
    back = ("nodes.pay_back", {"type": "go_back", "to": "pay", "times": 1, "then": "agent"})
    found = _pay_problems(back, **{"declined": "pay_back", way: to})
    reached = to.removesuffix("_back")
    todo = f"where the debtor could pay a second time; lead {way} to an end, or to a person"
    assert ("pay", "paid_once", f"{way} leads on to {reached}, {todo}") in found


def test_a_payment_concludes_only_where_it_was_made() -> None:
    """Declined, then a link: one conclusion. Paid, then an agent: two."""
    assert _pay_problems(declined="link") == []
    found = _pay_problems(paid="agent")
    assert [(node, proof) for node, proof, _ in found] == [("pay", "one_outcome")]


def test_a_card_that_is_only_registered_pays_nothing() -> None:
    """The debtor promises to pay with it: one conclusion, and no second payment."""
    assert _pay_problems(mode="tokenise", paid="promise") == []


def test_a_payment_from_which_nobody_can_opt_out() -> None:
    link = {"type": "send_link", "next": "end", "not_mobile": "end"}
    found = _pay_problems(("nodes.link", link), ("nodes.back", None))
    assert [(node, proof) for node, proof, _ in found] == [("pay", "opt_out")]


def test_a_payment_leads_back_only_through_a_counted_node() -> None:
    found = _pay_problems(cancelled="choose")
    assert [proof for _, proof, _ in found] == ["bounded"]


def test_a_text_of_payments_that_one_language_lacks() -> None:
    ((node, proof, what),) = _pay_problems(("texts.es.pay_confirm", None))
    assert (node, proof) == ("pay", "texts")
    assert what == "says pay_confirm, which prompts/es.yaml lacks; add the text"


def test_a_value_that_a_payment_does_not_have_at_that_point() -> None:
    both = [(f"texts.{one}.pay_card_number", "Card {last_four}.") for one in ("en", "es")]
    ((node, proof, what),) = _pay_problems(*both)
    assert (node, proof) == ("pay", "values")
    assert "{last_four}, which has no value when it is said; word it with" in what
    prompts = [{"for": "number", "say": "debt"}]
    found = _pay_problems(prompts=prompts)
    assert {(node, proof) for node, proof, _ in found} == {("pay", "values")}
    assert "debt says {amount}, which has no value at number" in found[0][2]


def test_a_value_of_payments_outside_of_one() -> None:
    both = [(f"texts.{one}.choose", "Press one to pay {pay_amount}.") for one in ("en", "es")]
    ((node, proof, what),) = _pay_problems(*both)
    assert (node, proof) == ("choose", "values")
    assert "which only a payment has; say it in the prompts: of a pay node" in what


@pytest.mark.parametrize("step", ["agree", "confirm"])
@pytest.mark.parametrize("error", [[], ["input-timeout"]])
def test_what_is_agreed_to_is_said(step: str, error: list[str]) -> None:
    """A rule that names errors replaces the question too."""
    ((node, proof, what),) = _pay_problems(prompts=[{"for": step, "error": error, "say": "bye"}])
    assert (node, proof) == ("pay", "values")
    assert f"bye at {step} leaves out" in what
    assert "{pay_amount}" in what


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"paid": None}, "paid: is missing: add it"),
        ({"unknown": None}, "unknown: is missing: add it"),
        ({"amount": "whole"}, "is not known here: remove it or correct its name"),
        ({"amounts": ["all"]}, "'whole', 'part' or 'instalment'"),
        ({"amounts": []}, "at least 1 item"),
        ({"amounts": ["whole", "whole"]}, "amounts: one is there twice: remove it"),
        ({"brands": ["visa", "visa"]}, "brands: one is there twice: remove it"),
        ({"brands": ["bitcoin"]}, "'visa', 'mastercard'"),
        ({"mode": "capture"}, "'charge', 'authorise' or 'tokenise'"),
        ({"submissions": 4}, "less than or equal to 3"),
        ({"attempts": 0}, "greater than or equal to 1"),
        ({"attempts": {"cvv": 2}}, "'security-code'"),
        ({"attempts": {"processing": 2}}, "attempts: processing waits for no key: remove it"),
        ({"first_timeout": {"postal_code": 5}}, "set postal_code: required or optional, or remove"),
        ({"attempts": {"amount": 2}}, "amount is only asked for a part: add part to amounts"),
        ({"inter_timeout": {"amount_choice": 2}}, "amount_choice needs two amounts to choose from"),
        ({"security_code": "forbidden", "prompts": [{"for": "security_code", "say": "bye"}]},
         "prompts: security_code is forbidden in this node"),
        ({"prompts": [{"for": "expiry", "error": "invalid-card-number", "say": "bye"}]},
         "prompts: expiry never has invalid-card-number: its errors are"),
        ({"prompts": [{"for": "result", "error": "input-timeout", "say": "bye"}]},
         "prompts: result never has input-timeout: its errors are declined-hard, declined-soft"),
        ({"prompts": [{"for": "processing", "error": "input-timeout", "say": "bye"}]},
         "prompts: processing never has input-timeout: its errors are none"),
        ({"mode": "tokenise", "attempts": {"agree": 2}}, "agree is not asked by tokenise: remove"),
        ({"prompts": [{"for": "number", "attempt": 4, "say": "bye"}]},
         "prompts: number has no attempt 4: raise attempts or remove it"),
        ({"prompts": [{"for": "result", "attempt": 3, "say": "bye"}]},
         "prompts: result has no attempt 3: raise submissions or remove it"),
        ({"prompts": [{"for": "number", "card_type": "jcb", "say": "bye"}]},
         "prompts: jcb is not accepted: add it to brands"),
        ({"prompts": [{"for": "expiry", "say": "a"}, {"for": "expiration-date", "say": "b"}]},
         "prompts: two for expiry fit the same: make them one"),
        ({"require_matching_inputs": ["number", "payment-card-number"]},
         "require_matching_inputs: one is there twice: remove it"),
        ({"require_matching_inputs": ["confirm"]},
         "confirm is no field of a card: use number, expiry, security_code, postal_code"),
        ({"require_matching_inputs": ["postal_code"]},
         "require_matching_inputs: postal_code is forbidden in this node: set postal_code"),
        ({"require_matching_inputs": ["cvv"]}, "'security-code'"),
        ({"prompts": [{"for": "number", "second_entry": True, "say": "bye"}]},
         "prompts: number is keyed in once: add it to require_matching_inputs, or remove second"),
        ({"prompts": [{"for": "number", "error": "input-matching-failed", "say": "bye"}]},
         "number is keyed in once: add it to require_matching_inputs, or remove input-matching-"),
        ({"prompts": [{"for": "agree", "error": "input-matching-failed", "say": "bye"}]},
         "prompts: agree never has input-matching-failed: its errors are input-timeout, invalid-"),
        ({"require_matching_inputs": "number", "prompts": [
            {"for": "number", "second_entry": True, "error": "invalid-card-number", "say": "bye"}]},
         "number never has invalid-card-number: its errors are input-timeout, keys-lost"),
        ({"prompts": [{"for": "cvv", "say": "bye"}]}, "'security-code'"),
        ({"prompts": [{"for": "number"}]}, "say: is missing: add it"),
    ],
)  # fmt: skip
def test_a_pay_node_that_cannot_be(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    node = {k: v for k, v in (PAY | changes).items() if v is not None}
    raw = {"start": "pay", "nodes": {"pay": node, "end": {"type": "end"}}}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(FlowError) as caught:
        load_named(tmp_path, "wrong")
    assert "wrong.yaml: node pay:" in str(caught.value)
    assert said in str(caught.value)
