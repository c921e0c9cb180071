"""The audit log through the browser: who sees which rows, filters, pages, the download."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures_site import Site, make_user
from sqlalchemy import insert, select
from world import World

from dialer.domain.access import Role
from dialer.store import audit, audit_views, suppressions, users
from dialer.store import tables as t
from dialer.store.audit_views import Wanted
from web.console import audit_words
from web.console.downloads import harmless

AT = datetime(2026, 3, 16, 11, tzinfo=UTC)


def note(site: Site, actor: str, action: str, target: str, **more: Any) -> None:
    with site.engine.begin() as c:
        audit.record(c, **{"now": AT, **more}, actor=actor, action=action, target=target)


def shown(site: Site, who: str, query: str = "") -> str:
    answer = site.client(who).get(f"/audit{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_each_company_reads_its_own_rows(site: Site) -> None:
    rival = World(site.engine, company="Third")
    with site.engine.begin() as c:
        c.execute(t.campaign.update().values(name="Secreta"))
        users.update_user(c, site.ids["rival"], {"company_id": rival.company_id}, "root", AT)
        suppressions.add_number(c, site.acme, "+34600100100", "root", AT)
        suppressions.add_number(c, site.other, "+34600100101", "root", AT)
        gone = c.scalar(select(t.suppression.c.id).where(t.suppression.c.company_id == site.other))
        suppressions.remove_number(c, site.other, "+34600100101", "root", AT)
    note(site, f"user:{site.ids['super']}", "own.unknown", "report:month")
    note(site, f"user:{site.ids['rival']}", "rival.unknown", "report:month")
    note(site, f"user:{site.ids['admin']}", "campaign.start", f"campaign:{rival.campaign_id}")
    note(site, f"user:{site.ids['admin']}", "installation.thing", "installation")
    note(site, "root", "company.create", f"company:{site.acme}", after={"name": "Acme"})
    page = shown(site, "super")
    assert "own.unknown" in page
    assert "Company made" in page
    assert "Super Example" in page  # by name, not by number
    assert "Number put on the do-not-call list" in page
    for hidden in (
        "rival.unknown",
        "Secreta",
        "installation.thing",
        "off the do-not-call list</td>",
        "Rival Example",
    ):
        assert hidden not in page, hidden
    with site.engine.connect() as c:
        entries = audit_views.page(c, Wanted(seen_by=site.acme)).entries
        assert f"suppression:{gone}" not in {one.target for one in entries}
        rivals = audit_views.page(c, Wanted(seen_by=rival.company_id)).entries
        # Who moved brings nothing of the company they came from.
        assert "user.change" not in {one.action for one in rivals}
    everything = shown(site, "auditor")
    for seen in ("rival.unknown", "Secreta", "installation.thing", "own.unknown"):
        assert seen in everything
    own = shown(site, "super", f"?actor=user:{site.ids['rival']}")
    assert "rival.unknown" not in own


def test_it_is_narrowed_and_read_page_by_page(site: Site) -> None:
    campaign = World(site.engine, company="Third").campaign_id
    for number in range(120):
        moment = AT + timedelta(minutes=number)
        note(
            site, "root", "campaign.pause", f"campaign:{campaign}", now=moment,
            before={"state": "running", "same": 1}, after={"state": "paused", "same": 1},
        )  # fmt: skip
    note(site, f"user:{site.ids['admin']}", "user.link", "user:1", now=AT)
    boss = site.client("admin")
    page = boss.get("/audit?action=campaign.&actor=outside").text
    assert page.count("Campaign paused</td>") == audit_views.PAGE
    assert "<del>running</del>" in page
    assert "<ins>paused</ins>" in page
    assert "same" not in page
    seen: set[int] = set()
    with site.engine.connect() as c:
        before, pages = None, 0
        while True:
            one = audit_views.page(c, Wanted(action="campaign.pause"), before)
            assert not seen & {entry.id for entry in one.entries}
            seen |= {entry.id for entry in one.entries}
            before, pages = one.after_this, pages + 1
            if before is None:
                break
    assert (len(seen), pages) == (120, 3)
    assert "before=" in page
    assert "Nothing of the kind" in boss.get("/audit?from=2027-01-01").text
    # A day is one of the viewer's zone: 23:30 in UTC is the next day in Madrid.
    note(site, "root", "late.one", "x", now=datetime(2026, 5, 1, 23, 30, tzinfo=UTC))
    assert "late.one" in boss.get("/audit?from=2026-05-02&to=2026-05-02").text
    assert "late.one" not in boss.get("/audit?from=2026-05-01&to=2026-05-01").text
    assert boss.get("/audit?from=yesterday&before=x&target=%27").status_code == 200


def test_a_company_with_few_rows_among_many_finds_them(site: Site) -> None:
    note(site, f"user:{site.ids['super']}", "own.old", "report:1")
    with site.engine.begin() as c:
        row = {
            "at": AT, "actor": "root", "action": "x.y", "target": f"company:{site.other}",
            "company_id": site.other,
        }  # fmt: skip
        c.execute(insert(t.audit), [row] * 500)
    with site.engine.connect() as c:
        first = audit_views.page(c, Wanted(seen_by=site.acme))
    assert "own.old" in {one.action for one in first.entries}
    assert "x.y" not in {one.action for one in first.entries}


def test_who_sees_all_asks_for_one_company(site: Site) -> None:
    note(site, "root", "own.thing", f"company:{site.acme}")
    note(site, "root", "their.thing", f"company:{site.other}")
    note(site, "root", "nobodys.thing", "installation")
    page = shown(site, "auditor", f"?company={site.acme}")
    assert "own.thing" in page
    assert "their.thing" not in page and "nobodys.thing" not in page
    assert "Clear" in page  # it is a filter, and is taken away like one
    # Who belongs to a company has no such choice, and gets nothing by asking.
    page = shown(site, "super", f"?company={site.other}")
    assert "their.thing" not in page and 'name="company"' not in page
    assert "own.thing" in page


def test_what_people_wrote_is_shown_as_it_is(site: Site) -> None:
    odd = {"reason": f"user:{'9' * 40}", "why": "user:x", "note": "payment:'; --", "by": "a:b:c"}
    note(site, "root", "odd.thing", f"company:{site.acme}", after=odd)
    page = shown(site, "super")
    assert "9" * 40 in page and "user:x" in page and "a:b:c" in page


def test_a_row_has_its_company_from_the_moment_it_is_written(site: Site) -> None:
    """What the row was about may be gone later, and who did it elsewhere."""
    note(site, "root", "given.thing", "report:month", company_id=site.acme)
    note(site, f"user:{site.ids['super']}", "own.thing", "report:month")
    with site.engine.begin() as c:
        suppressions.add_number(c, site.acme, "+34600100100", "root", AT)
        suppressions.remove_number(c, site.acme, "+34600100100", "root", AT)
        users.update_user(c, site.ids["super"], {"company_id": site.other}, "root", AT)
        users.update_user(c, site.ids["super"], {"name": "Changed Later"}, "root", AT)
        whose = {row.action: row.company_id for row in c.execute(select(t.audit))}
    assert whose["given.thing"] == whose["own.thing"] == site.acme
    assert whose["dnc.add"] == whose["dnc.remove"] == site.acme
    assert whose["user.change"] == site.other
    make_user(site.engine, "eye", Role.AUDITOR, site.acme)
    page = shown(site, "eye")
    assert "own.thing" in page
    assert "Changed Later" not in page  # the name that they have where they are now


def test_the_download_says_the_same_and_runs_no_formula(site: Site) -> None:
    bad = {"reason": "=HYPERLINK(1)", "minor": -5}
    note(site, "=1+1", "pool.change", f"company:{site.acme}", before={"n": [1]}, after=bad)
    note(site, "root", "pool.change", f"company:{site.other}")
    answer = site.client("super").get("/audit/audit.csv?action=pool.change")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) == 2
    assert rows[1][0] == "2026-03-16T11:00:00Z"
    assert rows[1][1] == "'=1+1"
    assert rows[1][7] == "n: 1"
    assert sorted(rows[1][8].split("; ")) == ["Amount in minor units: -5", "Why: =HYPERLINK(1)"]
    with site.engine.connect() as c:
        taken = c.execute(select(t.audit).where(t.audit.c.action == "audit.download")).one()
    assert taken.actor == f"user:{site.ids['super']}"


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_what_begins_like_a_formula_is_text(cell: str) -> None:
    assert harmless(cell) == "'" + cell
    assert harmless(-1) == -1
    assert harmless("a=1") == "a=1"


@pytest.mark.database("sqlite")
def test_who_may_read_it(site: Site) -> None:
    assert site.client("agent").get("/audit").status_code == 403
    make_user(site.engine, "eye", Role.AUDITOR, site.other)
    note(site, "root", "own.thing", f"company:{site.acme}")
    assert "own.thing" not in shown(site, "eye")
    assert "own.thing" in shown(site, "auditor")


@pytest.mark.database("sqlite")
def test_every_action_that_the_code_records_has_a_name(site: Site) -> None:
    with site.app.test_request_context():
        known = audit_words.action_names()
    for action in ("user.log_out", "campaign.start", "payment.refund", "dnc.add", "import"):
        assert action in known
