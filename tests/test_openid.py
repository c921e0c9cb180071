"""Logging in by an OpenID provider: a real one, of our own, in a process beside this one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import openid_double
import pyotp
import pytest
from fixtures_site import PASSWORD, Client, Site, make_site
from openid_double import CLIENT, SECRET
from redis import Redis
from sqlalchemy import Engine, select

from dialer.config import ConfigError, Settings, load_settings
from dialer.store import log_ins, users
from dialer.store import tables as t
from web import create_app
from web.access import attempts, openid

pytestmark = pytest.mark.database("sqlite")  # nothing here is the database's


class Double:
    """The provider's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, openid_double.__file__], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.issuer = self._process.stdout.readline().strip()

    def told(self, **what: Any) -> None:
        """From now on it does this."""
        httpx.post(f"{self.issuer}/told", json=what).raise_for_status()

    def stop(self) -> None:
        """Gone."""
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def _double() -> Iterator[Double]:
    one = Double()
    yield one
    one.stop()


@pytest.fixture
def double(_double: Double) -> Double:
    """Behaving well."""
    _double.told()
    return _double


def settings_of(home: Path, redis_url: str, issuer: str, **more: Any) -> Settings:
    return Settings(**{
        "home": home, "redis_url": redis_url, "oidc_issuer": issuer, "oidc_client_id": CLIENT,
        "oidc_client_secret": SECRET, "oidc_domains": ["example.com"], "oidc_name": "Keycloak",
        "public_url": "http://localhost", **more,
    })  # fmt: skip


@pytest.fixture
def office(double: Double, database: Engine, redis_url: str, tmp_path: Path) -> Site:
    Redis.from_url(redis_url).flushdb()
    return make_site(settings_of(tmp_path, redis_url, double.issuer), database)


def there(client: Client, path: str = "/log-in/provider") -> str:
    """The address that the provider sends the browser back to."""
    sent = client.get(path)
    assert sent.status_code == 302, sent.text
    answer = httpx.get(sent.location)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["Location"]).removeprefix("http://localhost")


def come_back(office: Site, client: Client | None = None, path: str = "/log-in/provider") -> Any:
    client = client or office.client()
    return client.get(there(client, path))


def sessions(office: Site) -> list[Any]:
    with office.engine.connect() as c:
        return list(c.execute(select(t.web_session)))


# --- who comes in -----------------------------------------------------------------------------


def test_there_and_back_and_in(office: Site) -> None:
    client = office.client()
    page = client.get("/log-in?next=/account").text
    assert "Log in by Keycloak" in page and 'name="password"' in page
    answer = come_back(office, client, "/log-in/provider?next=/account")
    assert (answer.status_code, answer.location) == (302, "/account")
    assert "super@example.com" in client.get("/account").text
    with office.engine.connect() as c:
        row = c.execute(select(t.audit).where(t.audit.c.action == "user.log_in")).one()
    assert row.actor == f"user:{office.ids['super']}"
    assert row.after == {"by": "openid"} and row.company_id == office.acme


def test_what_is_sent_there_is_what_the_protocol_asks_for(office: Site) -> None:
    first, second = (office.client().get("/log-in/provider").location for _ in range(2))
    asked = parse_qs(urlsplit(first).query)
    assert asked["response_type"] == ["code"] and asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://localhost/log-in/provider/back"]
    assert SECRET not in first
    again = parse_qs(urlsplit(second).query)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name][0]) >= 32 and asked[name] != again[name]


def test_one_goes_nowhere_else_afterwards(office: Site) -> None:
    answer = come_back(office, path="/log-in/provider?next=//evil.example")
    assert answer.location == "/"


def test_an_address_is_asked_for_where_the_token_has_none(office: Site, double: Double) -> None:
    info = {"sub": "s-1", "email": "Super@Example.com", "email_verified": True}
    double.told(claims={"email": None, "email_verified": None}, userinfo=info)
    assert come_back(office).location == "/"
    double.told(claims={"email": None}, userinfo=info | {"sub": "s-2"})
    assert come_back(office).status_code == 401


def test_nobody_is_made_and_nobody_is_changed(office: Site, double: Double) -> None:
    with office.engine.connect() as c:
        before = c.execute(select(t.app_user.c.id, t.app_user.c.role)).all()
    double.told(email="new@example.com", claims={"role": "administrator", "groups": ["admin"]})
    answer = come_back(office)
    assert answer.status_code == 403 and "there is no user here" in answer.text
    double.told(claims={"role": "administrator"})
    come_back(office)
    with office.engine.connect() as c:
        assert c.execute(select(t.app_user.c.id, t.app_user.c.role)).all() == before


