"""Flows' pages: the drawing, the funnel that is counted in it, what is said."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from console_world import AT, attempt, campaign, debtor, lead, past, put
from fixtures_site import Site
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from dialer.config import ROOT
from dialer.domain.funnel import Group, StepName, funnel
from dialer.domain.model import Disposition
from dialer.flow.drawing import OWN_WORDS, Note, draw
from dialer.flow.model import load_named
from dialer.store import funnel as counts
from dialer.store import tables as t

D = Disposition


def test_each_debtor_counts_once() -> None:
    """Steps lie within each other; who left counts at the last node, who agreed where it was."""
    found = funnel(
        [
            Group("greeting", None, D.ANSWERED_ABANDONED, False, False, 50),
            Group("menu", None, D.INCOMPLETE, True, True, 20),
            Group("promised", "promise_week", D.PROMISE, True, True, 20),
            Group("goodbye", "pay", D.PAID, True, True, 10),
        ],
        ["greeting", "menu", "promise_week", "pay", "goodbye"],
    )
    assert found.answered == 100
    assert [(one.name, one.debtors) for one in found.steps] == [
        (StepName.ANSWERED, 100), (StepName.PRESSED, 50), (StepName.IDENTIFIED, 50),
        (StepName.AGREED, 30), (StepName.PAID, 10),
    ]  # fmt: skip
    assert found.steps[3].of_previous == 0.6
    at = {one.node: one for one in found.nodes}
    assert (at["greeting"].left, at["greeting"].left_share) == (50, 0.5)
    assert (at["promise_week"].promised, at["pay"].paid) == (20, 10)
    assert at["goodbye"].ended == 0


GROUPS = st.lists(
    st.builds(
        Group,
        last_node=st.sampled_from("abcx"),
        came_to_at=st.sampled_from([None, "a", "b", "y"]),
        disposition=st.sampled_from(list(Disposition)),
        pressed=st.booleans(),
        identified=st.booleans(),
        debtors=st.integers(1, 1000),
    ),
    max_size=30,
)


@given(GROUPS)
def test_nobody_is_lost_or_counted_twice(groups: list[Group]) -> None:
    found = funnel(groups, "abc")
    assert sum(one.ended for one in found.nodes) == found.answered
    steps = [one.debtors for one in found.steps]
    assert steps == sorted(steps, reverse=True)
    assert all(0 <= one.share <= 1 and 0 <= one.of_previous <= 1 for one in found.steps)


def test_the_drawing_takes_figures_and_words() -> None:
    flow = load_named(ROOT / "ivr_flows", "reminder")
    words = {word: f"<{word}>" for word in OWN_WORDS}
    drawing = draw(
        flow, notes={"greeting": Note("41 % left", 0.41), "gone": Note("x")}, words=words
    )
    texts = [one.text for one in ElementTree.fromstring(drawing).iter() if one.text]
    assert "41 % left" in texts
    assert any("<no key>" in text for text in texts)
    assert not any("no key" in text.replace("<no key>", "") for text in texts)
    assert draw(flow) == draw(flow, notes={}, words={})


def test_the_last_answered_call_of_each_debtor(site: Site) -> None:
    """Earlier calls, other flows, machines and other periods do not count."""
    made = campaign(site, site.acme)
    one = lead(site, debtor(site), made)
    other = lead(site, debtor(site, document="20000012B"), made)
    hour = timedelta(hours=1)
    attempt(site, one, "a1", AT, last_node="greeting", disposition="answered_abandoned")
    attempt(
        site, one, "a2", AT + hour, last_node="promised", disposition="promise", keys="1",
        identity_confirmed=True,
    )  # fmt: skip
    put(site, t.flow_outcome, attempt_id="a2", outcome="promise", at=AT, node="promise_week")
    attempt(site, one, "a3", AT + 2 * hour, last_node="menu", flow="second_try")
    attempt(site, one, "a4", AT + 3 * hour, last_node="menu", disposition="machine")
    attempt(site, one, "a5", AT + 9 * hour, last_node="menu")
    attempt(site, other, "a6", AT + hour, last_node="menu", keys="", disposition="no_input")
    with site.engine.connect() as c:
        found = counts.last_calls(c, made, "reminder", AT, AT + 4 * hour)
    assert sorted(found, key=lambda group: group.last_node) == [
        Group("menu", None, D.NO_INPUT, False, False, 1),
        Group("promised", "promise_week", D.PROMISE, True, True, 1),
    ]


def test_the_pages(site: Site) -> None:
    made = campaign(site, site.acme)
    past(site, made)
    boss = site.client("super")
    index = boss.get("/flows").text
    assert "/flows/reminder" in index
    assert "cobro" in index
    page = boss.get("/flows/reminder").text
    assert f"/flows/reminder/figures?campaign={made}&amp;days=7" in page
    assert "{company}" in page
    figures = boss.get(f"/flows/reminder/figures?campaign={made}&days=30").text
    assert "<svg" in figures
    assert "left</text>" in figures
    assert "Pressed a key" in figures
    assert 'style="' not in figures
    whole = boss.get("/flows/reminder?figures=1").text
    assert "Node by node" in whole
    empty = boss.get("/flows/machine").text
    assert "No campaign uses this flow yet" in empty


@pytest.mark.database("sqlite")
def test_only_their_own(site: Site) -> None:
    made = campaign(site, site.acme)
    rival = site.client("rival")
    assert "cobro" not in rival.get("/flows").text
    assert rival.get(f"/flows/reminder?campaign={made}").status_code == 404
    assert rival.get(f"/flows/reminder/figures?campaign={made}").status_code == 404
    assert rival.get("/flows/nothing").status_code == 404
    assert rival.get("/flows/..%2Fetc").status_code == 404
    with site.engine.connect() as c:
        assert c.execute(select(t.audit.c.action).where(t.audit.c.action.like("flow%"))).all() == []
