"""What messages say, how long they are, where their links lead, what answers mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from fixtures_messaging import settings_for
from hypothesis import given
from hypothesis import strategies as st

from dialer.messaging.links import make_link, make_token, read_link
from dialer.messaging.replies import Reply, classify_reply
from dialer.messaging.sms_length import SmsLength, sms_length
from dialer.messaging.templates import (
    AFTER_PAYMENT,
    FOLDER,
    RECEIPT,
    MessageTemplateError,
    campaign_templates,
    check_templates,
    render_message,
    template_names,
)

VALUES = {
    "company": "Financiera Ejemplo",
    "callback": "+34910000000",
    "link": "https://pagos.example.es/p/AeJA.J7y8TaraFRm-1nu_",
}
LANGUAGES = [path.stem for path in sorted(FOLDER.glob("*.yaml"))]
DEBT = re.compile(
    r"deud|pago|pagar|debe|debid|import|saldo|venc|cobr|moros|recib(?!ir)|factur|impag|cuota|"
    r"debt|owe|owing|pay|amount|balance|due|overdue|arrear|collect|bill|€|\beur\b",
    re.IGNORECASE,
)


def test_the_shipped_texts_are_sound() -> None:
    assert LANGUAGES == ["en", "es"]
    assert check_templates() == []
    for language in LANGUAGES:
        assert campaign_templates(language) == {"missed_call", "apology", "payment_link"}
        assert template_names(language) - campaign_templates(language) == AFTER_PAYMENT.keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", ["missed_call", "apology", "payment_link"])
def test_one_sms_with_everything_in_it(language: str, template: str) -> None:
    text = render_message(template, language, VALUES)
    assert sms_length(text).encoding == "gsm7"
    assert sms_length(text).segments == 1
    for needed in (*VALUES.values(), "STOP", "BAJA"):
        assert needed in text
    assert f"{VALUES['link']} " in text, "nothing sticks to the link"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", ["missed_call", "apology", "payment_link"])
def test_no_word_of_a_debt(language: str, template: str) -> None:
    """Somebody else may read it: neither a debt nor an amount, before or after identity."""
    text = render_message(template, language, {**VALUES, "company": "X", "link": "L"})
    assert DEBT.search(text) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receipt_is_one_sms_and_says_what_was_paid(language: str) -> None:
    values = {**VALUES, **RECEIPT, "amount": "12345.67 EUR", "auth_code": "A1B2C3"}
    text = render_message("payment_receipt", language, {**values, "last_four": "4242"})
    assert (sms_length(text).encoding, sms_length(text).segments) == ("gsm7", 1)
    for needed in ("12345.67 EUR", "*4242", "A1B2C3", RECEIPT["receipt"], RECEIPT["date"]):
        assert needed in text
    assert re.search(r"deud|debe|moros|impag|debt|owe|overdue|arrear", text) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receipt_without_card_or_code_has_no_empty_places(language: str) -> None:
    text = render_message("payment_receipt", language, {**VALUES, **RECEIPT})
    assert re.search(r"\*|[Aa]ut|  | \.", text) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_after_is_one_sms_and_names_no_amount(language: str) -> None:
    text = render_message("payment_link_after", language, VALUES)
    assert (sms_length(text).encoding, sms_length(text).segments) == ("gsm7", 1)
    assert f"{VALUES['link']} " in text
    assert DEBT.search(text.replace(VALUES["link"], "")) is None


def test_a_region_falls_back_to_its_language() -> None:
    assert render_message("missed_call", "es-MX", VALUES) == render_message(
        "missed_call", "es", VALUES
    )


def test_values_cannot_break_out_of_their_place() -> None:
    tricky = {**VALUES, "company": "A\nB {{ link }} {% raw %}"}
    text = render_message("missed_call", "es", tricky)
    assert text.startswith("A B {{ link }} {% raw %}: ")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"template": "reminder"},
            "no message template 'reminder' in 'es': use one of apology, missed_call",
        ),
        ({"language": "fr"}, "no message texts in 'fr'.*there are: en, es"),
        ({"values": {"company": "X", "callback": "1"}}, "'link' is undefined"),
    ],
)
def test_what_is_missing_is_named(change: dict[str, object], said: str) -> None:
    asked: dict[str, object] = {"template": "missed_call", "language": "es", "values": VALUES}
    with pytest.raises(MessageTemplateError, match=said):
        render_message(**(asked | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a list", "write a mapping"),
        ("hello: just text", "hello needs a 'text'"),
        ("hello: {text: ' {{ company '}", "no valid template"),
        ("hello: {text: ' '}", "gives 0 characters"),
        ("hello: {text: '{{ company * 1000 }}'}", "1 to 1600"),
        ("hello: {text: 'without a way out'}", "does not say how to stop"),
        ("hello: [", "cannot be read"),
    ],
)
def test_texts_of_ones_own_are_checked(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "es.yaml").write_text(content, encoding="utf-8")
    (wrong,) = check_templates(tmp_path)
    assert said in wrong


def test_a_text_that_was_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "es.yaml"
    for text in ("first", "the second"):
        path.write_text(yaml.safe_dump({"t": {"text": text}}))
        assert render_message("t", "es", {}, tmp_path) == text


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", SmsLength("gsm7", 0, 1)),
        ("a" * 160, SmsLength("gsm7", 160, 1)),
        ("a" * 161, SmsLength("gsm7", 161, 2)),
        ("a" * 306, SmsLength("gsm7", 306, 2)),
        ("a" * 307, SmsLength("gsm7", 307, 3)),
        ("€" * 80, SmsLength("gsm7", 160, 1)),
        ("€" * 81, SmsLength("gsm7", 162, 2)),
        ("a" * 152 + "€" + "b" * 152, SmsLength("gsm7", 306, 3)),  # € is not parted
        ("éñü¿¡Ç", SmsLength("gsm7", 6, 1)),
        ("á", SmsLength("ucs2", 1, 1)),
        ("í" * 70, SmsLength("ucs2", 70, 1)),
        ("í" * 71, SmsLength("ucs2", 71, 2)),
        ("í" + "\N{WAVING HAND SIGN}" * 35, SmsLength("ucs2", 71, 2)),
    ],
)
def test_length(text: str, length: SmsLength) -> None:
    assert sms_length(text) == length


@given(st.text(max_size=400))
def test_a_longer_text_never_takes_less(text: str) -> None:
    whole = sms_length(text)
    assert whole.segments >= sms_length(text[:-1]).segments
    assert whole.segments <= max(1, -(-whole.units // 66))


def test_links_are_short_and_stay_the_same(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, public_url="https://pagos.example.es")
    link = make_link(settings, 123456)
    assert link.startswith("https://pagos.example.es/p/")
    assert len(link) < 50
    assert make_link(settings, 123456) == link
    assert read_link(settings, link.rpartition("/")[2]) == 123456
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", link.rpartition("/")[2])
    elsewhere = settings_for(tmp_path, pay_link_base="https://p.example.es/x/")
    assert make_link(elsewhere, 1).startswith("https://p.example.es/x/")


@pytest.fixture(scope="module")
def link_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("links")


@given(st.integers(1, 2**63 - 1), st.integers(0, 200), st.characters(codec="ascii"))
def test_a_token_that_was_changed_opens_nothing(
    link_home: Path, account: int, place: int, other: str
) -> None:
    settings = settings_for(link_home)
    token = make_token(settings, account)
    assert read_link(settings, token) == account
    place %= len(token)
    changed = token[:place] + other + token[place + 1 :]
    assert read_link(settings, changed) == (account if changed == token else None)


@given(st.text(max_size=100))
def test_rubbish_opens_nothing(link_home: Path, token: str) -> None:
    assert read_link(settings_for(link_home), token) is None


def test_another_installation_has_other_links(tmp_path: Path) -> None:
    here, there = settings_for(tmp_path / "a"), settings_for(tmp_path / "b")
    assert read_link(there, make_token(here, 5)) is None


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", "stop", " Stop. ", "¡STOP!", "Stop please", "STOP BAJA", "unsubscribe", "Quit"),
        *("BAJA", "baja", "Baja, por favor", "dar de baja", "Quiero darme de baja", "De baja ya"),
        *("NO", "no", "No.", "NO MÁS", "no mas", "Alto", "PARAR", "Pare", "para", "Cancelar"),
        *("cancelar!!", "Basta", "¡Basta ya!", "DESUSCRIBIR", "No me llamen más", "no llamen"),
        *("No me escriban", "NO ME MANDEN MENSAJES", "no envíen más sms", "no me molesten"),
        *("Dejen de llamarme", "no quiero recibir mensajes", "Eliminar", "Salir", "fin"),
        *("don't call me", "Do not text me again", "opt-out", "OPTOUT", "take me off your list"),
        *("Remove me", "stop calling", "ＳＴＯＰ", "S\u0301top", "revoke", "end", "No, gracias"),
    ],
)
def test_a_stop_in_many_words(text: str) -> None:
    assert classify_reply(text) is Reply.STOP


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, Reply.START) for text in ("START", "alta", "Dar de alta", "Unstop")),
        *((text, Reply.HELP) for text in ("AYUDA", "info", "¿Ayuda?", "Información")),
        *(
            (text, Reply.OTHER)
            for text in (
                *("", "   ", "Hola", "Ya he pagado", "¿Quién es?", "si", "👍", "Llámenme mañana"),
                *("No he recibido la factura", "No soy yo", "para pagar qué hago", "nones"),
                *("La semana que viene", "estopa", "bajaré mañana"),
            )
        ),
    ],
)
def test_other_answers(text: str, kind: Reply) -> None:
    assert classify_reply(text) is kind


@given(st.text(max_size=200))
def test_any_text_has_a_meaning(text: str) -> None:
    assert classify_reply(text) in Reply
