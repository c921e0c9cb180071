"""The page with the settings: every one of them, where it comes from, and no secret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures_site import Site, make_user
from pydantic import SecretStr

from dialer.config import Settings
from dialer.domain.access import Role
from dialer.local.checks.findings import Looked, Mend, Service
from dialer.local.checks.result import CheckResult, Status, fault
from dialer.store import users
from web.console import settings as page
from web.console.setting_rows import Row, Source, grouped, secret_files


def rows(settings: Settings) -> dict[str, Row]:
    """By name."""
    return {row.name: row for _group, found in grouped(settings) for row in found}


def test_each_setting_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIALER_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana:s3cret@db.example/dialer")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "token-that-nobody-sees")
    (tmp_path / "config.yaml").write_text("web_port: 8090\ngateways: {ES: redsys}\n")
    found = rows(Settings(redis_port=6400))
    assert len(found) == len(Settings.model_fields)
    assert found["DATABASE_URL"].value == "postgresql://ana:•••@db.example/dialer"
    assert found["DATABASE_URL"].source is Source.ENVIRONMENT
    assert found["DIALER_WEB_PORT"] == replace(
        found["DIALER_WEB_PORT"], value="8090", source=Source.FILE
    )
    assert found["DIALER_GATEWAYS"].value == "ES: redsys"
    assert found["DIALER_REDIS_PORT"].source is Source.START
    assert found["DIALER_SIP_PORT"].source is Source.DEFAULT
    token = found["TWILIO_AUTH_TOKEN"]
    assert (token.value, token.secret, token.source) == ("set", True, Source.ENVIRONMENT)
    assert found["REDSYS_SECRET_KEY"].value is None
    assert "token-that-nobody-sees" not in str(found)


def test_every_secret_of_the_settings_is_kept_secret(tmp_path: Path) -> None:
    names = [name for name, one in Settings.model_fields.items() if one.annotation is SecretStr]
    assert names
    hidden: dict[str, Any] = {name: f"hidden-{name}" for name in names}
    told = Settings(home=tmp_path, **hidden)
    assert "hidden-" not in str(rows(told))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/web_session").write_text("hidden-too")
    found = list(secret_files(told))
    assert [row.name for row in found] == ["web_session"]
    assert "hidden-too" not in str(found)


@pytest.mark.database("sqlite")
def test_the_page_and_who_sees_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def checks(settings: Settings) -> list[CheckResult]:
        asked.append(settings)
        return [
            CheckResult("clock", Status.OK, "in time"),
            fault(
                Looked.DATABASE,
                Service.NOT_OPENED.say(where="db:5432", error="Refused"),
                Mend.DATABASE_URL,
            ),
        ]

    monkeypatch.setattr(page, "run_checks", checks)
    text = site.client("admin").get("/settings").text
    secret = site.settings.secret("web_session")
    assert "DIALER_WEB_PORT" in text
    assert "web_session" in text
    assert secret not in text
    assert asked == []  # they take seconds: only when they are asked for
    health = site.client("admin").get("/settings/health").text
    assert health.index("db:5432 cannot be opened (Refused)") < health.index("in time")
    assert asked == [site.settings]
    with site.engine.begin() as c:
        users.set_values(c, site.ids["admin"], language="es")
    spanish = site.client("admin").get("/settings/health").text
    for said in ("base de datos", "db:5432 no se puede abrir (Refused)", "corrija DATABASE_URL"):
        assert said in spanish
    make_user(site.engine, "chief", Role.ADMINISTRATOR, site.acme)
    chief = site.client("chief")
    own = chief.get("/settings").text
    assert "Acme" in own
    for hidden in ("Other", "DIALER_WEB_PORT", "web_session"):
        assert hidden not in own, hidden
    assert chief.get("/settings/health").status_code == 404
    for who in ("super", "auditor", "agent"):
        assert site.client(who).get("/settings").status_code == 403
