"""Lists through the browser: sent, looked at, imported, their rejects fetched."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from fixtures_site import Client, Site
from sqlalchemy import insert, select
from world import plan

from dialer.domain.model import CampaignState
from dialer.importing.preview import headings, told, trial
from dialer.importing.run import Options
from dialer.store import tables as t
from dialer.store import users
from dialer.store.plans import plan_json
from web.console import lists as lists_module
from web.console.uploads import Uploads

HEAD = "dni;nombre;telefono;referencia;importe;moneda;vencimiento"
GOOD = "10000012A;Ana López;600100012;R-1;1.234,56;EUR;31/01/2026"
TWICE = "10000023Z;Luis Ruiz;600100023;R-2;89,90;EUR;15/02/2026"
BAD = "10000034W;Eva Díaz;600100034;R-3;0;EUR;28/02/2026"
LIST = "\n".join((HEAD, GOOD, TWICE, BAD)).encode()


def send(client: Client, data: bytes, place: str, name: str = "lista.csv", **more: Any) -> Any:
    """The form with a file."""
    return client.post(
        "/lists", {"place": place, "file": (io.BytesIO(data), name)},
        content_type="multipart/form-data", **more,
    )  # fmt: skip


def sent(client: Client, data: bytes, place: str, name: str = "lista.csv") -> str:
    """The path of the page that a good file leads to."""
    answer = send(client, data, place, name)
    assert answer.status_code == 302, answer.text
    path = answer.headers["Location"]
    assert re.fullmatch("/lists/[0-9a-f]{32}", path), path
    return str(path)


def load(client: Client, path: str, fields: list[str], **how: str) -> str:
    """Import it, and wait: the page of the result."""
    columns = {f"column-{place}": name for place, name in enumerate(fields)}
    assert client.post(path, {**columns, **how, "do": "import"}).status_code == 302
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if client.get(f"{path}/progress").headers.get("HX-Refresh"):
            return client.get(path).text
        time.sleep(0.05)
    raise AssertionError("the import does not end")


def campaign(site: Site, company_id: int, name: str = "cobro") -> int:
    """A running campaign."""
    now = datetime.now(UTC)
    with site.engine.begin() as c:
        pool = c.execute(
            insert(t.caller_id_pool).values(company_id=company_id, name="p")
        ).inserted_primary_key
        assert pool is not None
        made = c.execute(
            insert(t.campaign).values(
                company_id=company_id, name=name, state=CampaignState.RUNNING.value,
                pool_id=pool[0], plan=plan_json(plan(name=name)), created_at=now, started_at=now,
            )
        ).inserted_primary_key  # fmt: skip
    assert made is not None
    return int(made[0])


FIELDS = ["document", "name", "phone", "reference", "amount", "currency", "due"]


def test_a_list_goes_all_the_way(site: Site) -> None:
    """Sent, looked at, imported into a campaign, its rejects fetched, and again without effect."""
    made = campaign(site, site.acme)
    boss = site.client("super")
    path = sent(boss, LIST, f"campaign:{made}")
    page = boss.get(path).text
    assert "Ana López" in page
    assert "€1,234.56" in page
    assert "The amount is zero: nothing is owed" in page
    assert "cobro" in page
    with site.engine.connect() as c:
        assert c.execute(select(t.debtor)).all() == []  # only looked at
    done = load(boss, path, FIELDS)
    assert "Download these rows" in done
    with site.engine.connect() as c:
        batch = c.execute(select(t.import_batch)).one()
        leads = c.execute(select(t.lead.c.campaign_id)).scalars().all()
        audit = c.execute(select(t.audit).where(t.audit.c.action == "import")).one()
    assert (batch.file_name, batch.rows, batch.accepted, batch.rejected) == ("lista.csv", 3, 2, 1)
    assert leads == [made, made]
    assert audit.actor == f"user:{site.ids['super']}"
    rejects = boss.get(f"/lists/imports/{batch.id}/rejects.csv")
    try:
        assert "R-3" in rejects.text
        assert "nothing is owed" in rejects.text
    finally:
        rejects.close()
    again = load(boss, sent(boss, LIST, f"campaign:{made}"), FIELDS)
    assert re.search(r"Unchanged</dt>\s*<dd>2", again)
    history = boss.get("/lists").text
    assert history.count("lista.csv") == 2
    assert f"/lists/imports/{batch.id}/rejects.csv" in history
    with site.engine.connect() as c:
        fetched = c.execute(select(t.audit).where(t.audit.c.action == "import.rejects")).one()
    assert fetched.target == f"import_batch:{batch.id}"


@pytest.mark.database("sqlite")
def test_the_rejects_say_why_in_the_viewers_words_and_are_loaded_again(site: Site) -> None:
    """The rows stay as they came; what was only worth a look is told as that."""
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
    shared = "10000045F;Eva;600100012 / 123;R-4;10;EUR;31/01/2026"
    boss = site.client("super")
    data = "\n".join((HEAD, GOOD, BAD, shared)).encode()
    path = sent(boss, data, f"company:{site.acme}")
    load(boss, path, FIELDS)
    with site.engine.connect() as c:
        batch = c.execute(select(t.import_batch.c.id)).scalar_one()
    with boss.get(f"/lists/imports/{batch}/rejects.csv") as answer:
        text = answer.data.decode("utf-8-sig")
    rows = {one["referencia"]: one for one in csv.DictReader(io.StringIO(text), delimiter=";")}
    bad, worth = rows["R-3"], rows["R-4"]
    assert (bad["import_status"], bad["import_reasons"]) == (
        "rechazada", "El importe es cero: no se debe nada"
    )  # fmt: skip
    assert ";".join(list(bad.values())[:7]) == BAD
    assert worth["import_status"] == "cargada, conviene mirarla"
    assert set(worth["import_reasons"].split("; ")) == {
        "Uno de varios teléfonos se dejó fuera", "Otro deudor tiene el mismo teléfono"
    }  # fmt: skip
    again = load(boss, sent(boss, answer.data, f"company:{site.acme}"), FIELDS)
    assert re.search(r"Sin cambios</dt>\s*<dd>2", again), "both that share a telephone"


@pytest.mark.database("sqlite")
def test_the_file_lies_where_nobody_reads_it_and_goes(site: Site) -> None:
    boss = site.client("super")
    path = sent(boss, LIST, f"company:{site.acme}")
    folder = site.settings.home / "uploads"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert not any("lista" in one.name for one in folder.iterdir())
    load(boss, path, FIELDS)
    assert list(folder.glob("*.list")) == []
    thrown = sent(boss, LIST, f"company:{site.acme}")
    assert boss.post(f"{thrown}/drop").status_code == 302
    assert list(folder.glob("*.list")) == []
    assert boss.get(thrown).status_code == 404


@pytest.mark.database("sqlite")
def test_a_file_that_nobody_imports_goes_after_a_day(site: Site) -> None:
    boss = site.client("super")
    path = sent(boss, LIST, f"company:{site.acme}")
    folder = site.settings.home / "uploads"
    kept = folder / "import-7.rejects.csv"
    kept.write_text("x")
    for one in folder.iterdir():
        old = time.time() - 25 * 3600
        os.utime(one, (old, old))
    Uploads(site.settings.home).sweep()
    assert list(folder.iterdir()) == [kept]
    assert boss.get(path).status_code == 404


@pytest.mark.database("sqlite")
def test_headings_that_say_nothing_are_chosen_by_hand(site: Site) -> None:
    """Nothing is imported before what is needed is there; then by the columns as chosen."""
    odd = b"uno;dos;tres;cuatro;cinco;seis\n10000012A;Ana;600100012;R-1;12,50;2026-01-31\n"
    boss = site.client("super")
    path = sent(boss, odd, f"company:{site.acme}")
    page = boss.get(path).text
    assert "Say which column is" in page
    assert 'value="import"' not in page
    assert boss.post(path, {"do": "import"}).status_code == 302
    assert "Say which column is" in boss.get(path).text  # still nothing begins
    chosen = ["document", "name", "phone", "reference", "amount", "due"]
    load(boss, path, chosen, currency="MXN")
    with site.engine.connect() as c:
        account = c.execute(select(t.account)).one()
    assert (account.reference, account.amount_minor, account.currency) == ("R-1", 1250, "MXN")


@pytest.mark.database("sqlite")
def test_a_workbook_is_taken_too(site: Site) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEAD.split(";"))
    sheet.append(["10000012A", "Ana", "600100012", "R-1", 12.5, "EUR", datetime(2026, 1, 31)])
    out = io.BytesIO()
    book.save(out)
    boss = site.client("super")
    load(boss, sent(boss, out.getvalue(), f"company:{site.acme}", "lista.xlsx"), FIELDS)
    with site.engine.connect() as c:
        assert c.execute(select(t.account.c.amount_minor)).scalar_one() == 1250


@pytest.mark.database("sqlite")
def test_what_is_no_list_says_so(site: Site) -> None:
    boss = site.client("super")
    for data in (b"", b"%PDF-1.4 nothing", b"PK\x03\x04broken"):
        answer = send(boss, data, f"company:{site.acme}")
        assert answer.headers["Location"] == "/lists"
        assert 'class="flash bad"' in boss.get("/lists").text
    assert list((site.settings.home / "uploads").iterdir()) == []
    told_where = send(boss, LIST, f"company:{site.acme}", headers={"Accept": "application/json"})
    assert told_where.get_json()["go"].startswith("/lists/")


@pytest.mark.database("sqlite")
def test_larger_than_other_requests_but_not_endless(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = site.client("super")
    rows = b"\n".join(
        f"{n:08d}A;Ana;600{n:06d};R-{n};12,50;EUR;2026-01-31".encode() for n in range(3000)
    )
    path = sent(boss, HEAD.encode() + b"\n" + rows, f"company:{site.acme}")
    assert "of the first 1,000" in boss.get(path).text
    monkeypatch.setattr(lists_module, "LARGEST", 10_000)
    assert send(boss, LIST + rows, f"company:{site.acme}").status_code == 413
    other = boss.http.post("/account", data={"language": "x" * 100_000})
    assert other.status_code == 413  # elsewhere the old limit holds


@pytest.mark.database("sqlite")
def test_only_their_own(site: Site) -> None:
    """Another company's lists, campaigns and rejects are not there; an auditor only looks."""
    made = campaign(site, site.acme)
    boss, rival = site.client("super"), site.client("rival")
    path = sent(boss, LIST, f"company:{site.acme}")
    assert rival.get(path).status_code == 404
    assert rival.get(f"{path}/progress").status_code == 404
    assert rival.post(path, {"do": "import"}).status_code == 404
    assert rival.post(f"{path}/drop").status_code == 404
    for place in (f"company:{site.acme}", f"campaign:{made}", "", "company:999"):
        assert send(rival, LIST, place).status_code == 404
    load(boss, path, FIELDS)
    with site.engine.connect() as c:
        batch = c.execute(select(t.import_batch.c.id)).scalar_one()
    assert rival.get(f"/lists/imports/{batch}/rejects.csv").status_code == 404
    assert "lista.csv" not in rival.get("/lists").text
    looks = site.client("auditor")
    assert "lista.csv" in looks.get("/lists").text
    with looks.get(f"/lists/imports/{batch}/rejects.csv") as rejects:
        assert rejects.status_code == 200
    assert send(looks, LIST, f"company:{site.acme}").status_code == 403
    assert site.client("agent").get("/lists").status_code == 403


