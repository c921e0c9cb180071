"""Today and campaigns in the browser: what is shown, whose it is, what a hand on it does."""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from console_world import debtor
from fixtures_site import Client, Site
from sqlalchemy import select, update
from world import World, plan

from dialer.domain.model import DayWindow, DialMode, Disposition, FallbackStep, StepKind
from dialer.simulation.history import fill_history
from dialer.store import tables as t
from dialer.store import today, users
from dialer.store.companies import create_pool
from dialer.store.plans import plan_json, plan_of
from web.console import sentences
from web.console.live import EVERY, Sampler


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def world(site: Site) -> World:
    """A campaign of acme's, with some leads; the company is that of the site's supervisor."""
    made = World(site.engine, plan(name="June"), at=now(), company="Hers")
    with site.engine.begin() as c:
        c.execute(
            update(t.app_user)
            .where(t.app_user.c.id == site.ids["super"])
            .values(company_id=made.company_id)
        )
    made.lead()
    return made


def show(client: Client, world: World) -> str:
    answer = client.get(f"/campaigns/{world.campaign_id}")
    assert answer.status_code == 200
    return answer.text


# --- whose it is ----------------------------------------------------------------------------


def test_an_auditor_is_offered_nothing_to_change(site: Site, world: World) -> None:
    auditor = site.client("auditor")
    assert "Stop for good" not in show(auditor, world)


# --- a hand on it ---------------------------------------------------------------------------


def test_what_may_be_done_comes_with_the_live_part(site: Site, world: World) -> None:
    """Where a campaign ends while it is watched, nobody is offered to pause it any more."""

    def told() -> str:
        answer = site.client("super").get(f"/campaigns/{world.campaign_id}/live")
        part = next(answer.iter_encoded()).decode()
        answer.close()
        return part

    assert 'form="do-pause"' in told()
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(state="finished"))
        c.execute(update(t.lead).values(state="done"))
    time.sleep(EVERY)  # what was found is kept for so long
    part = told()
    assert "Finished" in part and 'form="do-pause"' not in part
    page = show(site.client("super"), world)
    assert page.count('id="do-pause"') == 1, "the form stays while the part changes"


def test_what_cannot_be_done_is_told_in_the_viewers_language(site: Site, world: World) -> None:
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], language="es")
    client, path = site.client("super"), f"/campaigns/{world.campaign_id}"

    def told(what: str, **form: str) -> str:
        return client.post(f"{path}/{what}", form, follow_redirects=True).text

    assert "No es posible en su estado de ahora: En marcha" in told("start")
    assert "No es posible en su estado de ahora: En marcha" in told("schedule", start="")
    passed = told("schedule", start="2020-01-01T10:00")
    assert "Esa hora ya ha pasado" in passed
    with site.engine.begin() as c:
        briefly = plan_json(plan(name="June", ring_timeout=10.0))
        c.execute(update(t.campaign).values(plan=briefly))
    assert "Suena demasiado poco para ese modo" in told("mode", mode="power")
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(state="draft"))
        c.execute(update(t.lead).values(state="done"))
    assert "No tiene a quién llamar" in told("start")


def test_it_is_paused_goes_on_and_is_stopped_for_good(site: Site, world: World) -> None:
    client, path = site.client("super"), f"/campaigns/{world.campaign_id}"
    assert "Pause" in show(client, world)
    for what, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert client.post(f"{path}/{what}").status_code == 302
        with site.engine.connect() as c:
            assert c.scalar(select(t.campaign.c.state)) == state
    client.post(f"{path}/start")
    page = show(client, world)
    assert "flash bad" in page and "Stop for good" not in page
    with site.engine.connect() as c:
        trail = c.execute(select(t.audit).where(t.audit.c.target == "campaign:1")).all()
    actions = [one.action for one in trail if one.actor == f"user:{site.ids['super']}"]
    assert actions == ["campaign.pause", "campaign.resume", "campaign.stop"]


def test_the_mode_changes_while_it_runs(site: Site, world: World) -> None:
    client, path = site.client("super"), f"/campaigns/{world.campaign_id}/mode"
    client.post(path, {"mode": "progressive"})
    unknown = client.post(path, {"mode": "telepathy"}, follow_redirects=True).text
    assert "Choose one of the list." in unknown and "DialMode" not in unknown
    with site.engine.connect() as c:
        stored = c.execute(select(t.campaign.c.plan)).scalar_one()
    assert plan_of(stored).agents.mode is DialMode.PROGRESSIVE