def test_who_is_shut_out_here_stays_out(office: Site) -> None:
    with office.engine.begin() as c:
        users.update_user(c, office.ids["super"], {"active": False}, "test", datetime.now(UTC))
    assert come_back(office).status_code == 403
    assert sessions(office) == []


def test_new_keys_of_the_provider_are_taken_over(
    office: Site, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert come_back(office).location == "/"
    double.told(key="new")
    assert come_back(office).status_code == 401, "its keys were asked for a moment ago"
    monkeypatch.setattr(openid, "KEYS_AGAIN_SECONDS", 0.0)
    assert come_back(office).location == "/"


# --- who does not -----------------------------------------------------------------------------

HOUR_AGO = int(time.time()) - 3600


@pytest.mark.parametrize(
    ("told", "status", "why"),
    [
        ({"claims": {"nonce": "another"}}, 401, "'nonce'"),
        ({"claims": {"nonce": None}}, 401, "nonce"),
        ({"claims": {"aud": "another client"}}, 401, "'aud'"),
        (
            {"claims": {"aud": [CLIENT, "another"]}},
            401,
            "somebody else",
        ),  # and nobody says for whom it is
        ({"claims": {"aud": [CLIENT, "another"], "azp": "another"}}, 401, "somebody else"),
        ({"claims": {"azp": "another"}}, 401, "somebody else"),
        ({"claims": {"iss": "https://evil.example"}}, 401, "'iss'"),
        ({"claims": {"exp": HOUR_AGO}}, 401, "expired"),
        ({"claims": {"exp": None}}, 401, "exp"),
        ({"claims": {"iat": HOUR_AGO + 3 * 3600}}, 401, "future"),
        ({"claims": {"sub": None}}, 401, "sub"),
        ({"key": "unknown"}, 401, "bad_signature"),
        ({"keys": {}}, 401, "KeyError"),
        ({"keys": {"keys": [{"kty": "RSA", "n": "junk"}]}}, 401, "id token"),
        ({"keys": {"keys": []}}, 401, "id token"),
        ({"algorithm": "none"}, 401, "none"),
        ({"algorithm": "HS256"}, 401, "HS256"),
        ({"algorithm": "missing"}, 401, "no id token"),
        ({"error": "access_denied"}, 401, "access_denied"),
        ({"state": "another"}, 401, "not begun"),
        ({"verified": False}, 403, "no verified"),
        ({"verified": "false"}, 403, "no verified"),
        ({"verified": None}, 403, "no verified"),
        ({"email": "super@example.com.evil.example"}, 403, "of a domain"),
        ({"email": "super@evil.example"}, 403, "of a domain"),
        ({"email": ["super@example.com"]}, 403, "no verified"),
    ],
    ids=str,
)
def test_what_is_not_right_lets_nobody_in(
    office: Site,
    double: Double,
    told: dict[str, Any],
    status: int,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    double.told(**told)
    answer = come_back(office)
    assert answer.status_code == status
    assert why in caplog.text, "refused for something else"
    assert 'role="alert"' in answer.text and "Log in by Keycloak" in answer.text
    assert sessions(office) == []


def test_an_audience_of_several_is_right_where_it_says_for_whom(
    office: Site, double: Double
) -> None:
    double.told(claims={"aud": [CLIENT, "another"], "azp": CLIENT})
    assert come_back(office).location == "/"


def test_what_came_back_once_is_worth_nothing_a_second_time(office: Site) -> None:
    client = office.client()
    back = there(client)
    with client.http.session_transaction() as kept:
        copied = dict(kept)
    assert client.get(back).status_code == 302
    replayed = office.client()
    with replayed.http.session_transaction() as kept:
        kept.update(copied)
    assert replayed.get(back).status_code == 401
    assert len(sessions(office)) == 1


def test_another_s_way_back_is_of_no_use_in_this_browser(office: Site) -> None:
    """Nobody is logged in as somebody else by a link (and so made to work for them)."""
    back = there(office.client())
    assert office.client().get(back).status_code == 401
    mine = office.client()
    there(mine)
    assert mine.get(back).status_code == 401
    assert sessions(office) == []


def test_an_answer_of_another_issuer_is_not_taken(office: Site, double: Double) -> None:
    client = office.client()
    back = there(client).replace("iss=http", "iss=https")
    assert client.get(back).status_code == 401


def test_a_provider_that_is_away_keeps_nobody_from_logging_in_here(
    office: Site, double: Double
) -> None:
    double.told(down=True)
    answer = office.client().get("/log-in/provider")
    assert answer.status_code == 503 and "cannot be reached just now" in answer.text
    assert office.client("super").get("/account").status_code == 200
    double.told()
    client = office.client()
    back = there(client)
    double.told(down=True)
    assert client.get(back).status_code == 503
    assert len(sessions(office)) == 1


def test_one_address_may_not_begin_for_ever(office: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PER_MINUTE", 2)
    client = office.client()
    begun = [client.get("/log-in/provider").status_code for _ in range(6)]
    assert begun[0] == 302 and 429 in begun


def test_one_that_names_another_issuer_is_none(office: Site, double: Double) -> None:
    double.told(issuer="https://evil.example")
    assert office.client().get("/log-in/provider").status_code == 503


# --- the second factor, and passwords of our own ----------------------------------------------


def second_factor(office: Site) -> str:
    secret, now = pyotp.random_base32(), datetime.now(UTC)
    with office.engine.begin() as c:
        log_ins.set_second_factor(
            c, office.ids["super"], secret, pyotp.TOTP(secret).at(now - timedelta(seconds=30)),
            "test", now,
        )  # fmt: skip
    return secret


def test_a_second_factor_here_is_asked_for_all_the_same(office: Site) -> None:
    secret, client = second_factor(office), office.client()
    page = come_back(office, client, "/log-in/provider?next=/account")
    assert page.status_code == 200 and "code of your authenticator" in page.text
    assert sessions(office) == []
    wrong = client.post("/log-in/provider/code", {"code": "000000"})
    assert wrong.status_code == 401 and "does not fit" in wrong.text
    right = client.post("/log-in/provider/code", {"code": pyotp.TOTP(secret).now()})
    assert (right.status_code, right.location) == (302, "/account")
    stranger = office.client()
    later = pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30))
    assert stranger.post("/log-in/provider/code", {"code": later}).status_code == 401


def test_guesses_of_it_wait_like_those_of_passwords(office: Site) -> None:
    second_factor(office)
    client = office.client()
    come_back(office, client)
    said = [client.post("/log-in/provider/code", {"code": "000000"}).text for _ in range(6)]
    assert "does not fit" in said[0] and "Too many tries" in said[-1]


def test_passwords_of_our_own_may_be_turned_off(
    double: Double, database: Engine, redis_url: str, tmp_path: Path
) -> None:
    Redis.from_url(redis_url).flushdb()
    site = make_site(settings_of(tmp_path, redis_url, double.issuer, local_log_in=False), database)
    client = site.client()
    assert 'name="password"' not in client.get("/log-in").text
    right = {"email": "super@example.com", "password": PASSWORD}
    assert client.post("/log-in", right).status_code == 403
    with database.begin() as c:
        link = users.new_link(c, site.ids["super"], "test", datetime.now(UTC))
    assert client.get(f"/welcome/{link}").status_code == 404
    assert come_back(site, client).location == "/"


def test_without_a_provider_there_is_nothing_of_it(site: Site) -> None:
    page = site.client().get("/log-in").text
    assert "/log-in/provider" not in page and 'name="password"' in page
    assert site.client().get("/log-in/provider").status_code == 404


# --- settings ---------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "oidc_issuer": "https://id.example.com/realms/a", "oidc_client_id": "dialer",
    "oidc_domains": ["example.com"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"oidc_issuer": "http://id.example.com"}, "oidc_issuer: an address that begins with"),
        ({"oidc_issuer": "id.example.com"}, "oidc_issuer: an address that begins with https"),
        ({"oidc_issuer": "https://id.example.com?x=1"}, "oidc_issuer: an address alone"),
        ({"oidc_issuer": "https://a@id.example.com"}, "oidc_issuer: an address alone"),
        ({"oidc_client_id": ""}, "oidc_client_id: the provider gives it"),
        ({"oidc_domains": []}, "oidc_domains: whose addresses"),
        ({"oidc_domains": ["@example.com"]}, "is no domain"),
        ({"oidc_domains": ["*"]}, "is no domain"),
        ({"oidc_issuer": ""}, "set oidc_issuer too"),
        ({"oidc_issuer": "", "oidc_client_id": "", "oidc_domains": [], "local_log_in": False},
         "nobody could log in"),
    ],
)  # fmt: skip
def test_a_bad_setting_stops_the_start_and_is_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match="settings are wrong") as told:
        load_settings(**(WHOLE | wrong))
    assert said in str(told.value)


def test_the_secret_comes_from_a_file_and_is_never_made_up(
    database: Engine, redis_url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, redis_url=redis_url, **WHOLE)
    with pytest.raises(ConfigError, match="oidc_client_secret"):
        create_app(settings, database)
    assert not (tmp_path / "secrets" / "oidc_client_secret").exists()
    (tmp_path / "secrets" / "oidc_client_secret").write_text("from a file\n")
    assert settings.oidc_secret == "from a file"
    assert create_app(settings, database)
