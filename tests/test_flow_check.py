"""Each proof of the validator, with a flow that breaks just that one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from flows import FLOWS, texts

from dialer.flow.check import check_flow, check_named, load_catalogue, require_proven
from dialer.flow.disclosure import disclosing_word
from dialer.flow.errors import FlowError
from dialer.flow.graph import bounds
from dialer.flow.model import Flow, flow_names, load_named
from dialer.flow.pay_prompts import default_prompts
from dialer.flow.prompts import Prompt, Prompts

TEXTS = {
    "hello": "Hello from {company}. Press one or nine.",
    "digits": "The last four digits, please.",
    "debt": "You have {amount} to settle since {due_date}.",
    "choose": "Press one or nine.",
    "thanks": "Until {promise_date}.",
    "named": "Hello {debtor_name}.",
    "bye": "Goodbye.",
    "neutral_goodbye": "Goodbye.",
}
WAYS_OUT = {"on_timeout": {"then": "end"}, "on_wrong_key": {"then": "end"}}
SOUND: dict[str, Any] = {
    "name": "sound",
    "start": "hello",
    "nodes": {
        "hello": {"type": "menu", "say": "hello", "keys": {1: "who", 9: "out"}, **WAYS_OUT},
        "who": {
            "type": "identity", "say": "digits", "matched": "debt", "unavailable": "end",
            "on_no_match": {"then": "end"}, "on_timeout": {"then": "end"},
        },
        "debt": {"type": "say", "say": "debt", "next": "choose"},
        "choose": {
            "type": "menu", "say": "choose", "keys": {1: "promise", 9: "out", "*": "again"},
            **WAYS_OUT,
        },
        "again": {"type": "go_back", "to": "debt", "then": "end"},
        "promise": {"type": "promise", "in_days": 3, "next": "thanks"},
        "thanks": {"type": "end", "say": "thanks"},
        "out": {"type": "opt_out", "next": "end"},
        "end": {"type": "end", "say": "bye"},
    },
}  # fmt: skip


def _problems(
    *changes: tuple[str, Any],
    texts_en: dict[str, Any] | None = None,
    texts_es: dict[str, Any] | None = None,
) -> list[tuple[str | None, str]]:
    """(node, proof) of the sound flow with some places changed (``nodes.hello.keys``)."""
    raw = copy.deepcopy(SOUND)
    for path, value in changes:
        *where, last = path.split(".")
        at = raw
        for part in where:
            at = at[part]
        if value is None:
            at.pop(last)
        else:
            at[last] = value
    catalogue = {
        language: Prompts(
            language,
            {
                key: text if isinstance(text, Prompt) else Prompt(key, text)
                for key, text in (TEXTS | (more or {})).items()
                if text is not None
            },
        )
        for language, more in (("en", texts_en), ("es", texts_es))
    }
    return [(p.node, p.proof) for p in check_flow(Flow.model_validate(raw), catalogue)]


def test_a_sound_flow_has_no_problem() -> None:
    assert _problems() == []


@pytest.mark.parametrize("name", flow_names(FLOWS))
def test_the_shipped_flows_are_sound(name: str) -> None:
    assert check_named(FLOWS, name) == []


def test_a_node_that_cannot_be_reached() -> None:
    assert _problems(("nodes.island", {"type": "end"})) == [("island", "reachable")]


def test_a_way_to_a_node_that_is_not_there() -> None:
    assert _problems(("nodes.debt.next", "nowhere")) == [("debt", "targets")]
    assert _problems(("start", "nowhere")) == [(None, "targets")]


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ("hello", "on_timeout"),
        ("choose", "on_wrong_key"),
        ("who", "on_timeout"),
        ("who", "on_no_match"),
        ("who", "unavailable"),
    ],
)
def test_a_question_without_a_way_out(node: str, field: str) -> None:
    assert _problems((f"nodes.{node}.{field}", None)) == [(node, "way_out")]


def test_a_cycle_that_is_not_counted() -> None:
    found = _problems(("nodes.choose.keys", {1: "promise", 9: "out", "*": "debt"}),
                      ("nodes.again", None))  # fmt: skip
    assert [proof for _, proof in found] == ["bounded"]


def test_go_backs_that_allow_more_steps_than_a_call_may_have() -> None:
    chain = {f"n{i}": {"type": "say", "say": "bye", "next": f"n{i + 1}"} for i in range(40)} | {
        "n40": {"type": "go_back", "to": "n0", "times": 5, "then": "end"}
    }
    changes = [(f"nodes.{name}", node) for name, node in chain.items()]
    found = _problems(*changes, ("nodes.debt.next", "n0"), ("nodes.n40.then", "choose"))
    assert found == [(None, "bounded")]


def test_a_text_that_one_language_lacks() -> None:
    assert _problems(texts_es={"bye": None}) == [("end", "texts")]


def test_a_language_without_prompts() -> None:
    assert (None, "texts") in _problems(("languages", ["es", "fr"]))


def test_other_placeholders_in_another_language() -> None:
    assert _problems(texts_es={"hello": "Hola. Pulse uno."}) == [("hello", "texts")]


def test_the_words_for_a_call_that_cannot_go_on_are_needed() -> None:
    assert _problems(texts_en={"neutral_goodbye": None}) == [(None, "texts")]
    assert _problems(texts_en={"neutral_goodbye": "Bye from {company}."}) == [(None, "texts")]


def test_a_placeholder_that_is_no_value() -> None:
    both = {"bye": "Goodbye {weather}."}
    assert _problems(texts_en=both, texts_es=both) == [("end", "values")]


def test_a_value_that_a_call_may_not_have() -> None:
    assert _problems(("nodes.hello.say", "named")) == [("hello", "values")]
    guarded = {"prompt": "named", "when": "debtor_name", "otherwise": "hello"}
    assert _problems(("nodes.hello.say", [guarded])) == []
    other = {"prompt": "named", "when": "callback_number", "otherwise": "hello"}
    assert _problems(("nodes.hello.say", [other])) == [("hello", "values")]
    senseless = {"prompt": "hello", "when": "company"}
    assert _problems(("nodes.hello.say", [senseless])) == [("hello", "values")]


def test_a_value_said_before_a_node_gives_it() -> None:
    both = {"choose": "You promised {promise_date}. Press one."}
    assert _problems(texts_en=both, texts_es=both) == [("choose", "values")]


# --- disclosure -------------------------------------------------------------------------------


def test_a_disclosing_text_before_identity_by_its_mark() -> None:
    marked = {"hello": Prompt("hello", "{company} here.", discloses=True)}
    assert _problems(texts_en=marked, texts_es=marked) == [("hello", "disclosure")]


@pytest.mark.parametrize(
    "text",
    [
        "You owe us money, {company}.",
        "This is {company}, about your payment.",
        "{company} about your account.",
        "{company}, {amount}.",
    ],
)
def test_a_disclosing_text_before_identity_by_its_words(text: str) -> None:
    spanish = "{company}, {amount}." if "{amount}" in text else "Hola, {company}."
    found = _problems(texts_en={"hello": text}, texts_es={"hello": spanish})
    assert found == [("hello", "disclosure")]


def test_a_disclosing_word_in_one_language_is_enough() -> None:
    assert _problems(texts_es={"hello": "{company}: su deuda. Pulse uno."}) == [
        ("hello", "disclosure")
    ]


def test_a_way_round_the_identity_to_the_disclosure() -> None:
    """The node is behind the identity on one way, and not on another: domination is what counts."""
    found = _problems(("nodes.who.on_no_match", {"then": "debt"}))
    assert ("debt", "disclosure") in found
    assert ("promise", "disclosure") in found


def test_what_is_said_before_asking_again_counts_too() -> None:
    again = {"then": "end", "say": "debt"}
    assert _problems(("nodes.who.on_no_match", again)) == [("who", "disclosure")]
    assert _problems(("nodes.hello.on_timeout", again)) == [("hello", "disclosure")]
    assert _problems(("nodes.hello.on_wrong_key", again)) == [("hello", "disclosure")]


def test_the_alternative_of_an_optional_prompt_counts_too() -> None:
    either = {"prompt": "named", "when": "debtor_name", "otherwise": "debt"}
    assert _problems(("nodes.hello.say", [either])) == [("hello", "disclosure")]


def test_an_act_on_the_debt_without_identity() -> None:
    keys = {1: "who", 2: "promise", 9: "out"}
    assert ("promise", "disclosure") in _problems(("nodes.hello.keys", keys))


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("es", "Su adeudo de hoy.", "adeudo"),
        ("es", "Tiene un PAGO pendiente.", "PAGO"),
        ("es", "Por un importe.", "importe"),
        ("es", "Su cuenta.", "cuenta"),
        ("es", "Una factura vencida.", "factura"),
        ("en", "Your overdue bill.", "overdue"),
        ("en", "A debt collector.", "debt"),
        ("fr", "votre debt", "debt"),
        ("en", "See {due_date}.", "{due_date}"),
        ("es", "Hola, le llamamos de {company}. Pulse uno.", None),
        ("en", "Hello, this is {company}. Press one.", None),
    ],
)
def test_words_that_disclose(language: str, text: str, word: str | None) -> None:
    assert disclosing_word(Prompt("p", text), language) == word


@pytest.mark.parametrize("language", ["es", "en"])
def test_what_the_shipped_flows_say_of_the_debt_is_marked(language: str) -> None:
    """The mark is what keeps the player from saying a text to nobody proven. In a payment all
    that is said is behind the identity."""
    for prompt in texts(language).by_key.values():
        speaks_of_it = disclosing_word(prompt, language) is not None
        assert prompt.discloses == (speaks_of_it or prompt.key in default_prompts()), prompt.key


# --- the rest ---------------------------------------------------------------------------------


def test_a_question_from_which_nobody_can_opt_out() -> None:
    found = _problems(
        ("nodes.choose.keys", {1: "promise"}), ("nodes.again", None),
        ("nodes.hello.keys", {1: "who", 9: "out"}),
    )  # fmt: skip
    assert found == [("who", "opt_out"), ("choose", "opt_out")]


def test_two_conclusions_on_one_way() -> None:
    assert _problems(("nodes.promise.next", "out"), ("nodes.thanks", None)) == [
        ("promise", "one_outcome")
    ]


def test_a_link_that_cannot_be_sent_concludes_nothing() -> None:
    link = {"type": "send_link", "next": "end", "not_mobile": "promise"}
    keys = {1: "promise", 2: "link", 9: "out", "*": "again"}
    assert _problems(("nodes.link", link), ("nodes.choose.keys", keys)) == []
    link = {"type": "send_link", "next": "promise", "not_mobile": "end"}
    assert _problems(("nodes.link", link), ("nodes.choose.keys", keys)) == [("link", "one_outcome")]


def test_a_message_asks_nothing() -> None:
    kinds = {proof for _, proof in _problems(("kind", "message"))}
    assert kinds == {"kind"}


def test_a_campaign_is_told_what_its_flow_lacks(tmp_path: Path) -> None:
    assert [p.proof for p in check_named(FLOWS, "reminder", "fr")] == ["language"]
    assert check_named(FLOWS, "reminder", "en") == []
    (missing,) = check_named(FLOWS, "nothing")
    assert "reminder" in str(missing)
    (tmp_path / "broken.yaml").write_text("start: [", encoding="utf-8")
    assert [p.proof for p in check_named(tmp_path, "broken")] == ["readable"]


def test_flows_are_required_to_be_proven_together() -> None:
    require_proven(FLOWS, ["reminder", "second_try"], "es")
    with pytest.raises(FlowError) as caught:
        require_proven(FLOWS, ["reminder", "nothing"], "fr")
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(FlowError, match="a message for machines"):
        require_proven(FLOWS, ["machine"], "es-MX")


def test_a_problem_says_flow_node_what_and_what_to_do() -> None:
    raw = copy.deepcopy(SOUND)
    raw["nodes"]["island"] = {"type": "end"}
    catalogue = {
        one: Prompts(one, {k: Prompt(k, v) for k, v in TEXTS.items()}) for one in ("en", "es")
    }
    (problem,) = check_flow(Flow.model_validate(raw), catalogue)
    assert str(problem) == "sound: node island: cannot be reached; lead to it or remove it"


def test_the_bound_of_questions_counts_every_try_repeat_and_round() -> None:
    # hello 3+3, who 3+3+2, choose 3+3 on the longest way, each once more for the two go-backs.
    assert bounds(Flow.model_validate(SOUND))[1] == 3 * (6 + 8 + 6)


def test_the_catalogue_has_the_flows_languages() -> None:
    assert set(load_catalogue(FLOWS, load_named(FLOWS, "reminder"))) == {"es", "en"}


# --- paying -----------------------------------------------------------------------------------

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
        | {k: p for k, p in texts(language).by_key.items() if k.startswith("pay_")}
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
        "prompts": [
            {"for": "number", "error": "invalid-card-number", "attempt": [2, 3], "say": "bye"},
            {"for": "payment-card-number", "say": ["pay_anew", "bye"]},
            {"for": "result", "attempt": 3, "card_type": ["jcb"], "say": "bye"},
        ],
    }  # fmt: skip
    assert _pay_problems(**everything) == []


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
        ({"prompts": [{"for": "number", "attempt": 4, "say": "bye"}]},
         "prompts: number has no attempt 4: raise attempts or remove it"),
        ({"prompts": [{"for": "result", "attempt": 3, "say": "bye"}]},
         "prompts: result has no attempt 3: raise submissions or remove it"),
        ({"prompts": [{"for": "number", "card_type": "jcb", "say": "bye"}]},
         "prompts: jcb is not accepted: add it to brands"),
        ({"prompts": [{"for": "expiry", "say": "a"}, {"for": "expiration-date", "say": "b"}]},
         "prompts: two for expiry fit the same: make them one"),
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
