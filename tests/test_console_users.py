"""Users through the browser: made, changed, shut out, let in; each administrator within their
company."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from fixtures_site import PASSWORD, Client, Site, make_user
from sqlalchemy import select

from dialer.domain.access import Role
from dialer.store import users
from dialer.store.agents import create_agent
from dialer.store.companies import NotPossible
from dialer.store.tables import agent, app_user, audit, user_link


def form(**changes: Any) -> dict[str, Any]:
    """A supervisor, but for ``changes``."""
    return {
        "email": "eva@example.com", "name": "Eva Gil", "role": "supervisor", "agent": "",
        "language": "es", "timezone": "", **changes,
    }  # fmt: skip


def chief(site: Site) -> Client:
    """An administrator of acme alone."""
    make_user(site.engine, "chief", Role.ADMINISTRATOR, site.acme)
    return site.client("chief")


def user_named(site: Site, email: str) -> Any:
    with site.engine.connect() as c:
        return c.execute(select(app_user).where(app_user.c.email == email)).first()


def rows(site: Site, action: str) -> list[Any]:
    with site.engine.connect() as c:
        return list(c.execute(select(audit).where(audit.c.action == action)))


def test_a_user_is_made_and_comes_in_by_the_link(site: Site) -> None:
    admin = site.client("admin")
    page = admin.post("/users", form(company=str(site.acme)))
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    found = re.search(r"/welcome/[\w-]+", page.text)
    assert found is not None
    made = user_named(site, "eva@example.com")
    assert (made.role, made.company_id, made.timezone) == ("supervisor", site.acme, "Europe/Madrid")
    assert found.group() not in admin.get("/users").text + admin.get(f"/users/{made.id}").text
    fresh = site.client()
    chosen = {"password": "a long one to remember", "again": "a long one to remember"}
    assert fresh.post(found.group(), chosen).status_code == 302
    assert "Eva Gil" in fresh.get("/account").text
    assert [one.actor for one in rows(site, "user.link")] == [f"user:{site.ids['admin']}"]


@pytest.mark.database("sqlite")
def test_an_agent_gets_a_desk_with_them(site: Site) -> None:
    admin = site.client("admin")
    wrong = admin.post("/users", form(role="agent", company=str(site.acme)))
    assert wrong.status_code == 422
    assert "needs a desk" in wrong.text
    taken = admin.post(
        "/users", form(role="agent", company=str(site.acme), agent="new", email="ana@example.com")
    )
    assert "There is an agent ana already" in taken.text
    made = admin.post("/users", form(role="agent", company=str(site.acme), agent="new"))
    assert made.status_code == 200, made.text
    with site.engine.connect() as c:
        desk = c.execute(select(agent).where(agent.c.login == "eva")).one()
    assert desk.company_id == site.acme
    assert user_named(site, "eva@example.com").agent_id == desk.id


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"email": "eva"}, "Write an address"),
        ({"name": " "}, "Write the name"),
        ({"role": "king"}, "Choose one of the list"),
        ({"company": "all"}, "belong to one company"),
        ({"company": "999"}, "Choose one of the list"),
        ({"timezone": "Madrid"}, "Write a time zone"),
        ({"email": "Super@Example.com"}, "is a user&#39;s already"),
        ({"agent": "999"}, "a desk of the same company"),
    ],
)
@pytest.mark.database("sqlite")
def test_what_is_wrong_is_said_at_the_field(site: Site, changes: Any, says: str) -> None:
    before = len(users_of(site))
    page = site.client("admin").post("/users", form(**{"company": str(site.acme), **changes}))
    assert page.status_code == 422
    assert says in page.text
    assert "Eva Gil" in page.text or "name" in changes  # nothing has to be written again
    assert len(users_of(site)) == before


def users_of(site: Site) -> list[users.User]:
    with site.engine.connect() as c:
        return users.list_users(c)


def test_an_administrator_of_one_company_knows_and_makes_no_others(site: Site) -> None:
    boss = chief(site)
    page = boss.get("/users").text
    assert "super@example.com" in page
    for stranger in ("rival@", "admin@", "auditor@"):
        assert stranger not in page
    for who in ("rival", "admin"):
        assert boss.get(f"/users/{site.ids[who]}").status_code == 404
    with site.engine.begin() as c:
        theirs = create_agent(c, site.other, "otto", {}, "test", datetime.now(UTC))
    assert boss.post("/users", form(agent=str(theirs))).status_code == 422
    # Whatever the form says, it becomes a user of the company of who makes it.
    for number, company in enumerate(("all", str(site.other), "")):
        email = f"n{number}@example.com"
        asked = form(email=email, role="administrator", company=company, name="N N")
        assert boss.post("/users", asked).status_code == 200
        assert user_named(site, email).company_id == site.acme
    changed = form(role="auditor", company="all", name="Super Example")
    assert boss.post(f"/users/{site.ids['super']}", changed).status_code == 302
    found = user_named(site, "super@example.com")
    assert (found.role, found.company_id) == ("auditor", site.acme)
    assert user_named(site, "rival@example.com").active


@pytest.mark.database("sqlite")
def test_who_is_shut_out_is_out_at_once_and_let_in_again(site: Site) -> None:
    admin, shut = site.client("admin"), site.client("super")
    path = f"/users/{site.ids['super']}"
    assert shut.get("/account").status_code == 200
    assert admin.post(f"{path}/deactivate").status_code == 302
    assert shut.get("/account").status_code == 302
    assert "Shut out" in admin.get(path).text
    assert admin.post(f"{path}/link").status_code == 302  # no link for who is shut out
    with site.engine.connect() as c:
        assert c.execute(select(user_link)).all() == []
    admin.post(f"{path}/activate")
    assert site.client("super").get("/account").status_code == 200


@pytest.mark.database("sqlite")
def test_sessions_are_ended_and_that_is_on_record(site: Site) -> None:
    admin, away = site.client("admin"), site.client("super")
    path = f"/users/{site.ids['super']}"
    assert away.get("/account").status_code == 200
    admin.post(f"{path}/sessions/end")
    assert away.get("/account").status_code == 302
    assert [(one.target, one.after) for one in rows(site, "user.log_out")] == [
        (f"user:{site.ids['super']}", {"ended": 1})
    ]
    assert site.client("super").get("/account").status_code == 200


@pytest.mark.database("sqlite")
def test_a_lost_second_factor_is_taken_off(site: Site) -> None:
    with site.engine.begin() as c:
        users.set_values(c, site.ids["super"], totp_secret=pyotp.random_base32())
    failed = site.client().post(
        "/log-in", {"email": "super@example.com", "password": PASSWORD}
    )  # fmt: skip
    assert failed.status_code == 401
    site.client("admin").post(f"/users/{site.ids['super']}/second-factor/off")
    assert site.client("super").get("/account").status_code == 200
    assert rows(site, "user.second_factor")[0].after == {"on": False}


@pytest.mark.database("sqlite")
def test_nobody_takes_their_own_role_or_the_last_one(site: Site) -> None:
    admin, own = site.client("admin"), f"/users/{site.ids['admin']}"
    admin.post(f"{own}/deactivate")
    admin.post(own, form(role="agent", company=str(site.acme), name="Renamed"))
    found = user_named(site, "admin@example.com")
    assert (found.active, found.role, found.company_id) == (True, "administrator", None)
    assert found.name == "Renamed"
    boss = chief(site)
    last = user_named(site, "chief@example.com").id
    with site.engine.begin() as c:
        users.set_values(c, last, company_id=None)
    # Now two see everything; the second may shut the first out, and then is the last.
    assert boss.post(f"{own}/deactivate").status_code == 302
    assert not user_named(site, "admin@example.com").active
    with site.engine.begin() as c, pytest.raises(NotPossible, match="last administrator"):
        users.update_user(c, last, {"active": False}, "test", datetime.now(UTC))


@pytest.mark.database("sqlite")
def test_pages_speak_spanish_and_nobody_else_opens_them(site: Site) -> None:
    with site.engine.begin() as c:
        users.set_values(c, site.ids["admin"], language="es")
    admin = site.client("admin")
    assert "Usuario nuevo" in admin.get("/users").text
    assert "Todas las empresas" in admin.get("/users/new").text
    for who in ("super", "auditor", "agent"):
        assert site.client(who).get("/users").status_code == 403