def test_a_new_one_is_looked_at_then_made_then_copied(site: Site) -> None:
    with site.engine.begin() as c:
        create_pool(c, site.acme, "main", ["+34910000000", "+34910000001"], "test", now())
    client = site.client("super")
    assert "Show what it would do" in client.get("/campaigns/new").text
    form = {"name": "July", "company": "Acme", "flow": "reminder", "language": "es",
            "pool": "main", "window": "mon-fri 10:00-14:00", "calls_per_second": "2",
            "max_concurrent": "9", "mode": "agentless", "redial": "yes", "sms": "yes",
            "unseen_days": "5"}  # fmt: skip
    looked = client.post("/campaigns/new", {**form, "look": "1"}).text
    assert "has not seen for 5 days" in looked and "Mon–Fri 10:00–14:00" in looked
    with site.engine.connect() as c:
        assert c.scalar(select(t.campaign.c.id)) is None, "looking makes nothing"
    answer = client.post("/campaigns/new", form)
    assert answer.status_code == 302, answer.text
    with site.engine.connect() as c:
        row = c.execute(select(t.campaign)).one()
    assert (row.name, row.state, row.company_id) == ("July", "draft", site.acme)
    assert [step.kind.value for step in plan_of(row.plan).fallback] == ["redial", "sms"]
    copied = client.get(f"/campaigns/new?like={row.id}").text
    assert 'value="July 2"' in copied and "mon 10:00-14:00" in copied


def test_what_is_wrong_is_said_and_nothing_is_made(site: Site) -> None:
    with site.engine.begin() as c:
        create_pool(c, site.acme, "main", ["+34910000000"], "test", now())
        create_pool(c, site.other, "theirs", ["+34910000009"], "test", now())
    client = site.client("super")
    wrong = {"name": "!", "company": "Acme", "flow": "reminder", "pool": "main", "window": "never"}
    page = client.post("/campaigns/new", wrong).text
    assert "name" in page and "window" in page and "This has to change first" in page
    page = client.post("/campaigns/new", wrong | {"name": "X", "company": "Other", "pool": "theirs",
                                                  "window": ""}).text  # fmt: skip
    assert "not yours" in page
    with site.engine.connect() as c:
        assert c.scalar(select(t.campaign.c.id)) is None


def test_a_flow_that_cannot_be_used_is_told_as_one(site: Site) -> None:
    with site.engine.begin() as c:
        create_pool(c, site.acme, "main", ["+34910000000", "+34910000001"], "test", now())
        users.set_values(c, site.ids["super"], language="es")
    told = {"name": "X", "company": "Acme", "flow": "abandoned", "pool": "main"}
    page = site.client("super").post("/campaigns/new", told).text
    assert "Lo que oyen los deudores no se puede usar" in page and "abandoned" in page


def test_before_it_is_made_it_says_whom_it_may_call_and_when_it_would_be_done(
    site: Site,
) -> None:
    with site.engine.begin() as c:
        create_pool(c, site.acme, "main", ["+34910000000", "+34910000001"], "test", now())
    for n in range(3):
        one = debtor(site, document=f"1000001{n}A", timezone="Europe/Madrid")
        with site.engine.begin() as c:
            if n == 2:
                c.execute(update(t.debtor).where(t.debtor.c.id == one).values(opted_out_at=now()))
    client = site.client("super")
    form = {"name": "July", "company": "Acme", "flow": "reminder", "language": "es",
            "pool": "main", "window": "mon-sun 00:00-24:00", "calls_per_second": "2",
            "max_concurrent": "9", "mode": "agentless", "retry": "yes", "whom": "all"}  # fmt: skip
    tomorrow = (now() + timedelta(days=1)).astimezone(ZoneInfo("Europe/Madrid"))
    start = f"{tomorrow:%Y-%m-%dT%H:%M}"
    assert "Make it" not in client.get("/campaigns/new").text, "first it is looked at"
    page = client.post("/campaigns/new", {**form, "look": "1"}).text
    assert "All 3 leads were looked at" in page and "Make it" in page
    assert _cell(page, "Now") == "2" and _cell(page, "Never") == "1"
    assert "Asked not to be contacted" in page
    assert "called as often as allowed" in page and "assumed, not measured" in page
    assert "<svg" in page and "aria-hidden" in page
    page = client.post("/campaigns/new", {**form, "look": "1", "start": start}).text
    assert _cell(page, "At the start") == "2" and "It starts by itself on" in page
    nobody = client.post("/campaigns/new", {**form, "look": "1", "mode": "progressive"}).text
    assert "which is what 1 agent can take" in nobody
    empty = client.post("/campaigns/new", {**form, "look": "1", "whom": "none"}).text
    assert "It begins empty" in empty and "Whom it may call" not in empty
    past = client.post("/campaigns/new", {**form, "look": "1", "start": "2020-01-01T10:00"}).text
    assert "has passed already" in past
    odd = client.post("/campaigns/new", {**form, "look": "1", "start": "soon"}).text
    assert "no date and time: soon" in odd
    with site.engine.connect() as c:
        assert c.scalar(select(t.campaign.c.id)) is None and c.scalar(select(t.lead.c.id)) is None
    assert client.post("/campaigns/new", {**form, "start": start}).status_code == 302
    with site.engine.connect() as c:
        row = c.execute(select(t.campaign)).one()
        assert len(c.execute(select(t.lead)).all()) == 3
    wanted = tomorrow.replace(second=0, microsecond=0)
    assert (row.state, row.start_at) == ("draft", wanted.astimezone(UTC))


def _cell(page: str, row: str) -> str:
    """The first figure of a row."""
    found = re.search(rf'<th scope="row">{row}</th><td class="num">\s*([^<]+?)\s*</td>', page)
    assert found is not None, row
    return found[1]


