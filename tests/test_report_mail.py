"""Reports by e-mail, over a real connection to a mail server that also behaves badly: each is sent
once, or it is known that it was not."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fixtures_messaging import clean_environment
from fixtures_site import make_company, make_user
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_server import MailServer, Manners, silent_port
from openpyxl import load_workbook
from sqlalchemy import Engine, select, update

from dialer.config import ROOT, Settings
from dialer.domain.access import Role
from dialer.domain.mail import EXPIRES, SendingState, addresses_of, next_try
from dialer.domain.recurring import Every, next_run
from dialer.store import report_mails
from dialer.store import tables as t
from dialer.store.report_mails import Wanted
from web.console import report_mail
from web.console.report_mail import ReportMailer

MADRID = ZoneInfo("Europe/Madrid")


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as one:
        yield one


class Post:
    """A company with one report, and what sends it."""

    def __init__(self, engine: Engine, home: Path, port: int, **more: Any) -> None:
        self.engine = engine
        self.settings = Settings(
            home=home, smtp_host="127.0.0.1", smtp_port=port, smtp_security="none",
            smtp_from="reports@example.com", **more,
        )  # fmt: skip
        self.company_id = make_company(engine, "Acme")
        self.owner_id = make_user(engine, "boss", Role.SUPERVISOR, self.company_id)
        self.mailer = ReportMailer(self.settings, engine, seconds=1.0)

    def report(self, *addresses: str, due: bool = True, **changes: Any) -> int:
        now = datetime.now(UTC)
        values: dict[str, Any] = {
            "company_id": self.company_id, "campaign_id": None, "owner_id": self.owner_id,
            "hours": (0, 24), "format": "pdf", "every": Every.DAY, "hour": 7,
            "timezone": "Europe/Madrid", "language": "es",
            "addresses": addresses or ("ana@example.org",),
        }  # fmt: skip
        with self.engine.begin() as c:
            made = report_mails.create(c, Wanted(**(values | changes)), now)
            if due:
                (row,) = c.execute(select(t.report_mail).where(t.report_mail.c.id == made)).all()
                before = row.next_at - timedelta(days=1)
                c.execute(
                    update(t.report_mail).where(t.report_mail.c.id == made).values(next_at=before)
                )
        return made

    def rows(self) -> list[Any]:
        with self.engine.connect() as c:
            return list(c.execute(select(t.report_sending).order_by(t.report_sending.c.id)))

    def again(self) -> int:
        """As if the wait were over."""
        with self.engine.begin() as c:
            c.execute(
                update(t.report_sending)
                .where(t.report_sending.c.state != "sent")
                .values(next_at=datetime.now(UTC))
            )
        return self.mailer.sweep()


@pytest.fixture
def post(database: Engine, tmp_path: Path, server: MailServer) -> Post:
    return Post(database, tmp_path, server.port)


# --- when -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "after", "at", "first", "last"),
    [
        (Every.DAY, (2026, 3, 16, 6, 59), (2026, 3, 16, 7), (2026, 3, 15), (2026, 3, 15)),
        (Every.DAY, (2026, 3, 16, 7, 0), (2026, 3, 17, 7), (2026, 3, 16), (2026, 3, 16)),
        (Every.WEEK, (2026, 3, 16, 7, 0), (2026, 3, 23, 7), (2026, 3, 16), (2026, 3, 22)),
        (Every.MONTH, (2026, 2, 10, 9, 0), (2026, 3, 1, 7), (2026, 2, 1), (2026, 2, 28)),
    ],
)
def test_each_time_is_about_the_days_before_it(
    every: Every, after: Any, at: Any, first: Any, last: Any
) -> None:
    run = next_run(every, 7, MADRID, datetime(*after).replace(tzinfo=MADRID))
    assert run.at == datetime(*at).replace(tzinfo=MADRID)
    assert (run.first, run.last) == (date(*first), date(*last))


@settings(max_examples=50, deadline=None)
@given(
    hour=st.integers(0, 23), every=st.sampled_from(Every),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
)  # fmt: skip
def test_days_are_told_of_once_each_whatever_the_clock_does(
    hour: int, every: Every, start: datetime
) -> None:
    run = next_run(every, hour, MADRID, start.replace(tzinfo=UTC))
    for _ in range(4):
        later = next_run(every, hour, MADRID, run.at)
        assert later.first == run.last + timedelta(days=1)
        assert later.at > run.at
        run = later


def test_addresses_are_read_and_no_second_header_among_them() -> None:
    good, bad = addresses_of("ana@example.org, Ana@Example.org\njefe@x.es;nobody a@b\rBcc:c@d.es")
    assert good == ["ana@example.org", "jefe@x.es", "a@b"]
    assert bad == ["nobody", "Bcc:c@d.es"]


def test_it_is_tried_for_two_days() -> None:
    now, tries, count = datetime(2026, 3, 16, tzinfo=UTC), 1, 0
    at: datetime | None = now
    while at is not None:
        last, count = at, count + 1
        at = next_try(tries, now, at)
        tries += 1
    assert last <= now + EXPIRES and 40 < count < 60


# --- sent -----------------------------------------------------------------------------------


def test_a_report_whose_time_has_come_reaches_each_address_once(
    post: Post, server: MailServer
) -> None:
    post.report("ana@example.org", "jefe@example.org")
    assert post.mailer.sweep() == 2
    assert post.mailer.sweep() == 0
    assert [one.to for one in server.got] == [["ana@example.org"], ["jefe@example.org"]]
    got = server.got[0]
    assert got.sender == "reports@example.com"
    assert got.message["Subject"].startswith("Informe: Todas las campañas")
    assert got.message["Message-ID"] != server.got[1].message["Message-ID"]
    (attached,) = got.message.iter_attachments()
    assert attached.get_filename() == "report.pdf"
    assert attached.get_content().startswith(b"%PDF-")
    rows = post.rows()
    assert [row.state for row in rows] == ["sent", "sent"]
    assert rows[0].receipt == "250 2.0.0 taken as 42" and rows[0].error is None
    (mail,) = _mails(post)
    assert mail.next_at > datetime.now(UTC)
    yesterday = rows[0].last_day
    assert rows[0].first_day == yesterday


def _mails(post: Post) -> list[Any]:
    with post.engine.connect() as c:
        return list(c.execute(select(t.report_mail)))


@pytest.mark.database("sqlite")
def test_workbooks_and_csv_have_the_tables_of_the_page(post: Post, server: MailServer) -> None:
    post.report(format="xlsx")
    post.report(format="csv", language="en")
    post.mailer.sweep()
    assert [row.error for row in post.rows()] == [None, None]
    book, tables = (list(one.message.iter_attachments()) for one in server.got)
    sheets = load_workbook(io.BytesIO(book[0].get_content())).sheetnames
    assert sheets[0] == "Informe" and len(sheets) == len(tables) + 1
    assert all(len(name) <= 31 for name in sheets)
    names = [one.get_filename() for one in tables]
    assert names[0] == "outcomes.csv" and len(names) == len(set(names)) == 10
    assert "Result" in tables[0].get_content() and tables[0].get_content_type() == "text/csv"


@pytest.mark.database("sqlite")
def test_what_fell_into_a_silence_is_made_up_for_day_by_day(post: Post, server: MailServer) -> None:
    mail_id = post.report()
    with post.engine.begin() as c:
        row = c.execute(select(t.report_mail)).one()
        c.execute(update(t.report_mail).values(next_at=row.next_at - timedelta(days=3)))
    assert post.mailer.sweep() == 4
    days = [row.first_day for row in post.rows()]
    assert days == sorted(set(days)) and len(days) == 4
    assert len({one.message["Message-ID"] for one in server.got}) == 4
    assert mail_id


def test_two_workers_send_it_once(post: Post, server: MailServer) -> None:
    post.report(*[f"a{n}@example.org" for n in range(4)])
    others = [ReportMailer(post.settings, post.engine) for _ in range(3)]
    threads = [threading.Thread(target=one.sweep) for one in others]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    post.again()
    assert sorted(one.to[0] for one in server.got) == [f"a{n}@example.org" for n in range(4)]


@pytest.mark.database("sqlite")
def test_a_password_is_a_file_and_one_that_is_wrong_is_said_to_be(
    database: Engine, tmp_path: Path, server: MailServer
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "smtp_password").write_text("wrong\n")
    server.manners = Manners(user="dialer", password="s3cret")
    post = Post(database, tmp_path, server.port, smtp_user="dialer", secrets_dir=tmp_path / "files")
    post.report()
    post.mailer.sweep()
    (row,) = post.rows()
    assert row.state == "pending" and row.error == "the password was refused: 535 5.7.8 wrong"
    (tmp_path / "files" / "smtp_password").write_text("s3cret\n")
    post.again()
    assert [row.state for row in post.rows()] == ["sent"] and len(server.got) == 1


# --- a server that behaves badly ------------------------------------------------------------

PASSING = {
    "busy": Manners(refuse={"HELLO": "421 too busy"}),
    "hangs-up-at-once": Manners(drop="HELLO"),
    "greylisting": Manners(refuse={"RCPT": "451 4.7.1 come again"}),
    "hangs-up-before-data": Manners(drop="DATA"),
    "full": Manners(refuse={"TEXT": "452 4.3.1 full"}),
    "slow": Manners(slow={"RCPT": 1.6}),
}


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("manners", PASSING.values(), ids=PASSING)
def test_what_passes_is_tried_again_and_comes_once(
    post: Post, server: MailServer, manners: Manners
) -> None:
    server.manners = manners
    post.report()
    assert post.mailer.sweep() == 1
    (row,) = post.rows()
    assert (row.state, row.tries) == ("pending", 1) and row.error and server.got == []
    assert row.next_at > datetime.now(UTC), "not at once"
    assert post.mailer.sweep() == 0
    server.manners = Manners()
    assert post.again() == 1
    (row,) = post.rows()
    assert (row.state, row.tries, row.error) == ("sent", 2, None)
    assert len(server.got) == 1


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "TEXT"])
def test_what_is_refused_for_ever_is_not_tried_again(
    post: Post, server: MailServer, verb: str
) -> None:
    server.manners = Manners(refuse={verb: "550 5.1.1 nobody of that name"})
    post.report()
    post.mailer.sweep()
    (row,) = post.rows()
    assert row.state == "failed" and "550 5.1.1 nobody of that name" in row.error
    server.manners = Manners()
    assert post.again() == 0 and server.got == []


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    "manners",
    [Manners(drop="TEXT"), Manners(drop="HALF"), Manners(slow={"TEXT": 1.6})],
    ids=["hangs-up-after-the-text", "hangs-up-in-the-text", "answers-too-late"],
)
def test_what_may_have_come_is_never_sent_a_second_time_by_itself(
    post: Post, server: MailServer, manners: Manners
) -> None:
    server.manners = manners
    post.report()
    post.mailer.sweep()
    (row,) = post.rows()
    assert row.state == SendingState.HANDED.value and row.error
    came = len(server.got)
    server.manners = Manners()
    assert post.again() == 0 and len(server.got) == came
    with post.engine.begin() as c:  # a person says so
        assert report_mails.send_again(c, row.report_mail_id, row.id, datetime.now(UTC))
    post.mailer.sweep()
    assert [one.state for one in post.rows()] == ["sent"] and len(server.got) == came + 1
    assert len({one.message["Message-ID"] for one in server.got}) == 1, "a second one can be told"


@pytest.mark.database("sqlite")
def test_nobody_there_and_nobody_who_talks(database: Engine, tmp_path: Path) -> None:
    listening, port = silent_port()
    with listening:
        post = Post(database, tmp_path, port)
        post.report()
        post.mailer.sweep()
        (row,) = post.rows()
        assert (row.state, row.error) == ("pending", "the server was silent for too long")
    post.again()
    (row,) = post.rows()
    assert (
        row.state == "pending"
        and row.error == "the server was not reached (ConnectionRefusedError)"
    )


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_worker_that_dies_loses_nothing_and_sends_nothing_twice(
    post: Post, server: MailServer, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def send(*_: Any, leaving: Any, **__: Any) -> str:
        if dies == "after":
            assert leaving()
        raise Killed

    post.report()
    with monkeypatch.context() as patch:
        patch.setattr(report_mail, "send_mail", send)
        with pytest.raises(Killed):
            post.mailer.sweep()
    (row,) = post.rows()
    assert row.state == ("sending" if dies == "before" else "handed")
    assert post.mailer.sweep() == 0, "it may still be at it"
    post.again()
    (row,) = post.rows()
    if dies == "before":
        assert row.state == "sent" and len(server.got) == 1
    else:
        assert row.state == "handed" and server.got == []


@pytest.mark.database("sqlite")
def test_a_worker_that_woke_up_late_leaves_it_to_who_has_it_now(
    post: Post, server: MailServer
) -> None:
    post.report()
    with post.engine.begin() as c:
        report_mails.make_due(c, datetime.now(UTC))
    (row,) = post.rows()
    with post.engine.begin() as c:
        first = report_mails.claim(c, row.id, datetime.now(UTC))
        assert report_mails.claim(c, row.id, datetime.now(UTC)) is None
    assert first is not None
    post.again()
    with post.engine.begin() as c:
        assert not report_mails.hand_over(c, first)
    assert [one.state for one in post.rows()] == ["sent"] and len(server.got) == 1


# --- when not -------------------------------------------------------------------------------


@pytest.mark.database("sqlite")
def test_without_a_mail_server_it_waits_and_the_health_page_says_so(
    database: Engine, tmp_path: Path
) -> None:
    post = Post(database, tmp_path, 25)
    post.report()
    mailer = ReportMailer(Settings(home=tmp_path), database)
    assert mailer.sweep() == 0
    (row,) = post.rows()
    assert (row.state, row.tries) == ("pending", 0)
    assert mailer.check() is None
    with database.begin() as c:
        c.execute(update(t.report_sending).values(next_at=datetime.now(UTC) - timedelta(hours=1)))
    assert mailer.check() == "1 reports by e-mail are late"


@pytest.mark.database("sqlite")
def test_of_somebody_who_is_gone_of_a_pause_and_of_what_was_deleted_nothing_is_sent(
    post: Post, server: MailServer
) -> None:
    now = datetime.now(UTC)
    paused, deleted = post.report(), post.report()
    with post.engine.begin() as c:
        report_mails.pause(c, paused, f"user:{post.owner_id}", now)
        report_mails.make_due(c, now)  # the other one waits already
        report_mails.remove(c, deleted, f"user:{post.owner_id}", now)
    assert post.mailer.sweep() == 0
    with post.engine.begin() as c:
        row = report_mails.find(c, paused)
        assert row is not None
        report_mails.resume(c, row, f"user:{post.owner_id}", now)
    assert post.mailer.sweep() == 0, "what fell into the pause is not made up for"
    mine = post.report()
    with post.engine.begin() as c:
        c.execute(update(t.app_user).values(active=False))
    assert post.mailer.sweep() == 0 and server.got == []
    (row,) = [one for one in _mails(post) if one.id == mine]
    assert row.paused_at is not None


@pytest.mark.database("sqlite")
def test_a_server_that_cannot_hide_the_text_gets_none(
    database: Engine, tmp_path: Path, server: MailServer
) -> None:
    post = Post(database, tmp_path, server.port)
    post.mailer = ReportMailer(
        post.settings.model_copy(update={"smtp_security": "starttls"}), database, seconds=1.0
    )
    post.report()
    post.mailer.sweep()
    (row,) = post.rows()
    assert row.state == "pending" and "STARTTLS" in row.error and server.got == []


@pytest.mark.database("sqlite")
@pytest.mark.timeout(60)
def test_the_worker_sends_it(
    database: Engine, database_url: str, redis_url: str, tmp_path: Path, server: MailServer
) -> None:
    post = Post(database, tmp_path, server.port)
    post.report(format="csv")
    told = {
        "DIALER_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": redis_url,
        "DIALER_SMTP_HOST": "127.0.0.1", "DIALER_SMTP_PORT": str(server.port),
        "DIALER_SMTP_SECURITY": "none", "DIALER_SMTP_FROM": "reports@example.com",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "dialer", "worker", "--burst", "--health-port", "0"],
        cwd=ROOT, env={**clean_environment(), **told}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [one.to for one in server.got] == [["ana@example.org"]], done.stderr
    assert [row.state for row in post.rows()] == ["sent"]
