"""Imports into both databases: upserts, references, shared phones, leads, interruptions."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from import_support import HEADER, MOMENT, dni, line, rejects, store, text, write
from sqlalchemy import Connection, Engine, Table, func, insert, select, update

from dialer.domain.debtor_row import BatchResult, DebtorRow
from dialer.domain.model import LeadState
from dialer.importing.errors import ImportFileError
from dialer.importing.run import Options, import_file
from dialer.store.companies import NewCompany, NotPossible
from dialer.store.import_debtors import SeenDebtors
from dialer.store.import_sink import DatabaseSink, find_target
from dialer.store.imports import add_leads
from dialer.store.tables import (
    account,
    audit,
    caller_id_pool,
    campaign,
    company,
    debtor,
    import_batch,
    lead,
    phone,
)

LATER = MOMENT + timedelta(days=1)
CONTENT = (company, debtor, phone, account, lead)


def everything(engine: Engine) -> dict[str, list[Any]]:
    """All rows of the tables an import writes, but for the record of imports."""
    with engine.connect() as connection:
        return {t.name: list(connection.execute(select(t).order_by(t.c.id))) for t in CONTENT}


def count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def one(engine: Engine, table: Table, **where: Any) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(table).filter_by(**where)).one()


def new_campaign(connection: Connection, name: str, state: str = "draft") -> int:
    """A campaign of the first company, without a plan."""
    company_id = connection.execute(select(func.min(company.c.id))).scalar_one()
    pool = connection.execute(
        insert(caller_id_pool)
        .values(company_id=company_id, name=name)
        .returning(caller_id_pool.c.id)
    ).scalar_one()
    values = {"company_id": company_id, "name": name, "state": state, "pool_id": pool, "plan": {}}
    made: int = connection.execute(
        insert(campaign).values(**values, created_at=MOMENT).returning(campaign.c.id)
    ).scalar_one()
    return made


def test_a_row_becomes_debtor_phones_and_account(database: Engine, tmp_path: Path) -> None:
    row = line(12345678, telefono2="912345678", email="ana@example.com", idioma="en")
    summary = store(database, write(tmp_path / "a.csv", text(row)))
    assert (summary.rows, summary.new, summary.rejected) == (1, 1, 0)
    assert (summary.new_debtors, summary.new_phones, summary.new_accounts) == (1, 2, 1)
    person = one(database, debtor)
    assert (person.document, person.name, person.email, person.language, person.country) == (
        "12345678Z",
        "María Gómez 12345678",
        "ana@example.com",
        "en",
        "ES",
    )
    assert person.created_at == MOMENT
    with database.connect() as connection:
        phones = connection.execute(
            select(phone.c.number, phone.c.line_type, phone.c.position).order_by(phone.c.position)
        ).all()
    assert [tuple(p) for p in phones] == [
        ("+34612345678", "mobile", 0),
        ("+34912345678", "fixed", 1),
    ]
    owed = one(database, account)
    assert (owed.reference, owed.amount_minor, owed.currency, owed.due_date) == (
        "EXP-12345678",
        123456,
        "EUR",
        date(2026, 1, 31),
    )


def test_the_same_file_again_changes_nothing(database: Engine, tmp_path: Path) -> None:
    rows = [
        line(1),
        line(2, telefono1="600000001"),  # shared with the first
        line(1, referencia="EXP-1b", nombre="Otro Nombre", email="ana@example.com"),
        line(3, vencimiento="soon"),
    ]
    path = write(tmp_path / "a.csv", text(*rows))
    first = store(database, path)
    assert (first.new, first.rejected) == (3, 1)
    before = everything(database)
    again = store(database, path, now=LATER)
    assert everything(database) == before
    assert (again.unchanged, again.new, again.updated, again.rejected) == (3, 0, 0, 1)


def test_a_new_amount_and_a_new_name_are_taken_over(database: Engine, tmp_path: Path) -> None:
    rows = [line(i, email="old@example.com") for i in (1, 2, 3)]
    store(database, write(tmp_path / "a.csv", text(*rows)))
    rows = [
        line(1, importe="99,00"),
        line(2, vencimiento="01/02/2026"),
        line(3, nombre="Ana Gil", telefono1="600000099"),
    ]
    summary = store(database, write(tmp_path / "b.csv", text(*rows)), now=LATER)
    assert (summary.updated, summary.updated_accounts, summary.updated_debtors) == (3, 2, 1)
    changed = one(database, account, reference="EXP-1")
    assert (changed.amount_minor, changed.updated_at, changed.created_at) == (9900, LATER, MOMENT)
    assert one(database, account, reference="EXP-2").due_date == date(2026, 2, 1)
    assert one(database, account, reference="EXP-3").updated_at == MOMENT
    person = one(database, debtor, document=dni(3))
    assert (person.name, person.email) == (
        "Ana Gil",
        "old@example.com",
    )  # an empty cell says nothing
    with database.connect() as connection:
        numbers = connection.execute(
            select(phone.c.number).where(phone.c.debtor_id == person.id).order_by(phone.c.position)
        ).scalars()
        assert list(numbers) == ["+34600000003", "+34600000099"]


def test_the_first_row_of_a_file_says_who_a_debtor_is(database: Engine, tmp_path: Path) -> None:
    rows = [
        line(1, nombre="Ana Gil"),
        line(1, nombre="GIL ANA", referencia="R2", email="ana@example.com"),
        line(1, nombre="Ana Gil", referencia="R3", email="other@example.com"),
    ]
    path = write(tmp_path / "a.csv", text(*rows))
    for batch in (1, 2000):  # across transactions as well as inside one
        summary = store(database, path, batch=batch)
        assert summary.warnings == {"name": 1}
        person = one(database, debtor)
        assert (person.name, person.email) == ("Ana Gil", "ana@example.com")
    assert summary.unchanged == 3


def test_a_reference_of_another_debtor_is_rejected(database: Engine, tmp_path: Path) -> None:
    store(database, write(tmp_path / "a.csv", text(line(1, referencia="R"))))
    before = everything(database)
    path = write(tmp_path / "b.csv", text(line(2, referencia="R", importe="1,00")))
    summary = store(database, path, now=LATER)
    assert summary.rejected == 1
    assert "another debtor" in rejects(summary)
    assert everything(database) == before


def test_an_account_does_not_change_its_currency(database: Engine, tmp_path: Path) -> None:
    store(database, write(tmp_path / "a.csv", text(line(1))))
    before = everything(database)
    summary = store(database, write(tmp_path / "b.csv", text(line(1, moneda="USD"))), now=LATER)
    assert "kept in EUR, the row is in USD" in rejects(summary)
    assert everything(database) == before


def test_a_phone_of_two_debtors_is_reported(database: Engine, tmp_path: Path) -> None:
    rows = [line(1), line(2, telefono1="912345678"), line(3, telefono1="600000001")]
    summary = store(database, write(tmp_path / "a.csv", text(*rows)))
    assert (summary.rejected, summary.warnings) == (0, {"shared_phone": 2})
    assert rejects(summary).count("belongs to another debtor") == 2
    assert count(database, phone) == 3


def test_a_phone_may_be_shared_with_another_company(database: Engine, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1)))
    store(database, path)
    summary = store(database, path, company="Banco Dos")
    assert (summary.new, summary.warnings) == (1, {})
    assert (count(database, debtor), count(database, company)) == (2, 2)


def test_a_zone_that_follows_from_a_number_overwrites_nothing(
    database: Engine, tmp_path: Path
) -> None:
    row = line(1, telefono1="922123456")
    told = text(row + ";Europe/Madrid", header=HEADER + ";zona_horaria")
    store(database, write(tmp_path / "a.csv", told))
    summary = store(database, write(tmp_path / "b.csv", text(row)))
    assert summary.unchanged == 1
    assert one(database, debtor).timezone == "Europe/Madrid"
    store(database, write(tmp_path / "c.csv", text(line(2, telefono1="922123457"))))
    assert one(database, debtor, document=dni(2)).timezone == "Atlantic/Canary"


# --- leads ---------------------------------------------------------------------------------


def test_leads_are_made_once(database: Engine, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1), line(2)))
    store(database, path)
    with database.begin() as connection:
        made = new_campaign(connection, "june")
        assert add_leads(connection, made, now=MOMENT) == 2
        assert add_leads(connection, made, now=LATER) == 0
    waiting = one(database, lead, account_id=1)
    assert (waiting.state, waiting.next_at, waiting.attempts, waiting.next_phone) == (
        LeadState.WAITING.value,
        MOMENT,
        0,
        0,
    )
    assert waiting.debtor_id == one(database, account, id=1).debtor_id


def test_leads_of_some_accounts_and_never_of_another_company(
    database: Engine, tmp_path: Path
) -> None:
    store(database, write(tmp_path / "a.csv", text(line(1), line(2), line(3))))
    store(database, write(tmp_path / "b.csv", text(line(4))), company="Banco Dos")
    other = one(database, account, reference="EXP-4").id
    wanted = one(database, account, reference="EXP-2").id
    with database.begin() as connection:
        made = new_campaign(connection, "june")
        assert add_leads(connection, made, [wanted, other], MOMENT) == 1
        assert add_leads(connection, made, [], MOMENT) == 0
        assert add_leads(connection, made, None, MOMENT) == 2
        accounts = connection.execute(select(lead.c.account_id)).scalars().all()
    assert other not in accounts


def test_an_import_into_a_campaign_makes_leads_of_old_accounts_too(
    database: Engine, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", text(line(1), line(2), line(3, vencimiento="soon")))
    store(database, write(tmp_path / "b.csv", text(line(1), line(9))))
    with database.begin() as connection:
        new_campaign(connection, "june")
    assert store(database, path, campaign="june").leads == 2
    assert store(database, path, campaign="june").leads == 0
    assert one(database, import_batch, file_name="b.csv").campaign_id is None
    assert count(database, lead) == 2


def test_where_debtors_cannot_go(database: Engine, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1)))
    with database.connect() as connection:
        with pytest.raises(NotPossible, match="no company"):
            find_target(connection, "Banco Uno", None)
        with pytest.raises(NotPossible, match="no company yet"):
            find_target(connection, None, None, lambda n: NewCompany(n, "ES", "Europe/Madrid", n))
    store(database, path)
    store(database, path, company="Banco Dos")
    with database.begin() as connection:
        new_campaign(connection, "june")
        new_campaign(connection, "over", "stopped")
    with database.connect() as connection:
        for name, june, why in (
            (None, None, "several companies"),
            ("Banco Dos", "june", "of company Banco Uno"),
            ("Banco Uno", "july", "no campaign"),
            ("Banco Uno", "over", "final"),
        ):
            with pytest.raises(NotPossible, match=why):
                find_target(connection, name, june)


# --- records, dry runs, interruptions, company ---------------------------------------------


def test_an_import_is_on_record(database: Engine, tmp_path: Path) -> None:
    store(database, write(tmp_path / "0.csv", text(line(1))))
    rows = [line(1), line(2), line(3, vencimiento="soon"), line(1, referencia="R2")]
    summary = store(database, write(tmp_path / "a.csv", text(*rows)), now=LATER, batch=2)
    record = one(database, import_batch, file_name="a.csv")
    assert (record.rows, record.accepted, record.unchanged, record.rejected) == (4, 2, 1, 1)
    assert (record.sha256, record.finished_at) == (summary.sha256, LATER)
    trail = one(database, audit, target=f"import_batch:{record.id}")
    assert (trail.actor, trail.action, trail.after["rows"]) == ("ana", "import", 4)
    assert "María" not in str(trail.after)


def test_a_dry_run_says_what_would_be_and_leaves_nothing(database: Engine, tmp_path: Path) -> None:
    rows = [line(i) for i in range(1, 8)] + [line(9, vencimiento="soon")]
    path = write(tmp_path / "a.csv", text(*rows))
    trial = store(database, path, dry_run=True, batch=3)
    assert all(not rows for rows in everything(database).values())
    assert (count(database, import_batch), count(database, audit)) == (0, 0)
    real = store(database, path, batch=3)
    assert (trial.new, trial.rejected, trial.new_phones) == (real.new, real.rejected, 7)


class _Interrupted(Exception):
    """The power goes."""


class _PowerCut(DatabaseSink):
    """Ends the import inside the transaction of the third batch."""

    batches = 0

    def store(self, rows: Sequence[DebtorRow], rejected: int) -> BatchResult:
        self.batches += 1
        if self.batches == 3:
            with self._connection.begin():
                self._store(self._connection, rows, rejected)
                raise _Interrupted
        return super().store(rows, rejected)


def test_an_interrupted_import_is_finished_by_running_it_again(
    database: Engine, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", text(*(line(i) for i in range(1, 11))))
    with database.connect() as connection:
        target = find_target(
            connection, "Banco Uno", None, lambda n: NewCompany(n, "ES", "Europe/Madrid", n)
        )
    with (
        pytest.raises(_Interrupted),
        _PowerCut(database, target, "ana", lambda: MOMENT) as sink,
    ):
        import_file(path, Options(batch=2), sink)
    assert count(database, account) == 4
    record = one(database, import_batch)
    assert (record.rows, record.finished_at) == (4, None)
    again = store(database, path)
    assert (again.unchanged, again.new) == (4, 6)
    assert count(database, phone) == 10


def test_two_imports_at_once_make_one_of_each(database: Engine, tmp_path: Path) -> None:
    names = [f"{i}.csv" for i in range(3)]
    content = text(*(line(i) for i in range(1, 60)))
    store(database, write(tmp_path / "0.csv", text(line(99))))  # the company is there
    errors: list[BaseException] = []

    def run(path: Path) -> None:
        try:
            store(database, path, batch=7)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(write(tmp_path / n, content),)) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert (count(database, debtor), count(database, phone), count(database, account)) == (
        60,
        60,
        60,
    )


def test_a_file_that_grows_meanwhile_is_noticed(database: Engine, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1)))

    def grow(what: str, done: int, total: int | None) -> None:
        with path.open("a") as out:
            out.write(line(2) + "\n")

    with database.connect() as connection:
        target = find_target(
            connection, "Banco Uno", None, lambda n: NewCompany(n, "ES", "Europe/Madrid", n)
        )
    with (
        pytest.raises(ImportFileError, match="run the import again"),
        DatabaseSink(database, target, "ana", lambda: MOMENT) as sink,
    ):
        import_file(path, Options(), sink, grow)
    assert one(database, import_batch).finished_at is None


def test_more_rows_than_one_look_up_takes(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.bulk.IN_CHUNK", 3)
    path = write(tmp_path / "a.csv", text(*(line(i) for i in range(1, 11))))
    assert store(database, path).new == 10
    again = store(database, path, now=datetime(2027, 1, 1, tzinfo=UTC))
    assert again.unchanged == 10


def test_debtors_made_by_others_are_not_named_by_this_file(
    database: Engine, tmp_path: Path
) -> None:
    store(database, write(tmp_path / "a.csv", text(line(1))))
    with database.begin() as connection:
        connection.execute(update(debtor).values(email="typed@example.com"))
    store(database, write(tmp_path / "b.csv", text(line(1))))
    assert one(database, debtor).email == "typed@example.com"


def test_seen_debtors() -> None:
    seen = SeenDebtors()
    for number in (1, 8, 100_000):
        assert number not in seen
        seen.add(number)
    assert [n for n in (0, 1, 2, 7, 8, 9, 99_999, 100_000, 10**9) if n in seen] == [1, 8, 100_000]
