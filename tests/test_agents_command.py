"""``dialer agent``, ``dialer callback`` and ``dialer campaign mode`` as people use them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_support import a_session, an_agent
from sqlalchemy import Engine
from test_callbacks import booked
from world import World, plan

from dialer import cli
from dialer.domain.model import AgentTerms, DialMode
from dialer.store import agents
from dialer.store import tables as t

pytestmark = pytest.mark.database("sqlite")


class Shell:
    """Runs command lines on a world."""

    def __init__(self, database: Engine, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = World(database)
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = cli.run(arguments)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *arguments: str) -> Any:
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def shell(
    database: Engine,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return Shell(database, capsys)


# --- agents ---------------------------------------------------------------------------------


def test_an_agent_is_made_with_what_is_said_and_listed(shell: Shell) -> None:
    code, out, err = shell("agent", "create", "ana", "--name", "Ana Ruiz", "--skills", "pay, legal",
                           "--languages", "es,en", "--station", "910123456", "--ringing",
                           "--wrap", "1m", "--actor", "boss")  # fmt: skip
    assert code == 0, err
    assert "dialer agent token ana" in out
    (one,) = shell.json("agent", "list")
    assert one == {
        "login": "ana", "name": "Ana Ruiz", "company": "Acme", "skills": ["pay", "legal"],
        "languages": ["es", "en"], "station": "+34910123456", "ringing": True, "wrap": 60.0,
        "active": True, "token": False, "state": "logged_out",
    }  # fmt: skip
    table = shell("agent", "list")[1]
    assert "Ana Ruiz" in table
    assert "pay, legal" in table
    assert shell.world.rows(t.audit)[0].actor == "boss"


def test_a_token_is_told_once_and_is_the_agent_s(shell: Shell) -> None:
    made = shell.json("agent", "create", "ana", "--with-token")
    code, out, _ = shell("agent", "token", "ana")
    assert code == 0
    second = out.split()[-1]
    assert made["token"] != second
    with shell.world.engine.connect() as c:
        assert agents.agent_by_token(c, made["token"]) is None
        found = agents.agent_by_token(c, second)
    assert found is not None
    assert found.login == "ana"
    assert shell.json("agent", "list")[0]["token"] is True
    assert second not in json.dumps(shell.json("agent", "list"))
    assert shell.json("agent", "token", "ana").keys() == {"login", "token"}


def test_what_is_set_is_changed_and_the_rest_stays(shell: Shell) -> None:
    shell("agent", "create", "ana", "--skills", "pay", "--wrap", "20s", "--ringing")
    one = shell.json("agent", "set", "ana", "--skills", "", "--wrap", "campaign", "--nailed-up")
    assert (one["skills"], one["wrap"], one["ringing"]) == ([], None, False)
    one = shell.json("agent", "set", "ana", "--station", "sip:ana@10.0.0.5", "--name", "Ana")
    assert (one["station"], one["name"], one["active"]) == ("sip:ana@10.0.0.5", "Ana", True)
    assert shell("agent", "set", "ana", "--skills", "x")[1] == "changed agent ana: skills\n"


def test_who_is_deactivated_is_let_in_no_more(shell: Shell) -> None:
    token = shell.json("agent", "create", "ana", "--with-token")["token"]
    assert shell("agent", "deactivate", "ana")[0] == 0
    with shell.world.engine.connect() as c:
        assert agents.agent_by_token(c, token) is None
    assert shell.json("agent", "list") == []
    assert [one["active"] for one in shell.json("agent", "list", "--all")] == [False]
    code, _, err = shell("agent", "token", "ana")
    assert (code, "not active" in err) == (1, True)
    assert shell.json("agent", "set", "ana", "--active")["active"] is True


def test_the_list_shows_what_each_is_doing(shell: Shell) -> None:
    a_session(shell.world, an_agent(shell.world))
    an_agent(shell.world, "luis")
    states = {one["login"]: one["state"] for one in shell.json("agent", "list")}
    assert states == {"ana": "paused", "luis": "logged_out"}


def test_of_several_companies_one_has_to_be_named(shell: Shell) -> None:
    World(shell.world.engine, plan(name="other"), company="Beta")
    code, _, err = shell("agent", "create", "ana")
    assert (code, "--company" in err) == (1, True)
    assert shell("agent", "create", "ana", "--company", "Beta")[0] == 0
    assert [one["company"] for one in shell.json("agent", "list")] == ["Beta"]
    assert shell.json("agent", "list", "--company", "Acme") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create", "Ana Ruiz"], 1, "login"),
        (["create", "ana", "--station", "12"], 1, "station"),
        (["create", "ana", "--wrap", "soon"], 2, "--wrap"),
        (["set", "nobody", "--name", "x"], 1, "dialer agent list"),
        (["set", "nobody"], 2, "say what is to change"),
        (["token", "nobody"], 1, "there is no agent 'nobody'"),
        (["deactivate", "nobody"], 1, "there is no agent"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    shell: Shell, arguments: list[str], code: int, said: str
) -> None:
    found, out, err = shell("agent", *arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


# --- callbacks ------------------------------------------------------------------------------


def test_callbacks_are_listed_and_called_off_together_or_not_at_all(shell: Shell) -> None:
    ana = an_agent(shell.world)
    first = booked(shell.world, agent_id=ana, note="after work")
    second = booked(shell.world, due_at=datetime.now(UTC) + timedelta(days=9))
    listed = shell.json("callback", "list")
    assert [one["id"] for one in listed] == [first, second]
    assert (listed[0]["agent"], listed[0]["note"], listed[1]["agent"]) == (
        "ana",
        "after work",
        None,
    )
    assert "after work" in shell("callback", "list")[1]
    code, _, err = shell("callback", "cancel", str(first), "999")
    assert (code, "no callback 999" in err) == (1, True)
    assert len(shell.json("callback", "list", "--company", "Acme")) == 2
    assert shell.json("callback", "cancel", str(first), str(first)) == {"cancelled": [first]}
    assert [one["id"] for one in shell.json("callback", "list")] == [second]
    code, _, err = shell("callback", "cancel", str(first))
    assert (code, "nothing to cancel" in err) == (1, True)


# --- the mode of a campaign -----------------------------------------------------------------


def test_a_mode_is_switched_and_seen_everywhere(shell: Shell) -> None:
    code, out, err = shell("campaign", "mode", "test", "predictive", "--actor", "boss")
    assert (code, out) == (0, "test dials in mode predictive (was agentless)\n")
    assert "Acme has no agents" in err
    an_agent(shell.world)
    code, out, err = shell("campaign", "mode", "test", "predictive")
    assert (out, err) == ("test dials in mode predictive (already)\n", "")
    assert shell.json("campaign", "mode", "test", "preview") == {
        "campaign": "test", "before": "predictive", "mode": "preview",
    }  # fmt: skip
    assert shell.json("campaign", "list")[0]["mode"] == "preview"
    shown = shell.json("campaign", "show", "test")
    assert shown["plan"]["agents"]["mode"] == "preview"
    assert [one["action"] for one in shown["history"]] == ["campaign.mode", "campaign.mode"]


def test_a_mode_that_is_none_or_may_not_be_is_refused(shell: Shell) -> None:
    assert shell("campaign", "mode", "test", "turbo")[0] == 2
    short = plan(name="short", ring_timeout=10.0, agents=AgentTerms(mode=DialMode.PREVIEW))
    World(shell.world.engine, short, company="Beta")
    code, out, err = shell("campaign", "mode", "short", "power")
    assert (code, out) == (1, "")
    assert "ring_min" in err
    assert shell("campaign", "mode", "nobody", "power")[0] == 1
