"""The texts of messages in the browser: looked at, changed in their file, brought back; and what a
text has to say."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from console_world import campaign, debtor
from fixtures_site import Client, Site, make_site
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from dialer.config import ROOT, Settings
from dialer.domain.model import FallbackStep, StepKind
from dialer.messaging import editing
from dialer.messaging.duties import Duty, costly_letters, duties_of
from dialer.messaging.editing import ChangedMeanwhile
from dialer.messaging.templates import MessageTemplateError, render_message
from dialer.store import tables as t

pytestmark = pytest.mark.database("sqlite")
SHIPPED = ROOT / "ivr_flows"
VALUES = {"company": "Acme", "callback": "+34910000000", "link": "https://x.es/p/1"}
NEW = "{{ company }}: llame al {{ callback }} o {{ link }}\nBAJA o STOP"
TEXT = "/texts/es/missed_call"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    target = tmp_path / "flows"
    shutil.copytree(SHIPPED, target)
    return target / "messages"


@pytest.fixture
def own(database: Engine, redis_url: str, tmp_path: Path, folder: Path) -> Site:
    """A site with texts of its own."""
    home = Settings(
        home=tmp_path, redis_url=redis_url, flows_dir=folder.parent, sms_price="0.065 EUR"
    )
    return make_site(home, database)


# --- the file -------------------------------------------------------------------------------


def test_a_change_leaves_the_rest_of_the_file_as_it_was(folder: Path) -> None:
    path = folder / "es.yaml"
    before = path.read_text()
    source = editing.source_of(folder, "es", "missed_call")
    editing.write_source(folder, "es", "missed_call", NEW, editing.mark_of(source))
    after = path.read_text()
    assert render_message("missed_call", "es", VALUES, folder).startswith("Acme: llame al +34910")
    assert [line for line in before.split("\n") if line.startswith(("#", "  #"))] == [
        line for line in after.split("\n") if line.startswith(("#", "  #"))
    ]
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    assert {key for key in old if old[key] != new[key]} == {"missed_call"}
    editing.write_source(folder, "es", "missed_call", source, editing.mark_of(NEW))
    for one in yaml.safe_load(before):
        assert render_message(one, "es", VALUES | dict.fromkeys(
            ("amount", "date", "receipt", "auth_code", "last_four"), "1"
        ), folder) == render_message(one, "es", VALUES | dict.fromkeys(
            ("amount", "date", "receipt", "auth_code", "last_four"), "1"
        ), SHIPPED / "messages")  # fmt: skip
    assert list(folder.glob(".*")) == []


def test_of_two_who_change_it_the_second_is_told(folder: Path) -> None:
    mark = editing.mark_of(editing.source_of(folder, "en", "apology"))
    editing.write_source(folder, "en", "apology", "first", mark)
    with pytest.raises(ChangedMeanwhile):
        editing.write_source(folder, "en", "apology", "second", mark)
    assert editing.source_of(folder, "en", "apology") == "first"


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="abñ €:#|>-'\"{}[]&*!%@`,?\\\n\tx", max_size=40))
def test_whatever_is_written_comes_back_or_nothing_changes(text: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copy(SHIPPED / "messages/es.yaml", folder)
        before = (folder / "es.yaml").read_text()
        wanted = editing.tidy(text)
        mark = editing.mark_of(editing.source_of(folder, "es", "apology"))
        try:
            editing.write_source(folder, "es", "apology", wanted, mark)
        except MessageTemplateError:
            assert (folder / "es.yaml").read_text() == before
        else:
            assert editing.source_of(folder, "es", "apology") == wanted
            assert editing.source_of(folder, "es", "payment_link_after")


@pytest.mark.parametrize(
    "text",
    ["{{ 'x' * 10**9 }}", "{% for a in range(9) %}x{% endfor %}", "{{ company.upper() }}",
     "{% set a = 1 %}", "{{ company", "{% include 'x' %}", "{{ self }}{{ 1 }}"],
)  # fmt: skip
def test_a_text_is_no_program(text: str) -> None:
    with pytest.raises(MessageTemplateError):
        editing.check_places(text)


# --- what it has to say ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "text", "lacks"),
    [
        ("missed_call", "Acme: +34910000000 BAJA o STOP", set()),
        ("missed_call", "+34910000000 BAJA o STOP", {Duty.WHO}),
        ("missed_call", "Acme BAJA o STOP", {Duty.BACK}),
        ("missed_call", "Acme +34910000000 BAJA", {Duty.STOP}),
        ("missed_call", "Acme +34910000000 NONSTOP BAJA", {Duty.STOP}),
        ("missed_call", "Acme: pague su deuda https://x.es/p/1 BAJA STOP", {Duty.NO_DEBT}),
        ("missed_call", "Acme: https://x.es/p/1/pago BAJA STOP", set()),
        ("own_text", "Acme: 20 EUR https://x.es/p/1 BAJA STOP", {Duty.NO_DEBT}),
        ("payment_receipt", "Acme: pago de 1 EUR +34910000000 BAJA/STOP", set()),
    ],
)
def test_what_is_missing_is_found(template: str, text: str, lacks: set[Duty]) -> None:
    found = duties_of(template, text, "Acme", "+34910000000", "https://x.es/p/1")
    assert {one.duty for one in found if not one.kept} == lacks


def test_letters_that_cost_are_named() -> None:
    assert costly_letters("Sí, año € [ñ] ¿qué? más") == ["á", "í"]


# --- pages ----------------------------------------------------------------------------------


def change(client: Client, text: str, **more: str) -> str:
    mark = client.get(TEXT).text.partition('name="mark" value="')[2].partition('"')[0]
    answer = client.post(TEXT, {"text": text, "mark": mark, **more})
    return answer.text if answer.status_code != 302 else client.get(TEXT).text


def test_it_is_looked_at_saved_and_brought_back(own: Site, folder: Path) -> None:
    ana = debtor(own)
    steps = (FallbackStep(StepKind.SMS, template="missed_call"),)
    campaign(own, own.acme, "cobro", fallback=steps)
    client = own.client("admin")
    listed = client.get("/texts").text
    assert "After a call that was hung up" in listed and "cobro" in listed
    page = client.get(f"{TEXT}?debtor={ana}").text
    assert "Acme: le hemos llamado" in page and "0.065 EUR a message" in page
    assert "of 160 places of one SMS" in page
    looked = change(client, NEW.replace("llame", "llámenos aquí"), look="1")
    assert "an SMS holds 70 instead of 160: á í" in looked and "0.13 EUR a message" in looked
    assert "le hemos llamado" in editing.source_of(folder, "es", "missed_call"), "only looked at"
    refused = change(client, "{{ company }}: su deuda, {{ link }}")
    assert "deuda</q>" in refused and "It says how to have no more of them" in refused
    assert "le hemos llamado" in editing.source_of(folder, "es", "missed_call")
    saved = change(client, NEW)
    assert "The next message says so." in saved and "found in the file" in saved
    assert editing.source_of(folder, "es", "missed_call") == NEW
    with own.engine.connect() as c:
        old = c.execute(select(t.text_version).order_by(t.text_version.c.id)).first()
        trail = c.execute(select(t.audit).where(t.audit.c.action == "text.change")).one()
    assert old is not None and old.user_id is None and trail.after == {"text": NEW}
    client.post(f"{TEXT}/back/{old.id}")
    assert "le hemos llamado" in editing.source_of(folder, "es", "missed_call")
    assert client.post(f"{TEXT}/back/999").status_code == 404


def test_a_stale_page_does_not_overwrite(own: Site, folder: Path) -> None:
    client = own.client("admin")
    answer = client.post(TEXT, {"text": NEW, "mark": "0" * 16})
    assert answer.status_code == 302 and "changed it meanwhile" in client.get(TEXT).text
    assert editing.source_of(folder, "es", "missed_call") != NEW
    with own.engine.connect() as c:
        assert c.execute(select(t.text_version)).all() == [], "nor is there a version of it"


def test_who_sees_one_company_reads_and_no_secret_link_is_shown(own: Site, folder: Path) -> None:
    debtor(own, own.other)
    for who in ("super", "auditor"):
        page = own.client(who).get(TEXT).text
        assert "<textarea" not in page and "As a debtor reads it" in page
        assert "/p/xxxxxxxx" in page
    assert "Ana López" not in own.client("super").get(TEXT).text, "she is another company's"
    assert own.client("super").post(TEXT, {"text": NEW}).status_code == 403
    assert own.client("super").get("/texts/es/nothing").status_code == 404
    assert own.client("super").get("/texts/..%2f..%2fetc/x").status_code == 404


def test_a_folder_that_is_read_only_is_said_to_be(
    own: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "is_writable", lambda *_: False)
    page = own.client("admin").get(TEXT).text
    assert "<textarea" not in page and "DIALER_FLOWS_DIR" in page