@pytest.mark.database("sqlite")
def test_an_import_that_lost_its_process_can_run_again(site: Site) -> None:
    boss = site.client("super")
    path = sent(boss, LIST, f"company:{site.acme}")
    uploads = Uploads(site.settings.home)
    one = uploads.find(path.rpartition("/")[2])
    assert one is not None
    uploads.note(one, stage="running")
    assert "Being loaded" in boss.get(path).text
    note = site.settings.home / "uploads" / f"{one.id}.json"
    told_at = re.compile(r'"told_at": "\d{4}')
    note.write_text(told_at.sub('"told_at": "2020', note.read_text()))
    assert "stopped in the middle" in boss.get(path).text
    assert "New debts" in load(boss, path, FIELDS)


@pytest.mark.database("sqlite")
def test_the_sample_can_be_loaded(site: Site) -> None:
    boss = site.client("super")
    with boss.get("/lists/sample.csv") as answer:
        sample = answer.data
    path = sent(boss, sample, f"company:{site.acme}")
    assert re.search(r"Would be rejected</dt>\s*<dd>0", boss.get(path).text)


def test_a_look_at_a_file(tmp_path: Path) -> None:
    """Guesses, samples, and what would stay out; a number of a column is no title."""
    path = tmp_path / "list.csv"
    path.write_text(f"{HEAD}\n{GOOD}\n{BAD}\n", "utf-8")
    found = headings(path, Options())
    assert [one.guess for one in found] == FIELDS
    assert found[1].samples == ("Ana López", "Eva Díaz")
    seen = trial(path, Options(columns=told(FIELDS)), "ES")
    assert (seen.rows, seen.tried, seen.rejected) == (2, 2, 1)
    assert [one.line for one in seen.shown] == [2, 3]
    path.write_text("a;b;c;d;e;f;g\n1;2;3;4;5;6;7\n", "utf-8")
    assert [one.title for one in headings(path, Options())] == list("abcdefg")
    assert trial(path, Options(columns=told(FIELDS), decimal=","), "ES").rows == 1
