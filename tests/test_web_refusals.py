"""Nobody gets what is not theirs: every route of the table, and every operation of the API, asked
by those whose it is not, with somebody else's ids in its path, its address and its form.

The form token is always right: what refuses is the rule, not the token's check.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from api_office import Program, key, program
from console_world import campaign
from fixtures_site import Client, Site, make_site, make_user
from redis import Redis
from refusal_world import METHODS, NOBODYS, Door, Theirs, doors, one_of_everything
from sqlalchemy import Engine, select
from werkzeug.wrappers import Response

from dialer.config import Settings
from dialer.desk.models import CommandName
from dialer.desk.wire import Reply
from dialer.domain.access import Role
from dialer.domain.api import Scope
from dialer.store import log_ins
from dialer.store import tables as t
from dialer.store.agents import create_agent, new_token
from dialer.store.schema import metadata
from web import agents_access, api_parts
from web.access import attempts
from web.access.doors import SESSION_KEY
from web.access.rules import OWN_DOORS, rule_of
from web.api.registry import OPERATIONS, Operation
from web.problems import PROBLEM_JSON

pytestmark = pytest.mark.database("sqlite")  # rules and conditions are the same on both

FAR = 10_000
KNOWN_NEAR = {"Acme", "Ana Ruiz"}
"""What an agent knows of their own company: its name, and colleagues to hand a call to."""
CHANGED_BY_LOOKING = {"web_session", "app_user", "api_token"}
"""Tables whose rows say when somebody was last seen."""

UPLOADS = "uploads"
EVERYBODYS = {"company", "text_version"}
"""Tables of what all companies share."""


@pytest.fixture
def site(database: Engine, redis_url: str, tmp_path: Path) -> Site:
    """With a gateway set up, so that its hook reads what comes."""
    Redis.from_url(redis_url).flushdb()
    settings = Settings(
        home=tmp_path, redis_url=redis_url, test_acquirer_api_base="http://127.0.0.1:9"
    )
    return make_site(settings, database)


@pytest.fixture
def theirs(site: Site, monkeypatch: pytest.MonkeyPatch) -> Theirs:
    """What nobody here may see; a walk is faster than a person and counts as one."""
    monkeypatch.setattr(agents_access, "PER_SECOND", FAR)
    monkeypatch.setattr(attempts, "PER_MINUTE", FAR)
    made = one_of_everything(site)
    campaign(site, site.other, "own", "draft")  # a company without numbers is shown other pages
    now = datetime.now(UTC)
    with site.engine.begin() as c:
        desk = create_agent(c, site.other, "leo", {"name": "Leo Gil"}, "test", now)
        near = create_agent(c, site.acme, "eva", {"name": "Eva Sanz"}, "test", now)
    for who, role, whose, agent in (
        ("scout", Role.AGENT, site.other, desk),
        ("near", Role.AGENT, site.acme, near),
        ("chief", Role.ADMINISTRATOR, site.other, None),
        ("looks", Role.AUDITOR, site.acme, None),
    ):
        site.ids[who] = make_user(site.engine, who, role, whose, agent)
    monkeypatch.setattr(api_parts, "ask", _engine(made))
    return made


def _engine(theirs: Theirs) -> Any:
    """An engine that tells of the whole floor and that nobody may lead to a desk of theirs."""
    at = datetime.now(UTC).isoformat()

    def ask(_redis: Any, _node: str, do: CommandName, session: str | None, _args: Any) -> Reply:
        assert session != theirs.session, f"{do} reached the desk"
        floor = {
            "agents": [
                {"session": theirs.session, "agent_id": theirs.agent_id, "name": "Ana Ruiz",
                 "state": "talking", "pause_code": None, "since": at, "present": True,
                 "attempt": theirs.attempt_id}
            ],
            "queue": [{"attempt": theirs.attempt_id, "kind": "escalation", "skill": "ambar",
                       "since": at}],
            "talks": [{"attempt": theirs.attempt_id, "debtor": "Quiteria", "joined": at,
                       "away": None}],
        }  # fmt: skip
        return Reply.done(**floor) if do is CommandName.FLOOR else Reply.refused("not_possible")

    return ask


class Walker:
    """A browser that stays logged in whatever it asks for."""

    def __init__(
        self, site: Site, theirs: Theirs, who: str | None, bearer: str | None = None
    ) -> None:
        self._site, self._theirs, self._who, self._bearer = site, theirs, who, bearer
        self._client = Client(site.app.test_client())
        self._token = ""
        self._come_in()

    def _come_in(self) -> None:
        if self._who is not None:
            with self._site.engine.begin() as c:
                opened = log_ins.open_web_session(
                    c, self._site.ids[self._who], "walk", datetime.now(UTC)
                )
            with self._client.http.session_transaction() as kept:
                kept.clear()
                kept[SESSION_KEY] = opened
        self._token = self._client.token()

    def ask(self, door: Door, *, plainly: bool = False) -> tuple[int, str, str]:
        """Status, where it leads, and what it says. ``plainly``: without naming what is theirs."""
        form = self._theirs.form_of(door.endpoint)
        asked = {name: value for name, value in form.items() if name != "number"}
        more: dict[str, Any] = {"query_string": asked}  # which a log-in page repeats
        if plainly:
            more = {}
        elif door.endpoint == "lists.upload":
            form |= {"file": (io.BytesIO(b"dni;nombre\n1;Mole\n"), "mole.csv")}
            more = {"data": form | {"csrf_token": self._token}}
        elif door.method != "GET" and not door.path.startswith("/api/"):
            more = {"data": form | {"csrf_token": self._token}}
        headers = {"X-CSRFToken": self._token, "Accept": "text/html"}
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer}"
        with self._client.http.open(
            door.path, method=door.method, headers=headers, **more
        ) as answer:
            said = _said(answer)
        if answer.status_code == 302 and not answer.location.startswith(("/log-in", "http")):
            with self._client.get(answer.location, headers=headers) as led:
                said += _said(led)  # where what was found is told
        if door.blueprint == "access":
            self._come_in()  # it may have been the way out
        return answer.status_code, answer.location or "", said


def _said(answer: Response) -> str:
    """Of a live view, which never ends, the beginning."""
    if answer.mimetype == "text/event-stream":
        return next(iter(answer.iter_encoded())).decode()
    return answer.get_data().decode("utf-8", "replace")


def all_doors(site: Site, theirs: Theirs) -> list[Door]:
    found = list(doors(site, theirs))
    assert len(found) > 5 * 100
    return found


def reveals(theirs: Theirs, said: str) -> list[str]:
    """Words of theirs in an answer."""
    return [word for word in theirs.words if word in said]


# --- whose the route is -----------------------------------------------------------------------


WITHOUT_ROUTE = {None, "rival"}
"""Who asks also by methods that no route is for: most of all requests, answered to all alike."""


def refused(door: Door, status: int, where: str) -> bool:
    """As if it were not there, forbidden, or to the log-in."""
    if door.endpoint is None:
        return status in (404, 405)
    return status in (401, 403, 404) or (status == 302 and where.startswith("/log-in"))


@pytest.mark.parametrize("who", [None, "scout", "near", "rival", "chief"])
def test_what_is_another_s_is_refused_and_stays_as_it_was(
    site: Site, theirs: Theirs, who: str | None
) -> None:
    walker, before, faults = Walker(site, theirs, who), kept_by(site), []
    role = None if who is None else _role(site, who)
    owner = Walker(site, theirs, "super")
    for door in all_doors(site, theirs):
        if door.endpoint is None and who not in WITHOUT_ROUTE:
            continue
        if door.method == "GET" and who in WITHOUT_ROUTE:
            owner.ask(door, plainly=True)  # what is kept of it for a moment is theirs alone
        status, where, said = walker.ask(door)
        must = door.owned or door.endpoint is None or not _open_to(site, door, role)
        if must and not refused(door, status, where) and not _signed(door, status):
            faults.append(f"{door}: {status} {where}")
        if status >= 500:
            faults.append(f"{door}: {status}")
        if door.endpoint is not None and not door.owned:
            # Filters may have hidden it; and what is asked back may name what there is.
            said += walker.ask(door, plainly=True)[2]
        if words := set(reveals(theirs, said)) - (KNOWN_NEAR if who == "near" else set()):
            faults.append(f"{door}: tells {words}")
    assert not faults, "\n".join(faults)
    assert changed(site, theirs, before) == []


@pytest.mark.parametrize("whose", ["a program", "an agent"])
def test_a_token_opens_nothing_but_its_own_door(site: Site, theirs: Theirs, whose: str) -> None:
    own = {"a program": "api", "an agent": "agents_api"}[whose]
    if whose == "a program":
        bearer = key(site, site.other)
    else:
        with site.engine.begin() as c:
            desk = c.scalar(select(t.agent.c.id).where(t.agent.c.login == "leo"))
            bearer = new_token(c, int(desk or 0), "test", datetime.now(UTC))
    walker, before, faults = Walker(site, theirs, None, bearer), kept_by(site), []
    for door in all_doors(site, theirs):
        if door.endpoint is None:
            continue
        status, where, said = walker.ask(door)
        closed = door.blueprint != own and not _open_to_all(site, door)
        if closed and not refused(door, status, where) and not _signed(door, status):
            faults.append(f"{door}: {status} {where}")
        if words := reveals(theirs, said):
            faults.append(f"{door}: tells {words}")
    assert not faults, "\n".join(faults)
    assert changed(site, theirs, before) == []


def _open_to_all(site: Site, door: Door) -> bool:
    return not door.owned and _open_to(site, door, None)


def _role(site: Site, who: str) -> Role:
    with site.engine.connect() as c:
        return Role(
            c.scalar(select(t.app_user.c.role).where(t.app_user.c.id == site.ids[who])) or ""
        )


def _open_to(site: Site, door: Door, role: Role | None) -> bool:
    """Whether the rule of the route lets such a person in, with what is their own."""
    assert door.endpoint is not None
    rule = rule_of(site.app, door.endpoint)
    assert rule is not None, f"{door.endpoint} has no rule"
    if rule.needs_viewer:
        return role in rule.roles
    if door.blueprint == "api":
        return door.endpoint == "api.document"  # a browser's session opens none of the others
    if door.blueprint == "agents_api":
        return role is Role.AGENT
    if door.blueprint == "supervisors_api":
        return role in (Role.SUPERVISOR, Role.ADMINISTRATOR)
    return door.blueprint not in OWN_DOORS


def _signed(door: Door, status: int) -> bool:
    """Hooks are refused for their signature, to everybody alike."""
    return door.blueprint in ("twilio", "gateways") and status in (400, 403)


def test_the_ids_are_those_of_something(site: Site, theirs: Theirs) -> None:
    """Who may see all gets every page that the others were refused, and reads the words."""
    walker, read = Walker(site, theirs, "admin"), set()
    for door in all_doors(site, theirs):
        if door.method != "GET" or not door.owned or door.endpoint is None:
            continue
        if door.blueprint in OWN_DOORS or door.endpoint == "access.welcome":
            continue
        status, _where, said = walker.ask(door)
        assert status == 200, door
        read |= set(reveals(theirs, said))
    assert read >= {"Quiteria", "ambar", "611222333", "Super Example", "Acme"}


def test_who_names_another_company_or_none_learns_of_no_other(site: Site, theirs: Theirs) -> None:
    rival = site.client("rival")
    form = {"name": "mole", "flow": "reminder", "pool": "pool of own"}
    for name in ("Acme", "Nobody", ""):
        page = rival.post("/campaigns/new", form | {"company": name}).text
        assert "That company is not yours." in page, name
        assert not reveals(theirs, page), name
    assert rival.post("/campaigns/new", form | {"company": "Other"}).status_code == 302


# --- who only looks ---------------------------------------------------------------------------

LOOKING = {"access", "debtors.search"}
"""What an auditor may send: their own log-in and account, and a search, whose words are kept out of
addresses."""


def test_an_auditor_changes_nothing(site: Site, theirs: Theirs) -> None:
    walker, before, faults, asked = Walker(site, theirs, "looks"), kept_by(site), [], 0
    for door in all_doors(site, theirs):
        if door.method == "GET" or door.endpoint is None or door.endpoint in LOOKING:
            continue
        if door.blueprint in LOOKING:
            continue
        asked += 1
        status, where, _said = walker.ask(door)
        if not refused(door, status, where) and not _signed(door, status):
            faults.append(f"{door}: {status} {where}")
    assert not faults, "\n".join(faults)
    assert asked > 40
    assert changed(site, theirs, before) == []


# --- programs ---------------------------------------------------------------------------------


def places(theirs: Theirs, one: Operation) -> str:
    """Its path with their ids. Raises KeyError for a place that nothing is known for."""
    return one.path.format(**{name: theirs.values[name] for name in one.places})


def body(theirs: Theirs, one: Operation, **more: Any) -> dict[str, Any]:
    """What an operation takes; persons in it are theirs."""
    if one.body is None:
        return {}
    assert one.example is not None, f"{one.name} takes a body and has no example"
    wanted = {"document": theirs.document, "number": theirs.number}
    known = {name: value for name, value in wanted.items() if name in one.example}
    return {"json": {**one.example, **known, **more}}


def test_no_program_gets_what_is_another_s(site: Site, theirs: Theirs) -> None:
    rival, nobody = program(site, site.other), Program(site, None)
    lacking = {one: program(site, site.other, *(set(Scope) - {one})) for one in Scope}
    before = kept_by(site)
    whose = {"company_id": theirs.company_id, "company": "Acme"}
    for one in OPERATIONS:
        path, sent = places(theirs, one), body(theirs, one)
        unknown = nobody.ask(one.method, path, **sent)
        assert (unknown.status_code, unknown.mimetype) == (401, PROBLEM_JSON), one.name
        assert unknown.headers["WWW-Authenticate"].startswith("Bearer")
        lacks = lacking[one.scope].ask(one.method, path, **sent)
        assert lacks.status_code == 403 and one.scope.value in lacks.json["detail"], one.name
        answer = rival.ask(one.method, path, **sent)
        if set(one.places) - NOBODYS:
            assert answer.status_code == 404, (one.name, answer.text)
        elif one.scope is Scope.TEXTS_WRITE:
            assert answer.status_code == 403, "the texts are those of all companies"
        else:
            assert answer.status_code < 300, (one.name, answer.text)
        assert not reveals(theirs, answer.text), (one.name, answer.text)
        for name, value in whose.items():  # asked for by name, where it can be
            if one.body is not None and name in one.body.model_fields:
                answer = rival.ask(one.method, path, **body(theirs, one, **{name: value}))
            elif one.query is not None and name in one.query.model_fields:
                answer = rival.ask(one.method, path, query_string={name: value}, **sent)
            else:
                continue
            assert answer.status_code == 404, (one.name, name, answer.text)
    for method in METHODS:
        for one in OPERATIONS:
            answer = rival.ask(method, places(theirs, one))
            assert answer.status_code >= 400 or not set(one.places) - NOBODYS
            assert not reveals(theirs, answer.text), (method, one.name)
    assert changed(site, theirs, before) == []


def test_every_company_s_key_finds_what_the_other_did_not(site: Site, theirs: Theirs) -> None:
    every, read = program(site), set()
    for one in OPERATIONS:
        if one.method == "GET":
            with every.ask("GET", places(theirs, one)) as answer:  # a file is closed
                said = answer.get_data().decode("utf-8", "replace")
            assert answer.status_code == 200, (one.name, said)
            read |= set(reveals(theirs, said))
    assert read >= {"Quiteria", "ambar", "611222333", "Ana Ruiz", "Acme"}


# --- the walk itself --------------------------------------------------------------------------


def test_a_new_part_of_a_path_has_to_be_said(site: Site, theirs: Theirs) -> None:
    site.app.add_url_rule("/new/<thing_id>", "new", lambda thing_id: thing_id)
    with pytest.raises(KeyError, match="thing_id"):
        list(doors(site, theirs))


def test_a_new_route_without_a_rule_stops_the_walk(site: Site, theirs: Theirs) -> None:
    site.app.add_url_rule("/forgotten", "forgotten", lambda: "all the debtors")
    walker = Walker(site, theirs, "rival")
    (door,) = (one for one in doors(site, theirs) if one.endpoint == "forgotten")
    assert walker.ask(door)[0] == 403  # and refused it is meanwhile
    with pytest.raises(AssertionError, match="no rule"):
        _open_to(site, door, Role.SUPERVISOR)


# --- what is kept -----------------------------------------------------------------------------


def kept_by(site: Site) -> dict[str, set[str]]:
    """Every row of every table, as text; and every list that was uploaded."""
    with site.engine.connect() as c:
        kept = {
            table.name: {str(tuple(row)) for row in c.execute(select(table))}
            for table in metadata.sorted_tables
        }
    folder = site.settings.home / "uploads"
    return kept | {UPLOADS: {path.read_text() for path in folder.glob("*.json")}}


def changed(site: Site, theirs: Theirs, before: Mapping[str, set[str]]) -> list[str]:
    """Rows that were and are no more as they were, and new ones that are of that company."""
    after = kept_by(site)
    gone = [
        f"{name}: {row}"
        for name, rows in before.items()
        if name not in CHANGED_BY_LOOKING
        for row in rows - after[name]
    ]
    return gone + list(_added(site, theirs, before))


def _added(site: Site, theirs: Theirs, before: Mapping[str, set[str]]) -> Iterator[str]:
    for note in kept_by(site)[UPLOADS] - before[UPLOADS]:
        if json.loads(note)["company_id"] == theirs.company_id:
            yield f"uploaded: {note}"
    with site.engine.connect() as c:
        for table in metadata.sorted_tables:
            query = select(table)
            if table.name not in EVERYBODYS:
                if "company_id" not in table.c or table.name == "audit":
                    continue
                query = query.where(table.c.company_id == theirs.company_id)
            for row in c.execute(query):
                if str(tuple(row)) not in before[table.name]:
                    if table.name in CHANGED_BY_LOOKING and row.id in site.ids.values():
                        continue
                    yield f"new in {table.name}: {tuple(row)}"
