"""The database as the place where imported rows go, with a record of every import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, Engine, insert, select, text, update

from dialer.domain.debtor_row import BatchResult, DebtorRow, RowFate
from dialer.domain.model import CampaignState
from dialer.store import audit, campaigns
from dialer.store.companies import NewCompany, NotPossible, create_company, find_company
from dialer.store.import_debtors import SeenDebtors
from dialer.store.imports import store_batch
from dialer.store.refusals import Why
from dialer.store.tables import company, import_batch

SQLITE_CACHE_KIB = 48 * 1024
"""Inserts land anywhere in the indexes: without their pages at hand each row reads some again."""
SQLITE_USUAL_KIB = 2000
ANALYZE_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Target:
    """Where debtors go: ids, the company's country, and the campaign that calls them, if any."""

    company: str
    company_id: int | None
    country: str
    new: NewCompany | None = None
    campaign: str | None = None
    campaign_id: int | None = None


def find_target(
    connection: Connection,
    name: str | None,
    campaign: str | None,
    new: Callable[[str], NewCompany] | None = None,
) -> Target:
    """The company of that name (or the only one there is) and the campaign.

    ``new`` makes the values of a company that does not exist yet; it is made at the first batch.
    Raises NotPossible: no such company and no ``new``, no such campaign, another company's, or
    one that is over for good.
    """
    row: Any = None
    if name is not None:
        row = connection.execute(select(company).where(company.c.name == name)).first()
    if row is None and (name is None or new is None):
        row = find_company(connection, name)
    if row is None:
        assert name is not None
        assert new is not None
        made = new(name)
        target = Target(name, None, made.country, made)
    else:
        target = Target(row.name, row.id, row.country)
    if campaign is None:
        return target
    found = campaigns.find(connection, campaign)
    if found.company != target.company:
        raise NotPossible(Why.CAMPAIGN_OF_ANOTHER.say(campaign=campaign, company=found.company))
    if found.state == CampaignState.STOPPED.value:
        raise NotPossible(Why.CAMPAIGN_STOPPED.say(campaign=campaign))
    return Target(target.company, target.company_id, target.country, None, campaign, found.id)


class DatabaseSink:
    """Stores batches on a connection of its own; a context manager.

    With ``dry_run`` every transaction is undone at its end, and nothing is recorded.
    """

    def __init__(
        self,
        engine: Engine,
        target: Target,
        actor: str,
        clock: Callable[[], datetime],
        *,
        dry_run: bool = False,
    ) -> None:
        self._connection = engine.connect()
        self._target = target
        self._actor = actor
        self._clock = clock
        self._dry_run = dry_run
        self._seen = SeenDebtors()
        self._stored = 0
        self._analyze_at = 1
        self._company_id = target.company_id
        self._file: dict[str, Any] = {}
        self.batch_id: int | None = None

    def __enter__(self) -> Self:
        self._page_cache(SQLITE_CACHE_KIB)
        return self

    def __exit__(self, *_: object) -> None:
        self._page_cache(SQLITE_USUAL_KIB)
        self._connection.close()

    def _page_cache(self, kib: int) -> None:
        if self._connection.dialect.name == "sqlite":
            driver: Any = self._connection.connection.driver_connection
            driver.execute(f"PRAGMA cache_size = -{kib}")

    @property
    def country(self) -> str:
        """Of the company."""
        return self._target.country

    def begin(self, file_name: str, sha256: str) -> None:
        """Record that the import has begun; makes the company where it is new."""
        self._file = {"file_name": file_name[-255:], "sha256": sha256}
        if self._dry_run:
            return
        with self._connection.begin():
            self._company_id = self._make_company(self._connection)
            self.batch_id = self._record(self._connection)

    def store(self, rows: Sequence[DebtorRow], rejected: int) -> BatchResult:
        """One transaction; the counts of the import go with it."""
        with self._connection.begin() as transaction:
            result = self._store(self._connection, rows, rejected)
            if self._dry_run:
                transaction.rollback()
        self._stored += len(rows)
        if self._stored >= self._analyze_at and not self._dry_run:
            self._analyze_at = self._stored * ANALYZE_GROWTH
            self._analyze()
        return result

    def _analyze(self) -> None:
        """Statistics of the tables that grow; without them PostgreSQL looks a document up by
        reading all of the company's."""
        if self._connection.dialect.name == "postgresql":
            with self._connection.begin():
                self._connection.execute(text("ANALYZE debtor, phone, account, lead"))

    def _store(
        self, connection: Connection, rows: Sequence[DebtorRow], rejected: int
    ) -> BatchResult:
        seen = self._seen
        company_id = self._company_id
        if self._dry_run:
            seen = SeenDebtors()  # ids that are undone are given out again
            company_id = self._make_company(connection)
        assert company_id is not None
        result = store_batch(
            connection,
            company_id,
            self._target.country,
            rows,
            seen,
            self._clock(),
            self._target.campaign_id,
        )
        if self.batch_id is not None:
            self._count(connection, result, rejected)
        return result

    def finish(self) -> None:
        """Record the end, and who imported what, in the audit trail."""
        if self.batch_id is None:
            return
        now = self._clock()
        with self._connection.begin():
            row = self._connection.execute(
                update(import_batch)
                .where(import_batch.c.id == self.batch_id)
                .values(finished_at=now)
                .returning(import_batch)
            ).one()
            audit.record(
                self._connection,
                actor=self._actor,
                action="import",
                target=f"import_batch:{self.batch_id}",
                now=now,
                after={
                    "company": self._target.company,
                    "campaign": self._target.campaign,
                    "sha256": row.sha256,
                    "rows": row.rows,
                    "accepted": row.accepted,
                    "unchanged": row.unchanged,
                    "rejected": row.rejected,
                },
            )

    def _make_company(self, connection: Connection) -> int:
        if self._target.company_id is not None:
            return self._target.company_id
        assert self._target.new is not None
        return create_company(connection, self._target.new, self._actor, self._clock())

    def _record(self, connection: Connection) -> int:
        made: int = connection.execute(
            insert(import_batch)
            .values(
                company_id=self._company_id,
                campaign_id=self._target.campaign_id,
                started_at=self._clock(),
                **self._file,
            )
            .returning(import_batch.c.id)
        ).scalar_one()
        return made

    def _count(self, connection: Connection, result: BatchResult, rejected: int) -> None:
        fates = [row.fate for row in result.rows]
        unchanged = fates.count(RowFate.UNCHANGED)
        refused = fates.count(RowFate.REJECTED)
        table = import_batch.c
        connection.execute(
            update(import_batch)
            .where(table.id == self.batch_id)
            .values(
                rows=table.rows + len(fates) + rejected,
                accepted=table.accepted + len(fates) - unchanged - refused,
                unchanged=table.unchanged + unchanged,
                rejected=table.rejected + refused + rejected,
            )
        )
