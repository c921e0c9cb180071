"""Who comes in: log-in, one-time links, second factor, sessions, and the rule of every route."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from fixtures_site import PASSWORD, Site
from sqlalchemy import select, update

from dialer.domain.access import (
    FREE_FAILURES,
    LONGEST_WAIT,
    SESSION_IDLE,
    Role,
    Viewer,
    may_decide,
    password_fault,
    wait_after,
)
from dialer.store import log_ins, users
from dialer.store.companies import NotPossible
from dialer.store.tables import app_user, audit, user_link, web_session
from web.access import attempts


def now() -> datetime:
    return datetime.now(UTC)


# --- rules ----------------------------------------------------------------------------------


def test_a_route_without_a_rule_is_refused_to_everybody(site: Site) -> None:
    site.app.add_url_rule("/forgotten", "forgotten", lambda: "all the debtors")
    for who in (None, "admin"):
        answer = site.client(who).get("/forgotten")
        assert answer.status_code == 403
        assert "debtors" not in answer.text


# --- log-in ---------------------------------------------------------------------------------


def test_who_knows_the_password_comes_in_and_out(site: Site) -> None:
    client = site.client("super")
    assert client.get("/account").status_code == 200
    with client.http.session_transaction() as kept:
        copied = dict(kept)
    assert client.post("/log-out").location == "/log-in"
    # A cookie that was copied before is worth nothing after.
    with client.http.session_transaction() as kept:
        kept.update(copied)
    assert client.get("/account").status_code == 302


def test_a_wrong_password_and_an_unknown_address_look_the_same(site: Site) -> None:
    answers = [
        site.client().post("/log-in", {"email": email, "password": "wrong"})
        for email in ("super@example.com", "nobody@example.com")
    ]
    texts = [a.text.replace("super@", "nobody@") for a in answers]
    strip = [t[t.index("<h1>") : t.index("<form")] for t in texts]
    assert [a.status_code for a in answers] == [401, 401]
    assert strip[0] == strip[1]


def test_guesses_wait_and_then_even_the_right_password_does(site: Site) -> None:
    for _ in range(FREE_FAILURES):
        site.client().post("/log-in", {"email": "super@example.com", "password": "guess"})
    right = {"email": "super@example.com", "password": PASSWORD}
    assert "Too many tries" in site.client().post("/log-in", right).text
    with site.engine.begin() as c:
        c.execute(update(app_user).values(locked_until=now() - timedelta(seconds=1)))
    assert site.client().post("/log-in", right).status_code == 302
    with site.engine.connect() as c:
        assert c.scalar(select(app_user.c.failures).where(app_user.c.id == site.ids["super"])) == 0


def test_one_address_may_not_try_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PER_MINUTE", 2)
    answers = [
        site.client().post("/log-in", {"email": f"n{n}@example.com", "password": "x"}).status_code
        for n in range(6)  # three in one minute at least, wherever the minute ends
    ]
    assert answers[0] == 401
    assert 429 in answers


def test_after_log_in_one_goes_where_one_was_going_and_never_elsewhere(site: Site) -> None:
    right = {"email": "super@example.com", "password": PASSWORD}
    assert site.client().post("/log-in?next=/account", right).location == "/account"
    for evil in ("https://evil.example", "//evil.example", "/\\evil.example"):
        answer = site.client().post(f"/log-in?next={evil}", right)
        assert "evil" not in answer.location


def test_a_form_without_its_token_changes_nothing(site: Site) -> None:
    client = site.client("super")
    answer = client.http.post("/account", data={"language": "es", "timezone": "UTC"})
    assert answer.status_code == 400
    with site.engine.connect() as c:
        assert users.load_user(c, site.ids["super"]).language == "en"  # type: ignore[union-attr]


def test_a_session_ends_when_it_is_idle_and_when_its_user_is_shut_out(site: Site) -> None:
    client = site.client("super")
    with site.engine.begin() as c:
        c.execute(update(web_session).values(seen_at=now() - SESSION_IDLE))
    assert client.get("/account").status_code == 302
    client = site.client("super")
    with site.engine.begin() as c:
        users.update_user(c, site.ids["super"], {"active": False}, "test", now())
    assert client.get("/account").status_code == 302


def test_cookies_are_kept_from_scripts_and_other_sites(site: Site) -> None:
    answer = site.client().post("/log-in", {"email": "super@example.com", "password": PASSWORD})
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    page = site.client("super").get("/account")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "unsafe" not in policy


# --- one-time links -------------------------------------------------------------------------


def test_a_link_chooses_a_password_once(site: Site) -> None:
    with site.engine.begin() as c:
        token = users.new_link(c, site.ids["super"], "test", now())
    before = site.client("super")
    client, address = site.client(), f"/welcome/{token}"
    short = client.post(address, {"password": "short", "again": "short"})
    assert short.status_code == 422 and "At least 12" in short.text
    differ = client.post(address, {"password": "violet engine rain", "again": "other"})
    assert differ.status_code == 422
    chosen = {"password": "violet engine rain", "again": "violet engine rain"}
    assert client.post(address, chosen).status_code == 302
    assert client.get("/account").status_code == 200
    assert before.get("/account").status_code == 302  # whoever had come in by the old one is out
    assert site.client().post(address, chosen).status_code == 404
    assert site.client().get(address).status_code == 404


def test_the_first_administrator_reads_what_their_browser_asks_for(site: Site) -> None:
    chosen = {"password": "violet engine rain", "again": "violet engine rain"}
    for language in ("es", "en"):  # the second time it is what they have, whatever the browser says
        with site.engine.begin() as c:
            if language == "es":
                values = {"password_hash": None, "language": "en"}
                c.execute(update(app_user).values(values))
            tokens = [users.new_link(c, site.ids[who], "test", now()) for who in ("admin", "super")]
        for token in tokens:
            client = site.client()
            client.http.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
            assert client.post(f"/welcome/{token}", chosen).status_code == 302
        with site.engine.connect() as c:
            rows = c.execute(select(app_user.c.id, app_user.c.language))
            has = {row.id: row.language for row in rows}
        assert (has[site.ids["admin"]], has[site.ids["super"]]) == ("es", "en")


def test_a_link_is_void_after_a_day_and_when_a_newer_one_is_made(site: Site) -> None:
    with site.engine.begin() as c:
        old = users.new_link(c, site.ids["super"], "test", now())
        new = users.new_link(c, site.ids["super"], "test", now())
    assert site.client().get(f"/welcome/{old}").status_code == 404
    assert site.client().get(f"/welcome/{new}").status_code == 200
    with site.engine.begin() as c:
        c.execute(update(user_link).values(expires_at=now() - timedelta(seconds=1)))
    assert site.client().get(f"/welcome/{new}").status_code == 404


# --- second factor --------------------------------------------------------------------------


def test_with_a_second_factor_a_password_alone_does_not_come_in(site: Site) -> None:
    secret = pyotp.random_base32()
    moment = now()
    with site.engine.begin() as c:
        log_ins.set_second_factor(
            c, site.ids["super"], secret, pyotp.TOTP(secret).at(moment - timedelta(seconds=30)),
            "test", moment,
        )  # fmt: skip
    right = {"email": "super@example.com", "password": PASSWORD}
    asked = site.client().post("/log-in", right)
    assert asked.status_code == 401 and "authenticator" in asked.text
    assert site.client().post("/log-in", {**right, "code": "000000"}).status_code == 401
    code = pyotp.TOTP(secret).now()
    assert site.client().post("/log-in", {**right, "code": code}).status_code == 302
    again = site.client().post("/log-in", {**right, "code": code})
    assert again.status_code == 401, "a code counts once"


def test_it_is_set_up_and_taken_off_in_the_account(site: Site) -> None:
    client = site.client("super")
    page = client.get("/account/second-factor")
    with client.http.session_transaction() as kept:
        secret = kept["totp"]
    assert secret in page.text and "<svg" in page.text
    client.post("/account/second-factor", {"code": "000000"})
    assert "on" not in _second_factor(site)
    client.post("/account/second-factor", {"code": pyotp.TOTP(secret).now()})
    assert _second_factor(site) == "on"
    later = pyotp.TOTP(secret).at(now() + timedelta(seconds=30))
    client.post("/account/second-factor/off", {"password": PASSWORD, "code": later})
    assert _second_factor(site) == ""


def _second_factor(site: Site) -> str:
    with site.engine.connect() as c:
        user = users.load_user(c, site.ids["super"])
    assert user is not None
    return "on" if user.second_factor else ""


# --- users ----------------------------------------------------------------------------------


def test_the_last_administrator_stays_one(site: Site) -> None:
    with site.engine.begin() as c, pytest.raises(NotPossible, match="last administrator"):
        users.update_user(c, site.ids["admin"], {"active": False}, "test", now())


def test_no_name_and_no_address_gets_into_the_audit(site: Site) -> None:
    with site.engine.begin() as c:
        users.update_user(c, site.ids["super"], {"name": "Zoraida"}, "test", now())
    with site.engine.connect() as c:
        trail = str([tuple(row) for row in c.execute(select(audit))])
    assert "Zoraida" not in trail and "example.com" not in trail
    assert "user.log_in" in trail or "user.change" in trail


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short", "short"),
        ("a" * 201, "long"),
        ("ababababababab", "repeats"),
        ("password1234", "common"),
        ("Contraseña2026", "common"),
        ("anabelen1234", "yours"),
        ("four words nobody says", None),
    ],
)
def test_what_makes_a_password(password: str, fault: str | None) -> None:
    assert password_fault(password, "anabelen@example.com", "Ana Belén") == fault


def test_waits_grow_and_end() -> None:
    waits = [wait_after(n) for n in range(40)]
    assert waits[:FREE_FAILURES] == [timedelta(0)] * FREE_FAILURES
    assert waits == sorted(waits) and waits[-1] == LONGEST_WAIT


def test_who_asks_does_not_decide() -> None:
    def one(user_id: int, role: Role) -> Viewer:
        return Viewer(user_id, "n", "e", role, None)

    assert may_decide(1, one(2, Role.SUPERVISOR))
    assert not may_decide(1, one(1, Role.ADMINISTRATOR))
    assert not may_decide(1, one(2, Role.AUDITOR))
