"""Keys of programs: what they open and what not, made in the console and by the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_office import Program, key
from console_world import campaign
from fixtures_site import Site, make_user
from sqlalchemy import select

from dialer import cli
from dialer.domain.access import Role
from dialer.domain.api import Scope
from dialer.store import api_tokens
from dialer.store.companies import NewCompany, NotPossible, create_company
from dialer.store.db import migrate, open_database
from dialer.store.tables import api_token, audit
from web.api import door


def now() -> datetime:
    return datetime.now(UTC)


def test_a_key_that_is_revoked_or_too_old_opens_nothing(site: Site) -> None:
    token = key(site, site.acme)
    assert Program(site, token).ask("GET", "/campaigns").status_code == 200
    with site.engine.begin() as c:
        (row,) = api_tokens.list_tokens(c)
        api_tokens.revoke_token(c, row.id, "test", now())
        with pytest.raises(NotPossible):
            api_tokens.revoke_token(c, row.id, "test", now())
    assert Program(site, token).ask("GET", "/campaigns").status_code == 401
    old = key(site, site.acme, expires_at=now() + timedelta(milliseconds=1))
    assert Program(site, old).ask("GET", "/campaigns").status_code == 401


def test_only_a_hash_is_kept_and_its_use_is_noted(site: Site) -> None:
    token = key(site, site.acme)
    assert token.startswith("dlr_")
    with site.engine.connect() as c:
        (row,) = c.execute(select(api_token)).all()
        assert token not in str(tuple(row))
        assert row.last_used_at is None
    Program(site, token).get("/campaigns")
    with site.engine.connect() as c:
        assert c.scalar(select(api_token.c.last_used_at)) is not None


@pytest.mark.database("sqlite")
def test_a_key_may_ask_so_often_a_minute(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PER_MINUTE", 2)
    token = key(site, site.acme)
    answers = [Program(site, token).ask("GET", "/agents") for _ in range(6)]
    assert answers[0].headers["RateLimit-Limit"] == "2"
    assert answers[0].headers["RateLimit-Remaining"] == "1"
    refused = next(one for one in answers if one.status_code == 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.json["code"] == "too_many_requests"
    assert Program(site, key(site, site.acme)).ask("GET", "/agents").status_code == 200


@pytest.mark.database("sqlite")
def test_a_scope_that_is_no_more_opens_nothing(site: Site) -> None:
    token = key(site, site.acme)
    with site.engine.begin() as c:
        c.execute(api_token.update().values(scopes=["bygone:read"]))
    assert Program(site, token).ask("GET", "/campaigns").status_code == 403


# --- the console ----------------------------------------------------------------------------


def form(**changes: Any) -> dict[str, Any]:
    return {"name": "the CRM", "scopes": ["leads:write", "results:read"], "days": "90", **changes}


def test_a_key_is_made_shown_once_and_revoked(site: Site) -> None:
    admin = site.client("admin")
    assert "No program has a key yet" in admin.get("/api-keys").text
    made = admin.post("/api-keys", form(company=str(site.acme)))
    assert made.status_code == 200, made.text
    token = made.text.partition('value="dlr_')[2].partition('"')[0]
    assert len(token) > 40
    listed = admin.get("/api-keys").text
    assert token not in listed and "the CRM" in listed and "Acme" in listed
    caller = Program(site, "dlr_" + token)
    campaign(site, site.acme)
    assert caller.ask("GET", "/promises").status_code == 200
    assert caller.ask("GET", "/campaigns").status_code == 403
    with site.engine.connect() as c:
        row = c.execute(select(api_token)).one()
    assert (row.company_id, row.scopes) == (site.acme, ["leads:write", "results:read"])
    assert row.created_by == f"user:{site.ids['admin']}"
    assert timedelta(days=89) < row.expires_at - now() < timedelta(days=91)
    gone = admin.post(f"/api-keys/{row.id}/revoke")
    assert gone.status_code == 302
    assert caller.ask("GET", "/promises").status_code == 401
    with site.engine.connect() as c:
        actions = [one.action for one in c.execute(select(audit)) if "api_key" in one.action]
    assert actions == ["api_key.create", "api_key.revoke"]


@pytest.mark.database("sqlite")
def test_the_form_says_what_is_wrong(site: Site) -> None:
    admin = site.client("admin")
    wrong = admin.post("/api-keys", form(name=" ", scopes=[], company="77", days="12"))
    assert wrong.status_code == 422
    assert wrong.text.count('class="hint bad"') == 4
    assert 'value="dlr_' not in wrong.text


@pytest.mark.database("sqlite")
def test_an_administrator_of_one_company_has_its_keys_alone(site: Site) -> None:
    make_user(site.engine, "chief", Role.ADMINISTRATOR, site.acme)
    chief = site.client("chief")
    key(site, site.other)
    key(site, None)
    made = chief.post("/api-keys", form(company=str(site.other)))
    assert made.status_code == 200
    with site.engine.connect() as c:
        own = c.execute(select(api_token).order_by(api_token.c.id.desc())).fetchmany(1)[0]
        others = c.execute(select(api_token.c.id).where(api_token.c.id != own.id)).scalars().all()
    assert own.company_id == site.acme
    assert "a program" not in chief.get("/api-keys").text
    for other in others:
        assert chief.post(f"/api-keys/{other}/revoke").status_code == 404


# --- the command line -----------------------------------------------------------------------


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIALER_HOME", str(tmp_path))
    url = f"sqlite:///{tmp_path / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    with engine.begin() as c:
        create_company(c, NewCompany("Acme", "ES", "Europe/Madrid", "Acme"), "test", now())

    def run(*words: str, code: int = 0) -> str:
        assert cli.run(list(words)) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    assert "no key yet" in run("api-key", "list")
    made = json.loads(run("api-key", "create", "CRM", "--scope", "leads:write", "--json"))
    with engine.connect() as c:
        found = api_tokens.token_of(c, made["token"], now())
    assert found is not None and found.scopes == (Scope.LEADS_WRITE,) and found.company == "Acme"
    said = run("api-key", "create", "all", "--every-company", "--days", "30")
    assert "every company" in said and "dlr_" in said
    listed = json.loads(run("api-key", "list", "--json"))
    assert [one["name"] for one in listed] == ["all", "CRM"]
    assert made["token"] not in run("api-key", "list")
    assert "opens nothing any more" in run("api-key", "revoke", str(made["id"]))
    assert "revoked" in run("api-key", "list")
    assert "there is no key 99" in run("api-key", "revoke", "99", code=1)
    with engine.connect() as c:
        assert api_tokens.token_of(c, made["token"], now()) is None
    engine.dispose()
