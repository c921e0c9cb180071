"""Each proof of the validator, with a flow that breaks just that one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from flows import FLOWS, SOUND, TEXTS, texts

from dialer.flow.check import check_flow, check_named, load_catalogue, require_proven
from dialer.flow.disclosure import disclosing_word
from dialer.flow.errors import FlowError
from dialer.flow.graph import bounds
from dialer.flow.model import Flow, flow_names, load_named
from dialer.flow.pay_prompts import default_prompts
from dialer.flow.prompts import Prompt, Prompts
from dialer.flow.waiting_prompts import WAITING_PROMPTS


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


# --- who waits for a person ---------------------------------------------------------------------

WAITING = {key: texts("en").by_key[key] for key in WAITING_PROMPTS}
TO_AN_AGENT = ("nodes.again.then", "help"), ("nodes.help", {"type": "agent", "nobody": "end"})


def _waiting(**changes: Any) -> list[tuple[str | None, str]]:
    return _problems(*TO_AN_AGENT, texts_en=WAITING | changes, texts_es=WAITING)


def test_what_is_said_to_who_waits_is_there_and_neutral() -> None:
    assert _waiting() == []
    wrong = ("help", "waiting")
    assert _waiting(queue_next=None) == [wrong]
    assert _waiting(queue_next="You are number {position}.") == [wrong]
    assert _waiting(queue_position="Please wait.") == [wrong]
    assert _waiting(queue_wait="We speak of your debt in a moment.") == [wrong]
    assert _waiting(queue_wait=Prompt("queue_wait", "Please wait.", discloses=True)) == [wrong]


def test_a_flow_without_agents_needs_none_of_it() -> None:
    assert _problems() == []


def test_nothing_is_concluded_on_the_way_of_nobody() -> None:
    """The end may conclude, where the agent node has not."""
    end = ("nodes.end.outcome", "callback")
    keep = ("nodes.hello.on_timeout", {"then": "end"})
    assert ("help", "one_outcome") not in _problems(
        *TO_AN_AGENT, end, keep, texts_en=WAITING, texts_es=WAITING
    )
    noted = ("nodes.help", {"type": "agent", "next": "end"})
    assert ("help", "one_outcome") in _problems(
        TO_AN_AGENT[0], noted, end, texts_en=WAITING, texts_es=WAITING
    )


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"next": "end", "nobody": "end"},
        {"next": "end", "skill": "a b"},
        {"next": "end", "priority": 10},
    ],
)
def test_an_agent_node_that_is_none(node: dict[str, Any]) -> None:
    raw = copy.deepcopy(SOUND)
    raw["nodes"]["help"] = {"type": "agent", **node}
    with pytest.raises(ValueError, match="help"):
        Flow.model_validate(raw)