def test_a_draft_is_given_a_time_to_start_and_it_is_taken_away(site: Site, world: World) -> None:
    with site.engine.begin() as c:
        c.execute(update(t.campaign).values(state="draft"))
    client, path = site.client("super"), f"/campaigns/{world.campaign_id}/schedule"
    client.post(path, {"start": "2020-01-01T10:00"})
    assert "passed already" in show(client, world)
    client.post(path, {"start": "2099-01-01T10:00"})
    page = show(client, world)
    assert "It starts by itself on" in page and 'value="2099-01-01T10:00"' in page
    assert "to be called when it starts" in page
    assert site.client("rival").post(path, {"start": ""}).status_code == 404
    assert site.client("auditor").post(path, {"start": ""}).status_code == 403
    client.post(path, {"start": ""})
    assert "It starts by itself on" not in show(client, world)
    with site.engine.connect() as c:
        assert c.scalar(select(t.campaign.c.start_at)) is None


def test_its_page_says_whom_it_may_call_and_when_it_ends(site: Site, world: World) -> None:
    page = show(site.client("super"), world)
    assert "Of 1 waiting leads the rules of contact allow 100" in page
    assert "called as often as allowed" in page
    with site.engine.begin() as c:
        c.execute(update(t.lead).values(state="done"))
    assert "rules of contact allow" not in show(site.client("auditor"), world).split("<details>")[0]


# --- today ----------------------------------------------------------------------------------


def test_the_glance_counts_what_happened(site: Site, world: World) -> None:
    # A fixed moment of the day: the calls lie between nine and twenty o'clock.
    evening = now().replace(hour=21, minute=0)
    fill_history(site.engine, world.campaign_id, debtors=60, attempts=600, seed=2, now=evening,
                 days=2)  # fmt: skip
    since = evening - timedelta(days=1)
    with site.engine.connect() as c:
        found = today.glance(c, [world.campaign_id], since, evening)
        rows = c.execute(select(t.attempt).where(t.attempt.c.placed_at >= since)).all()
        steps = c.execute(select(t.fallback)).all()
    assert found.calls == len(rows) > 100
    assert found.answered == sum(one.answered_at is not None for one in rows)
    ended = found.dispositions[Disposition.ANSWERED_ABANDONED.value]
    assert ended == sum(one.disposition == "answered_abandoned" for one in rows)
    assert sum(found.followed.values()) + sum(found.refused.values()) == ended
    assert sum(found.followed.values()) <= sum(one.refused is None for one in steps)
    assert found.latency_ms["p50"] and found.promises > 0 and found.money["EUR"] > 0
    assert len(found.minutes) == today.MINUTES


def test_an_empty_console_says_where_to_begin(site: Site) -> None:
    page = site.client("rival").get("/today").text
    assert "Nothing is called yet" in page and "/lists" in page


def test_however_many_look_it_is_looked_up_once() -> None:
    asked: list[int] = []

    def find() -> int:
        time.sleep(0.02)
        asked.append(1)
        return len(asked)

    moment = 100.0
    sampler = Sampler(every=1.0, clock=lambda: moment)
    viewers = [threading.Thread(target=lambda: sampler.get("k", find)) for _ in range(50)]
    for one in viewers:
        one.start()
    for one in viewers:
        one.join()
    assert asked == [1]
    assert sampler.get("other", find) == 2
    moment += 1.0
    assert sampler.get("k", find) == 3


def test_a_live_view_sends_the_part_at_once_and_only_what_changes(site: Site, world: World) -> None:
    answer = site.client("super").http.get(f"/campaigns/{world.campaign_id}/live")
    lines = answer.iter_encoded()
    first = next(lines).decode()
    answer.close()
    assert answer.mimetype == "text/event-stream"
    assert first.startswith("event: part\ndata: ") and first.endswith("\n\n")
    assert "<html" not in first and "Calls in the air" in first


# --- sentences ------------------------------------------------------------------------------


def test_steps_read_as_a_sentence(site: Site) -> None:
    steps = (FallbackStep(StepKind.REDIAL, unseen_days=7), FallbackStep(StepKind.SMS))
    with site.app.test_request_context(headers={"Accept-Language": "es"}):
        assert sentences.fallback_sentence(steps) == (
            "A quien contesta y cuelga sin pulsar ninguna tecla se le vuelve a llamar al momento"
            " desde un número que ese teléfono no ha visto en 7 días; si no es posible, se le envía"
            " un SMS, si el número es móvil."
        )
    with site.app.test_request_context(headers={"Accept-Language": "en"}):
        assert sentences.fallback_sentence(()).endswith("until the next try.")


def test_hours_of_like_days_stand_together(site: Site) -> None:
    from datetime import time as clock

    days = [DayWindow(day, clock(9), clock(21)) for day in range(5)]
    days += [DayWindow(5, clock(10), clock(0))]
    with site.app.test_request_context(headers={"Accept-Language": "en"}):
        assert sentences.hours_sentence(tuple(days)) == "Mon–Fri 09:00–21:00; Sat 10:00–24:00"
