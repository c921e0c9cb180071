"""docker-compose.yml against the compose specification and against the dialer itself.

No container is started here: what can be known without an engine is checked, the commands,
settings, files, networks and published ports among it.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import jsonschema.validators
import pytest
import yaml

from dialer.cli import cli
from dialer.config import Settings
from dialer.health import serve_health

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if "build" in one}
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def _env_file(name: str) -> dict[str, str]:
    lines = (ROOT / "docker" / name).read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def _filled_in(values: dict[str, str]) -> dict[str, Any]:
    """The file as Compose reads it with these variables. KeyError for a required one."""

    def fill(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        value = values.get(name, "")
        if operator == ":?" and not value:
            raise KeyError(name)
        return value or (default if operator == ":-" else "")

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(one) for key, one in value.items()}
        if isinstance(value, list):
            return [walk(one) for one in value]
        return VARIABLE.sub(fill, value) if isinstance(value, str) else value

    filled: dict[str, Any] = walk(COMPOSE)
    return filled


def test_it_follows_the_compose_specification() -> None:
    resource = importlib.resources.files("check_jsonschema") / (
        "builtin_schemas/vendor/compose-spec.json"
    )
    schema = json.loads(resource.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    for compose in (COMPOSE, _filled_in(_env_file("simulation.env"))):
        assert [error.message for error in validator.iter_errors(compose)] == []
    broken = COMPOSE | {"services": {"web": {"image": 1}}}
    assert list(validator.iter_errors(broken)), "the schema refuses what is wrong"


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_one_of_the_dialer(name: str) -> None:
    program, command, *arguments = OURS[name]["command"]
    assert program == "dialer"
    with click.Context(cli) as context:
        found = cli.get_command(context, command)
        assert found is not None, f"dialer {command} does not exist"
        found.make_context(command, list(arguments), parent=context)


def _known_settings() -> set[str]:
    known = {"DIALER_HOME"}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        known |= (
            set(map(str, alias.choices))
            if alias is not None and hasattr(alias, "choices")
            else {f"DIALER_{name.upper()}"}
        )
    return known


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting(name: str) -> None:
    assert set(OURS[name]["environment"]) - _known_settings() == set()
    assert "DIALER_SIP_PORT" in _known_settings()
    assert "DATABASE_URL" in _known_settings()


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_each_service_are_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = _filled_in(_env_file("simulation.env"))["services"]
    for key, value in services[name]["environment"].items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("DIALER_HOME", str(tmp_path))
    settings = Settings()
    assert settings.database == "postgresql+psycopg://dialer:simulation@postgres:5432/dialer"
    assert settings.redis == "redis://redis:6379/0"
    assert settings.trunk is None


def test_each_variable_to_fill_in_is_in_the_example() -> None:
    used = {match[0] for match in VARIABLE.findall(TEXT)}
    for name in ("example.env", "simulation.env"):
        assert set(_env_file(name)) == used, name


@pytest.mark.parametrize("missing", ["POSTGRES_PASSWORD", "DIALER_PUBLIC_URL"])
def test_without_a_password_and_an_address_it_does_not_start(missing: str) -> None:
    values = _env_file("simulation.env")
    assert _filled_in(values)["name"] == "dialer"
    with pytest.raises(KeyError, match=missing):
        _filled_in(values | {missing: ""})


def test_what_is_mounted_and_built_exists() -> None:
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE))
    for name, service in OURS.items():
        build = service["build"]
        assert (ROOT / build["context"] / build["dockerfile"]).is_file(), name
        assert build["target"] in stages, name
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"
    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


def test_both_images_hold_what_they_run() -> None:
    """The Python packages of the project, and in the switch's image its templates."""
    stages = re.split(r"^FROM ", (ROOT / "docker/Dockerfile").read_text(), flags=re.MULTILINE)
    by_name = {stage.splitlines()[0].split()[-1]: stage for stage in stages[1:]}
    for folder in ("dialer", "agi_scripts", "web", "requirements"):
        for stage in ("build", "asterisk"):
            assert f"COPY {folder} ./{folder}" in by_name[stage]
    assert "COPY asterisk_conf " in by_name["asterisk"]
    for stage in ("app", "asterisk"):
        assert "useradd --uid 10001" in by_name[stage], "one user: they share a folder"
        assert "USER dialer" in by_name[stage]


def test_only_web_sip_and_rtp_are_published() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    environment = SERVICES["asterisk"]["environment"]
    sip = environment["DIALER_SIP_PORT"]
    rtp = f"{environment['DIALER_RTP_START']}-{environment['DIALER_RTP_END']}"
    assert published == {
        "asterisk": [f"{sip}:{sip}/udp", f"{rtp}:{rtp}/udp"],
        "web": [
            "${WEB_PUBLISH:-127.0.0.1:8080}:" + SERVICES["web"]["environment"]["DIALER_WEB_PORT"]
        ],
    }
    assert COMPOSE["networks"]["backend"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["backend"]


def test_ami_and_agi_stay_on_one_loopback_interface() -> None:
    for name in ("engine", "ivr"):
        assert SERVICES[name]["network_mode"] == "service:asterisk"
        assert "DIALER_SWITCH_HOST" not in SERVICES[name]["environment"]


def test_services_depend_on_services_that_run_with_them() -> None:
    for name, service in SERVICES.items():
        needed = set(service.get("depends_on", {}))
        mode = service.get("network_mode", "")
        if mode.startswith("service:"):
            needed.add(mode.removeprefix("service:"))
            assert "networks" not in service, name
            assert "ports" not in service, name
        assert needed <= set(SERVICES), name
        if not service.get("profiles"):
            assert all(not SERVICES[one].get("profiles") for one in needed), name
        for one, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[one], f"{name} waits for {one}"
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[one]["restart"] == "no", f"{name} waits for the end of {one}"


def test_what_runs_for_long_has_a_health_check() -> None:
    lasting = {name for name, one in SERVICES.items() if one.get("restart") != "no"}
    assert {name for name in lasting if "healthcheck" not in SERVICES[name]} == set()


def test_health_checks_ask_the_ports_that_are_served() -> None:
    settings = Settings(home=Path("unused"))
    ports = {
        "engine": settings.engine_health_port,
        "ivr": settings.ivr_health_port,
        "worker": settings.worker_health_port,
        "web": int(SERVICES["web"]["environment"]["DIALER_WEB_PORT"]),
        "twilio-double": settings.twilio_double_port,
    }
    for name, port in ports.items():
        assert SERVICES[name]["healthcheck"]["test"][-1] == str(port), name


def test_the_simulation_stays_out_of_production() -> None:
    simulated = {name for name, one in SERVICES.items() if one.get("profiles") == ["simulation"]}
    assert simulated == {"carrier", "twilio-double"}


def test_containers_of_ours_have_no_rights_to_spare() -> None:
    for name, service in OURS.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert "privileged" not in service, name


def _health(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "docker/healthcheck.py"
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        text=True,
        timeout=30,
        capture_output=True,
        check=False,
    )


def test_the_health_check_tells_well_from_unwell() -> None:
    trouble: list[str | None] = [None]
    server = serve_health(0, "engine", {"database": lambda: trouble[0]})
    port = str(server.port)
    try:
        assert _health(port).returncode == 0
        assert _health("--open", port).returncode == 0
        trouble[0] = "does not answer"
        told = _health(port)
        assert told.returncode == 1
        assert "does not answer" in told.stderr
    finally:
        server.close()
    assert _health(port).returncode == 1
    assert _health("--open", port).returncode == 1
