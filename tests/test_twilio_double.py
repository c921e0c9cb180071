"""The double behaves like Twilio, and what we send is what Twilio describes."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fixtures_messaging import SENDER, SID, TOKEN, TwilioDouble, settings_for, wait_until
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio_contract import violations
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from dialer.domain.message import OutgoingMessage
from dialer.domain.model import Channel
from dialer.messaging.base import TransportError
from dialer.messaging.twilio_sms import BaseHttpClient, TwilioSms, report_base
from dialer.simulation.twilio_faults import (
    Delivery,
    Fault,
    Rates,
    behaviour_of,
    parse_rates,
    reports,
)


def _transport(double: TwilioDouble, callback_base: str = "https://example.test") -> TwilioSms:
    return TwilioSms(
        account_sid=SID, token=TOKEN, sender=SENDER, callback_base=callback_base, base=double.url
    )


def _message(number: str = "+34600111222", body: str = "Hola, señor. STOP BAJA") -> OutgoingMessage:
    return OutgoingMessage(5, Channel.SMS, number, body, 1, datetime.now(UTC))


def test_our_request_is_as_twilio_describes_it(double: TwilioDouble) -> None:
    _transport(double).send(_message(body="¿Señora? 1 & 2 = 3 + 4 €, ñandú\N{WAVING HAND SIGN}"))
    (asked,) = double.get("requests")
    assert violations(asked["form"]) == []
    assert asked["form"]["Body"] == "¿Señora? 1 & 2 = 3 + 4 €, ñandú\N{WAVING HAND SIGN}"
    assert asked["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked["headers"]["User-Agent"].startswith("twilio-python/")


@pytest.mark.parametrize(
    ("base", "public", "reports"),
    [
        ("", "", ""),  # Twilio could not reach this machine, and would refuse the message
        ("https://twilio.example.es", "http://localhost:8080", ""),
        ("", "https://calls.example.es/", "https://calls.example.es"),
        ("http://127.0.0.1:8181", "", "http://127.0.0.1:8080"),
    ],
)
def test_reports_are_asked_for_where_they_can_arrive(
    tmp_path: Path, base: str, public: str, reports: str
) -> None:
    settings = settings_for(tmp_path, twilio_api_base=base, public_url=public)
    assert report_base(settings) == reports


def test_without_an_address_for_reports_none_is_given(double: TwilioDouble) -> None:
    _transport(double, "").send(_message())
    (asked,) = double.get("requests")
    assert "StatusCallback" not in asked["form"]
    assert violations(asked["form"]) == []


def test_the_description_finds_what_is_wrong() -> None:
    good = {"To": "+34600111222", "From": SENDER, "Body": "x"}
    assert violations(good) == []
    for wrong in (
        {"To": "600111222"},
        {"Body": ""},
        {"Body": "x" * 1601},
        {"From": ""},
        {"StatusCallback": "/hooks"},
        {"ValidityPeriod": "36001"},
        {"Colour": "blue"},
    ):
        assert violations(good | wrong), wrong


def test_the_library_creates_fetches_and_lists(double: TwilioDouble) -> None:
    client = Client(SID, TOKEN, http_client=BaseHttpClient(double.url))
    made = [client.messages.create(to="+34600000501", from_=SENDER, body=f"n{i}") for i in range(3)]
    client.messages.create(to="+34600000502", from_=SENDER, body="other")
    assert client.messages(made[0].sid).fetch().body == "n0"
    with pytest.raises(TwilioRestException, match="404"):
        client.messages("SM" + "f" * 32).fetch()
    listed = client.messages.list(to="+34600000501", from_=SENDER, page_size=2)
    assert [one.body for one in listed] == ["n2", "n1", "n0"], "newest first, over pages"
    assert client.messages.list(to="+34600000501", from_="+34600000000") == []


def test_the_filter_by_date_leaves_out_what_is_queued(double: TwilioDouble) -> None:
    """Why a look-up does not use it."""
    client = Client(SID, TOKEN, http_client=BaseHttpClient(double.url))
    double.post("behave", number="+34600000501", delivery="silent")
    client.messages.create(to="+34600000501", from_=SENDER, body="queued")
    today = datetime.now(UTC)
    assert client.messages.list(to="+34600000501", date_sent_after=today) == []
    assert len(client.messages.list(to="+34600000501")) == 1


def test_another_account_or_token_is_refused(double: TwilioDouble) -> None:
    for sid, token in ((SID, "wrong"), ("AC" + "b" * 32, TOKEN)):
        transport = TwilioSms(
            account_sid=sid, token=token, sender=SENDER, callback_base="https://x", base=double.url
        )
        with pytest.raises(TransportError) as caught:
            transport.send(_message())
        assert "20003" in caught.value.reason
        assert not caught.value.permanent, "credentials can be set right"
    assert double.kept == []


@pytest.mark.parametrize(
    ("ending", "permanent", "unknown", "kept"),
    [
        ("0001", True, False, 0),
        ("0002", True, False, 0),
        ("0003", True, False, 0),
        ("0004", False, False, 0),
        ("0005", False, False, 0),
        ("0007", False, True, 1),
        ("0008", False, True, 0),
        ("0009", False, False, 1),
        ("0015", False, False, 0),
    ],
)
def test_faults_by_number(
    double: TwilioDouble, ending: str, permanent: bool, unknown: bool, kept: int
) -> None:
    transport, message = _transport(double), _message(f"+3460022{ending}")
    with pytest.raises(TransportError) as caught:
        transport.send(message)
    error = caught.value
    assert (error.permanent, error.unknown) == (permanent, unknown)
    assert error.opted_out == (ending == "0002")
    assert error.retry_after == (1.0 if ending == "0004" else None)
    assert "600220" not in error.reason, "a reason shows no number"
    assert len(double.kept) == kept
    found = transport.look_up(message)
    assert (found is not None) == bool(kept)
    if found is not None:
        assert transport.look_up(message, exclude={found.provider_id}) is None


@pytest.mark.parametrize("change", ["number", "body", "time"])
def test_look_up_takes_no_other_message_for_ours(double: TwilioDouble, change: str) -> None:
    transport = _transport(double)
    transport.send(_message())
    other = {
        "number": _message(number="+34600111223"),
        "body": _message(body="Otra cosa. STOP BAJA"),
        "time": OutgoingMessage(
            5,
            Channel.SMS,
            "+34600111222",
            "Hola, señor. STOP BAJA",
            1,
            datetime(2099, 1, 1, tzinfo=UTC),
        ),  # fmt: skip
    }[change]
    assert transport.look_up(_message()) is not None
    assert transport.look_up(other) is None


class Listener:
    """Something of ours that Twilio calls, and what it was told."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.genuine: list[bool] = []
        self.answer = 204
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def _app(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        form = dict(parse_qsl(request.get_data(as_text=True), keep_blank_values=True))
        self.genuine.append(
            RequestValidator(TOKEN).validate(
                request.url, form, request.headers.get("X-Twilio-Signature", "")
            )
        )
        self.forms.append(form)
        return Response(status=self.answer)(environ, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.close()


@pytest.mark.parametrize(
    ("ending", "statuses"),
    [
        ("0100", ["sent", "delivered"]),
        ("0010", ["sent", "undelivered"]),
        ("0011", ["delivered", "sent", "queued"]),
        ("0012", ["sent", "sent", "delivered", "delivered", "delivered"]),
    ],
)
def test_reports_are_signed_and_come_as_planned(
    double: TwilioDouble, listener: Listener, ending: str, statuses: list[str]
) -> None:
    sid = _transport(double, listener.url).send(_message(f"+3460022{ending}")).provider_id
    wait_until(lambda: len(listener.forms) == len(statuses))
    assert [form["MessageStatus"] for form in listener.forms] == statuses
    assert listener.genuine == [True] * len(statuses)
    assert {form["MessageSid"] for form in listener.forms} == {sid}
    codes = {form.get("ErrorCode") for form in listener.forms}
    assert codes == ({None, "30003"} if ending == "0010" else {None})


def test_a_report_that_meets_an_error_is_sent_once_more(
    double: TwilioDouble, listener: Listener
) -> None:
    listener.answer = 503
    double.post("behave", number="+34600111222", delivery="undelivered")
    _transport(double, listener.url).send(_message())
    wait_until(lambda: len(listener.forms) == 4)
    assert double.get("stats")["callbacks_waiting"] == 0


def test_only_this_machine_is_called(double: TwilioDouble) -> None:
    _transport(double, "https://example.test").send(_message())
    wait_until(lambda: double.get("stats")["callbacks"].get("not_local") == 2)


def test_twilio_itself_obeys_a_stop(double: TwilioDouble, listener: Listener) -> None:
    transport = _transport(double)
    told = {"to": SENDER, "url": f"{listener.url}/hooks/twilio/sms"}
    answered = double.post("inbound", **{"from": "+34600111222", "body": "Stop", **told})
    assert answered == {"status": 204}
    assert (listener.genuine, listener.forms[0]["Body"]) == ([True], "Stop")
    with pytest.raises(TransportError, match="21610"):
        transport.send(_message())
    double.post("inbound", **{"from": "+34600111222", "body": "START", **told})
    transport.send(_message())


def test_rates_and_their_errors() -> None:
    assert parse_rates("busy=0.1, undelivered=0.5") == Rates(busy=0.1, undelivered=0.5)
    assert parse_rates("") == Rates()
    for wrong in ("busy", "busy=2", "busy=x", "slowly=0.1"):
        with pytest.raises(ValueError, match=wrong.split("=")[0]):
            parse_rates(wrong)


def test_chance_is_repeatable_and_as_frequent_as_asked() -> None:
    rates = Rates(busy=0.2, drop_kept=0.1, undelivered=0.25)

    def run(seed: int) -> list[tuple[Fault, Delivery]]:
        found = [
            behaviour_of("+34600119999", 0, rates, random.Random(f"{seed}/{n}"))
            for n in range(2000)
        ]
        return [(one.fault, one.delivery) for one in found]

    first = run(1)
    assert first == run(1)
    assert first != run(2)
    faults, deliveries = [f for f, _ in first], [d for _, d in first]
    assert 320 < faults.count(Fault.BUSY) < 480
    assert 140 < faults.count(Fault.DROP_KEPT) < 260
    assert faults.count(Fault.ERROR) == 0
    assert 400 < deliveries.count(Delivery.UNDELIVERED) < 600


def test_every_way_of_delivery_has_its_reports() -> None:
    for delivery in Delivery:
        times = [seconds for seconds, _ in reports(delivery, 1.0)]
        assert times == sorted(times)
        assert bool(times) == (delivery is not Delivery.SILENT)
