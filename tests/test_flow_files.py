"""Flow and prompt files as people write them, and what they are told when they err."""

from __future__ import annotations

from pathlib import Path

import pytest
from flows import FLOWS, facts, shipped, texts

from dialer.domain.model import Money
from dialer.flow.drawing import draw
from dialer.flow.errors import FlowError
from dialer.flow.fragments import Fragment, words
from dialer.flow.model import flow_names, load_flow, load_named
from dialer.flow.nodes import Menu
from dialer.flow.nodes.identity import factor_of
from dialer.flow.pay_prompts import PAY_PLACEHOLDERS
from dialer.flow.prompts import (
    Prompt,
    company_fragment,
    load_prompts,
    name_fragment,
    prompt_texts,
    spoken,
)
from dialer.flow.telephone import national_digits
from dialer.flow.values import State
from dialer.flow.waiting_prompts import WAITING_PROMPTS, waiting_fragments
from dialer.flow.words import amount_fragments

GOOD = """
start: ask
questions: {tries: 2, on_timeout: {then: bye}}
nodes:
  ask: {type: menu, say: hello, keys: {1: bye, "*": repeat}, on_wrong_key: {then: bye}}
  bye: {type: end, say: bye}
"""


def _flow(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_of_questions_reach_every_question(tmp_path: Path) -> None:
    flow = load_flow(_flow(tmp_path, GOOD))
    ask = flow.nodes["ask"]
    assert isinstance(ask, Menu)
    assert (ask.tries, ask.on_timeout.then, ask.repeats) == (2, "bye", 3)
    assert ask.keys == {"1": "bye", "*": "repeat"}
    assert flow.name == "mine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: menu", "type: quiz", "node ask: type 'quiz' is not one of"),
        ("type: menu, ", "", "node ask: type is missing: add it"),
        ("say: hello", "shout: hello", "node ask: shout: is not known here: remove it"),
        ("say: hello, ", "", "node ask: say: is missing: add it"),
        ("{1: bye,", "{12: bye,", "node ask: keys.12"),
        ("tries: 2", "tries: 0", "node ask: tries: Input should be greater than or equal to 1"),
        ("tries: 2", "tires: 2", "questions: no question knows 'tires': remove it"),
        ("start: ask", "begin: ask", "begin: is not known here"),
        ("  bye: {", "  ask: {", "line 6: 'ask' is there twice: rename or remove one"),
        ("  bye: {", "  bye: [", "line 6"),
        ("start: ask", "start: ask\nname: other", "name: must be the file's name, 'mine'"),
        ("  bye: {type: end", "  repeat: {type: end", "node repeat: the name means asking again"),
        ("hello", "Hello There", "node ask: say.0.prompt"),
    ],
)
def test_a_mistake_is_told_with_file_node_and_what_to_do(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = _flow(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(FlowError) as caught:
        load_flow(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("say: hello", "shout: hello").replace("start: ask\n", "")
    with pytest.raises(FlowError) as caught:
        load_flow(_flow(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("text", ["", "- a list", "just words"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(FlowError, match="must be a mapping"):
        load_flow(_flow(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="cannot be read"):
        load_flow(tmp_path / "gone.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes("title: avisó".encode("latin-1"))
    with pytest.raises(FlowError, match="UTF-8"):
        load_flow(path)


def test_a_flow_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="there are abandoned, inbound, machine, reminder"):
        load_named(FLOWS, "../secrets")
    assert flow_names(tmp_path) == []


# --- prompts ----------------------------------------------------------------------------------


def _prompts(tmp_path: Path, text: str) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "es.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bad Key: hola", "a key is made of small letters"),
        ("a: 3", "must be a text"),
        ("a: {words: hola}", "must be a text"),
        ("a: {text: hola, loud: true}", "loud is not known here"),
        ("a: {text: hola, discloses: perhaps}", "discloses: must be true or false"),
        ("a: '...'", "has no words"),
        ("a: 'hola {company'", "a brace is open"),
        ("a: hola\na: adiós", "twice"),
    ],
)
def test_a_mistake_in_a_prompt_is_told(tmp_path: Path, text: str, said: str) -> None:
    _prompts(tmp_path, text)
    with pytest.raises(FlowError) as caught:
        load_prompts(tmp_path, "es")
    assert said in str(caught.value)
    assert "es.yaml" in str(caught.value)


def test_a_prompt_is_cut_at_its_placeholders() -> None:
    prompt = Prompt("p", "{company}: debe {amount}, desde el {due_date}. ¿Vale?")
    assert prompt.parts == (
        "company", Fragment("p-1", "debe"), "amount", Fragment("p-2", "desde el"), "due_date",
        Fragment("p-3", "¿Vale?"),
    )  # fmt: skip
    assert Prompt("p", "Hola.").parts == (Fragment("p", "Hola."),)


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("variant", ["", "named"])
def test_everything_that_can_be_said_is_among_what_is_rendered(language: str, variant: str) -> None:
    rendered = prompt_texts(
        FLOWS, language, {"company": ["Banco Ejemplo"], "debtor_name": ["Carmen Ruiz"]}
    )
    one = facts(language, variant)
    state = State(facts=one, identified=True, promised=one.today)
    for key, prompt in texts(language).by_key.items():
        if "debtor_name" in prompt.placeholders and variant != "named":
            with pytest.raises(FlowError, match="has no value"):
                spoken(texts(language), key, state)
            continue
        if PAY_PLACEHOLDERS & set(prompt.placeholders):
            continue  # said with the values of a payment: see test_pay_prompting
        if key in WAITING_PROMPTS:
            said = waiting_fragments(texts(language), [key], position=27)
            assert all(rendered[part.key] == part.text for part in said)
            continue
        for part in spoken(texts(language), key, state):
            assert rendered[part.key] == part.text


def test_the_amount_is_said_with_rendered_fragments() -> None:
    state = State(facts=facts(), identified=True)
    keys = [one.key for one in spoken(texts("es"), "disclosure", state)]
    money = amount_fragments(Money(123456, "EUR"), "es")
    start = keys.index(money[0])
    assert keys[start : start + len(money)] == money
    said = words(spoken(texts("es"), "disclosure", state))
    assert "mil doscientos treinta y cuatro euros con cincuenta y seis céntimos" in said


def test_another_spoken_name_is_another_sound() -> None:
    assert company_fragment("Banco Uno") != company_fragment("Banco Dos")
    assert company_fragment("Banco Uno").key.startswith("company/")


def test_a_debtors_name_does_not_show_in_its_file() -> None:
    key = name_fragment("Carmen Ruiz").key
    assert "carmen" not in key.lower()


@pytest.mark.parametrize(
    ("document", "factor"),
    [
        ("12345678Z", "5678"),
        ("X1234567L", "4567"),
        ("GODE561231HDFRRN09", "3109"),
        ("1234", "1234"),
        ("AB123", None),
        ("", None),
        ("١٢٣٤٥", None),
    ],
)
def test_the_factor_is_the_last_four_digits(document: str, factor: str | None) -> None:
    assert factor_of(document) == factor


@pytest.mark.parametrize(
    ("number", "digits"),
    [("+34910000000", "910000000"), ("+442079460000", "02079460000"), ("0800 12", "080012")],
)
def test_a_number_is_said_as_its_country_dials_it(number: str, digits: str) -> None:
    assert national_digits(number) == digits


# --- the drawing ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reminder", "second_try", "machine"])
def test_the_drawing_shows_every_node_apart_from_the_others(name: str) -> None:
    import re
    from xml.etree import ElementTree as ET

    drawing = draw(shipped(name), texts("es"))
    root = ET.fromstring(drawing)
    shown = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(shipped(name).nodes) <= shown
    boxes = [
        tuple(float(v) for v in found)
        for found in re.findall(
            r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)" rx="8"', drawing
        )
    ]
    assert len(boxes) == len(shipped(name).nodes)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
