"""What the product's parts say is said in Spanish too: every code of every part."""

from __future__ import annotations

import ast
import importlib
import pickle
import pkgutil
import re
from collections import defaultdict
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from flask import Flask, g

import dialer
from dialer.domain.said import Code, Said, heard, of_error
from dialer.domain.sending_says import Undelivered, Unmailed
from dialer.messaging.preview import preview
from dialer.store.campaign_file import PlanError, campaign_of
from dialer.store.companies import NotPossible
from dialer.store.plan_says import PlanSays
from dialer.store.refusals import Why, WhyNobody
from dialer.webhooks.addresses import AddressError, check_url
from web.console.campaign_words import refused
from web.console.user_form import refusal_text
from web.ui.said import error_text, in_words
from web.ui.words import WORDS, translations

_PLACE = re.compile(r"%\(\w+\)[a-z]|%%")


def _parts() -> list[type[Code]]:
    """Every part that says something: those of modules nobody has imported yet too."""
    for module in pkgutil.walk_packages(dialer.__path__, "dialer."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return list(Code.__subclasses__())


CODES = [code for part in _parts() for code in part]


def test_every_code_is_said_in_spanish() -> None:
    spanish = translations("es")._catalog
    missing = [f"{type(code).__name__}.{code.name}" for code in CODES if code.value not in spanish]
    assert CODES and missing == []


@pytest.mark.parametrize("path", sorted(WORDS.glob("said_*.po")), ids=lambda path: str(path.name))
def test_the_spanish_is_of_a_code_and_fills_in_the_same(path: object) -> None:
    known = {code.value for code in CODES}
    with path.open("rb") as file:  # type: ignore[attr-defined]
        for message in read_po(file, locale="es"):
            if message.id:
                assert message.id in known, "nobody says this"
                assert message.string
                assert sorted(_PLACE.findall(str(message.string))) == sorted(
                    _PLACE.findall(str(message.id))
                ), message.id


def test_no_two_codes_of_a_part_say_the_same() -> None:
    """Of two members with one value, an enumeration makes one."""
    for part in _parts():
        names = defaultdict(list)
        for name, code in part.__members__.items():
            names[code.value].append(name)
        assert [several for several in names.values() if len(several) > 1] == [], part


def _spanish(text: str) -> str:
    app = Flask(__name__)
    with app.test_request_context():
        g.language = "es"
        return in_words(text)


def test_a_sentence_is_english_for_programs_and_keeps_its_values() -> None:
    said = PlanSays.LIKE_A_SHARE.say(given="much")
    assert said == "write a share like 3 % or 0.03, not 'much'"
    assert said.code is PlanSays.LIKE_A_SHARE and said.values == {"given": "much"}
    assert _spanish(said) == "escriba la proporción como 3 % o 0.03, no 'much'"
    kept = pickle.loads(pickle.dumps(said))  # noqa: S301 - our own
    assert isinstance(kept, Said) and kept.values == said.values
    assert _spanish("of a carrier") == "of a carrier"


def test_an_error_says_what_it_was_raised_with() -> None:
    said = PlanSays.RING.say()
    assert of_error(ValueError(said)) is said
    app = Flask(__name__)
    with app.test_request_context():
        g.language = "es"
        assert error_text(ValueError(said)).startswith("entre 5 y 120")
        assert error_text(ValueError("no more")) == "no more"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max_concurrent": "0"}, "llamadas a la vez: debe ser 1 o más."),
        ({"max_concurrent": "x"}, "llamadas a la vez: debe ser un número entero."),
        ({"calls_per_second": "0"}, "llamadas por segundo: debe ser más de 0."),
        ({"calls_per_second": "x"}, "llamadas por segundo: debe ser un número."),
        ({"name": "ñ?"}, "nombre: tiene signos que aquí no valen"),
        ({"window": ["sun 25:00-26:00"]}, "horario: 25:00, en el horario 'sun 25:00-26:00', no"),
        ({"agents": {"mode": "x"}}, "modo de marcación: debe ser uno de estos valores"),
        ({"holidays": {"also": ["soon"]}}, "días sin llamadas: escriba cada fecha como"),
    ],
)
def test_what_a_form_may_get_wrong_is_spanish(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(PlanError) as raised:
        campaign_of({"name": "One", "flow": "reminder", "pool": "main"} | wrong)
    told = [_spanish(one) for one in raised.value.problems]
    assert len(told) == 1 and told[0].startswith(says), told


def test_what_cannot_be_done_is_always_raised_with_a_code() -> None:
    """A page could not say any other in the viewer's language."""
    bare = []
    for path in sorted(Path(dialer.__path__[0]).rglob("*.py")):
        if path.parent.name in ("commands", "simulation"):
            continue  # the command line is English
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "NotPossible"
                and not (
                    isinstance(node.args[0], ast.Call)
                    and isinstance(node.args[0].func, ast.Attribute)
                    and node.args[0].func.attr == "say"
                )
            ):
                bare.append(f"{path.name}:{node.lineno}")
    assert bare == []


def test_a_refusal_is_told_by_its_code_in_spanish() -> None:
    error = NotPossible(Why.CAMPAIGN_TAKEN.say(name="June"))
    assert str(error) == "there is a campaign 'June' already; names are for ever"
    app = Flask(__name__)
    with app.test_request_context():
        g.language = "es"
        assert error_text(error).startswith("Ya hay una campaña 'June'")
        taken = WhyNobody.AGENT_TAKEN.say(login="ana")
        assert refusal_text(NotPossible(taken)) == {"agent": "Ya hay un agente 'ana'."}
        unknown = NotPossible(WhyNobody.NO_COMPANY_ID.say(id=9))
        assert refusal_text(unknown) == {"": "No existe la empresa 9."}
        assert refused(error).startswith("Ya hay una campaña")


def test_what_a_check_finds_has_a_code() -> None:
    """But for names and versions, which are the same in every language."""
    bare = []
    folder = Path(dialer.__path__[0]) / "local"
    for path in [*sorted((folder / "checks").glob("*.py")), folder / "doctor.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in ("ok", "warning", "fault"):
                bare += [
                    f"{path.name}:{node.lineno}"
                    for part in node.args
                    for one in ast.walk(part)
                    if isinstance(one, ast.Constant) and re.search("[a-z]{3}", str(one.value))
                ]
    assert bare == []


def test_what_was_kept_as_its_text_has_its_code_again() -> None:
    for part in (Undelivered, Unmailed):
        for code in part:
            values = {name: f"a-{name}" for name in re.findall(r"%\((\w+)\)", code.value)}
            again = heard(str(code.say(**values)), part)
            assert isinstance(again, Said) and again.code is code and again.values == values
    cut = Unmailed.ANSWERED.say(code=550, text="no " * 90)[:200]
    assert _spanish(heard(cut, Unmailed)).startswith("el servidor dijo 550 no no")
    assert heard("SomethingElse", Undelivered) == "SomethingElse"


def test_an_address_that_will_not_do_is_told_in_spanish() -> None:
    with pytest.raises(AddressError) as raised:
        check_url("http://crm.example.com", [])
    assert str(raised.value) == "only https is taken"
    assert _spanish(of_error(raised.value)) == "solo vale https"


def test_what_is_wrong_with_a_messages_text_is_told_in_spanish() -> None:
    seen = preview(Path("none"), "es", "missed_call", {}, "{% for one in link %}{% endfor %}")
    assert seen.fault == "a text has words, {{ places }} and {% if place %} only, no for"
    assert _spanish(seen.fault) == (
        "un texto solo lleva palabras, {{ lugares }} y {% if lugar %}; no for"
    )
