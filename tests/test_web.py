"""Webhooks and the address in a message, over HTTP as it is served."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fixtures_messaging import (
    SENDER,
    SID,
    TOKEN,
    TwilioDouble,
    clean_environment,
    free_port,
    make_message,
    settings_for,
    wait_until,
)
from flask.testing import FlaskClient
from sqlalchemy import Engine
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse
from world import World

from dialer import jobs
from dialer.config import ROOT, Settings
from dialer.jobs import Runtime, deliver
from dialer.messaging.links import make_token
from dialer.store import tables as t
from web import create_app

PUBLIC = "https://calls.example.es"
NUMBER = "+34600111222"


@pytest.fixture
def settings(tmp_path: Any, database_url: str, double: TwilioDouble) -> Settings:
    """Reached from outside under an address of its own."""
    return settings_for(
        tmp_path, database_url=database_url, twilio_api_base=double.url, public_url=PUBLIC
    )


@pytest.fixture
def client(settings: Settings, database: Engine) -> FlaskClient:
    return create_app(settings, database).test_client()


def _post(
    client: FlaskClient, path: str, form: dict[str, str], signature: str | None = None
) -> TestResponse:
    made = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    headers = {"X-Twilio-Signature": made if signature is None else signature}
    return client.post(path, data=form, headers=headers)


def _status(client: FlaskClient, row: Any, status: str, **more: str) -> TestResponse:
    form = {"MessageSid": row.provider_id, "MessageStatus": status, "To": row.number, **more}
    return _post(client, f"/hooks/twilio/status?m={row.id}", form)


def _answer(client: FlaskClient, body: str, sid: str = "SM1", **more: str) -> TestResponse:
    form = {"From": NUMBER, "To": SENDER, "Body": body, "MessageSid": sid, **more}
    return _post(client, "/hooks/twilio/sms", form)


def _message(world: World, message_id: int) -> Any:
    return world.rows(t.message, id=message_id)[0]


def test_reports_move_a_message_forward_only(
    client: FlaskClient, held: Runtime, world: World
) -> None:
    message_id = make_message(world, NUMBER)
    deliver(held, message_id)
    for status, state in (
        ("queued", "sent"),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("delivered", "delivered"),
        ("undelivered", "delivered"),
    ):
        assert _status(client, _message(world, message_id), status).status_code == 204
        assert _message(world, message_id).state == state
    events = [row.status for row in world.rows(t.message_event)]
    assert events == ["queued", "delivered", "sent", "undelivered"]


def test_why_it_was_not_delivered(client: FlaskClient, held: Runtime, world: World) -> None:
    message_id = make_message(world, NUMBER)
    deliver(held, message_id)
    _status(client, _message(world, message_id), "undelivered", ErrorCode="30003")
    row = _message(world, message_id)
    assert (row.state, row.error) == ("undelivered", "undelivered 30003")


@pytest.mark.database("sqlite")
def test_a_report_finds_a_message_whose_answer_was_lost(
    client: FlaskClient, held: Runtime, world: World, double: TwilioDouble
) -> None:
    message_id = make_message(world, "+34600330007")
    deliver(held, message_id)
    assert _message(world, message_id).state == "sending"
    sid = double.kept[0]["sid"]
    form = {"MessageSid": sid, "MessageStatus": "sent"}
    _post(client, f"/hooks/twilio/status?m={message_id}", form)
    row = _message(world, message_id)
    assert (row.state, row.provider_id, row.requested_at) == ("sent", sid, row.sending_at)


@pytest.mark.database("sqlite")
def test_only_twilio_is_believed(client: FlaskClient, held: Runtime, world: World) -> None:
    message_id = make_message(world, NUMBER)
    deliver(held, message_id)
    row = _message(world, message_id)
    path, form = (
        f"/hooks/twilio/status?m={message_id}",
        {
            "MessageSid": row.provider_id,
            "MessageStatus": "delivered",
        },
    )
    genuine = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    other_token = RequestValidator("other").compute_signature(PUBLIC + path, form)
    for signature in ("", "rubbish", other_token):
        assert _post(client, path, form, signature).status_code == 403
    moved = f"/hooks/twilio/status?m={message_id + 1}"
    assert _post(client, moved, form, genuine).status_code == 403
    assert _post(client, path, {**form, "MessageStatus": "failed"}, genuine).status_code == 403
    assert client.post("/hooks/twilio/sms", data={"From": NUMBER}).status_code == 403
    assert _message(world, message_id).state == "sent"
    assert world.rows(t.message_event) == []
    assert _post(client, path, form, genuine).status_code == 204


@pytest.mark.database("sqlite")
def test_the_longer_signature_is_taken_too(client: FlaskClient, world: World) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": "sent"}
    path = "/hooks/twilio/status?m=1"
    made = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form, "HMAC_SHA256")
    settings_header = {"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=HMAC_SHA256"}
    signed = {"X-Twilio-Signature": made}
    assert client.post(path, data=form, headers=signed).status_code == 403
    assert client.post(path, data=form, headers=signed | settings_header).status_code == 204


def test_a_stop_is_obeyed_at_once_and_once(
    client: FlaskClient, held: Runtime, world: World, double: TwilioDouble
) -> None:
    sent = make_message(world, NUMBER)
    deliver(held, sent)
    waiting = make_message(world, NUMBER)
    for _ in range(2):
        answer = _answer(client, "¡Baja, por favor!")
        assert answer.status_code == 200
        assert answer.mimetype == "text/xml"
        assert answer.text.endswith("<Response />")
    blocked = world.rows(t.suppression)
    assert [(row.number, row.reason) for row in blocked] == [(NUMBER, "sms_stop")]
    assert all(row.opted_out_at is not None for row in world.rows(t.debtor))
    deliver(held, waiting)
    assert _message(world, waiting).error == "do_not_call"
    assert double.asked == 1
    assert [row.kind for row in world.rows(t.message_event)] == ["inbound"]


@pytest.mark.database("sqlite")
def test_a_stop_that_twilio_saw(client: FlaskClient, world: World) -> None:
    make_message(world, NUMBER)
    _answer(client, "stop-ish word of another language", OptOutType="STOP")
    assert len(world.rows(t.suppression)) == 1


@pytest.mark.database("sqlite")
def test_a_start_lifts_nothing(client: FlaskClient, world: World) -> None:
    make_message(world, NUMBER)
    _answer(client, "STOP", "SM1")
    _answer(client, "ALTA", "SM2")
    assert len(world.rows(t.suppression)) == 1
    assert [row.status for row in world.rows(t.message_event)] == ["stop", "start"]


@pytest.mark.database("sqlite")
def test_incomplete_webhooks(client: FlaskClient, world: World) -> None:
    assert _post(client, "/hooks/twilio/status", {"MessageSid": "SM1"}).status_code == 400
    assert _post(client, "/hooks/twilio/sms", {"Body": "STOP"}).status_code == 400
    unknown = _post(client, "/hooks/twilio/status?m=x", {"MessageSid": "S", "MessageStatus": "new"})
    assert unknown.status_code == 204
    assert world.rows(t.message_event)[0].status == "new"


@pytest.mark.database("sqlite")
def test_twilio_is_told_to_come_again_while_the_database_is_away(
    settings: Settings, database: Engine
) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE message_event")
    client = create_app(settings, database).test_client()
    form = {"MessageSid": "SM1", "MessageStatus": "sent"}
    answer = _post(client, "/hooks/twilio/status?m=1", form)
    assert answer.status_code == 503
    assert "message_event" not in answer.text


def test_the_page_behind_a_link_says_who_and_how(
    client: FlaskClient, settings: Settings, world: World
) -> None:
    world.lead()
    account_id = world.rows(t.account)[0].id
    answer = client.get(f"/p/{make_token(settings, account_id)}")
    assert answer.status_code == 200
    for said in ("Acme", 'href="tel:+34910000000"', "Le hemos llamado", "We called", "BAJA"):
        assert said in answer.text
    for hidden in ("Debtor", "123", "EUR", "R1", "deuda", "debt", "pag"):
        assert hidden not in answer.text.replace("page.css", ""), hidden


@pytest.mark.database("sqlite")
def test_safe_headers(client: FlaskClient, settings: Settings, world: World) -> None:
    world.lead()
    token = make_token(settings, world.rows(t.account)[0].id)
    for path, status in ((f"/p/{token}", 200), ("/p/none", 404), ("/nothing", 404)):
        answer = client.get(path)
        assert answer.status_code == status
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<script" not in answer.text
        assert "style=" not in answer.text
    with client.get("/static/page.css") as style:
        assert style.status_code == 200


@pytest.mark.database("sqlite")
def test_a_company_name_is_text(client: FlaskClient, settings: Settings, world: World) -> None:
    world.lead()
    with world.engine.begin() as connection:
        connection.execute(t.company.update().values(spoken_name="<b>A&B</b>"))
    answer = client.get(f"/p/{make_token(settings, world.rows(t.account)[0].id)}")
    assert "&lt;b&gt;A&amp;B&lt;/b&gt;" in answer.text


@pytest.mark.database("sqlite")
def test_health_and_metrics_are_for_this_machine(client: FlaskClient) -> None:
    assert client.get("/health").get_json() == {
        "name": "web",
        "ok": True,
        "checks": {"database": None},
    }
    assert "dialer_messages_total" in client.get("/metrics").text
    for name in ("X-Forwarded-For", "Forwarded", "Via"):
        outside = {name: "203.0.113.7"}
        assert client.get("/metrics", headers=outside).status_code == 404
        assert client.get("/health", headers=outside).status_code == 404


@pytest.mark.database("sqlite")
def test_a_huge_request_is_refused(client: FlaskClient) -> None:
    answer = _answer(client, "x" * 100_000)
    assert answer.status_code == 413


@pytest.fixture
def served(settings: Settings) -> Iterator[tuple[Settings, subprocess.Popen[str]]]:
    """``dialer web`` as a process, reached under its own address."""
    port = free_port()
    with_port = settings.model_copy(
        update={"web_port": port, "public_url": f"http://127.0.0.1:{port}"}
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "dialer", "web"],
        cwd=ROOT,
        env={
            **clean_environment(),
            "DIALER_HOME": str(settings.home),
            "DATABASE_URL": settings.database,
            "DIALER_WEB_PORT": str(port),
            "TWILIO_ACCOUNT_SID": SID,
            "TWILIO_AUTH_TOKEN": TOKEN,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    yield with_port, process
    process.kill()
    process.communicate(timeout=30)


@pytest.mark.database("sqlite")
def test_from_the_job_to_the_report_and_the_answer(
    served: tuple[Settings, subprocess.Popen[str]], world: World, double: TwilioDouble
) -> None:
    settings, process = served
    held = jobs.open_runtime(settings)

    def healthy() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            return requests.get(f"{settings.web_url}/health", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    wait_until(healthy)
    endings = ("0100", "0010", "0011", "0012")
    ids = {ending: make_message(world, f"+3460033{ending}") for ending in endings}
    for message_id in ids.values():
        deliver(held, message_id)
    wait_until(lambda: double.get("stats")["callbacks_waiting"] == 0)
    wanted = {"0100": "delivered", "0010": "undelivered", "0011": "delivered", "0012": "delivered"}
    wait_until(lambda: {e: _message(world, one).state for e, one in ids.items()} == wanted)
    told = {"to": SENDER, "url": f"{settings.web_url}/hooks/twilio/sms"}
    answered = double.post("inbound", **{"from": "+34600330100", "body": "No más, gracias", **told})
    assert answered == {"status": 200}
    held.database.dispose()
    assert set(double.get("stats")["callbacks"]) == {"200", "204"}
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "+34600330100" not in log
    assert '"debtor answered"' in log
