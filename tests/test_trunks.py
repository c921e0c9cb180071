"""Trunks: what a mistake says, how numbers are written, and what a carrier sees on the wire."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from fixtures_switch import switch_settings

from dialer.config import Settings
from dialer.simulation.sip_peer import Behaviour, SipPeer
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest
from dialer.switch.portable import AsteriskBinary
from dialer.switch.product import prepare_product
from dialer.switch.trunks import Trunk, TrunkError, load_trunks, trunks_path


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def told(settings: Settings, text: str) -> Settings:
    trunks_path(settings).write_text(text)
    return settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return switch_settings(tmp_path)


def test_without_a_file_there_is_the_simulated_network(settings: Settings) -> None:
    trunk = load_trunks(settings).get("carrier")
    assert trunk.address == f"127.0.0.1:{settings.carrier_sip_port}"
    assert trunk.dial_string("+34600123410") == "PJSIP/+34600123410@carrier"


def test_dialer_trunk_takes_every_trunks_place(tmp_path: Path) -> None:
    settings = told(
        switch_settings(tmp_path, trunk="127.0.0.1:5062"),
        "trunks: [{name: big, address: sip.example.net, transport: tls, username: a}]",
    )
    trunks = load_trunks(settings)
    assert {t.name: t.address for t in trunks.trunks} == {
        "big": "127.0.0.1:5062",
        "carrier": "127.0.0.1:5062",
    }
    assert trunks.get("big").transport == "udp" and trunks.get("big").username is None


@pytest.mark.parametrize(
    ("form", "prefix", "dialled", "shown"),
    [
        ("plus_e164", "", "+34600123410", "+34911222333"),
        ("e164", "", "34600123410", "34911222333"),
        ("national", "", "600123410", "911222333"),
        ("prefixed", "00", "0034600123410", "34911222333"),
        ("prefixed", "7788", "778834600123410", "34911222333"),
    ],
)
def test_number_formats(form: Any, prefix: str, dialled: str, shown: str) -> None:
    trunk = Trunk.model_validate(
        {"name": "t", "address": "192.0.2.1", "number_format": form, "prefix": prefix}
    )
    assert trunk.number("+34600123410") == dialled
    assert trunk.caller_id_value("+34911222333") == shown
    assert trunk.dial_string("+34600123410") == f"PJSIP/{dialled}@t"


def test_the_national_form_has_the_trunk_digit_where_a_country_uses_one() -> None:
    trunk = Trunk.model_validate({"name": "t", "address": "192.0.2.1", "number_format": "national"})
    assert trunk.number("+442079460000") == "02079460000"


@pytest.mark.parametrize("number", ["600123410", "+0600123410", "+34600 123", "+34600@evil", ""])
def test_a_number_that_is_not_e164_is_refused(number: str) -> None:
    trunk = Trunk.model_validate({"name": "t", "address": "192.0.2.1"})
    with pytest.raises(ValueError, match=r"E\.164"):
        trunk.dial_string(number)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- name: x", "begin with 'trunks:'"),
        ("trunks: [", "cannot be read as YAML"),
        ("trunks: []", "at least 1 item"),
        ("trunks: [{name: a, address: 'sip:x.net'}]", "without sip: before it"),
        ("trunks: [{name: a, address: 'x.net:99999'}]", "port 99999 does not exist"),
        ("trunks: [{name: a, address: x.net, chanels: 4}]", "1.chanels: is not a setting"),
        ("trunks: [{name: global, address: x.net}]", "Asterisk's own; take another"),
        ("trunks: [{name: A b, address: x.net}]", "1.name"),
        ("trunks: [{name: a, address: x.net, registers: true}]", "registers needs a username"),
        ("trunks: [{name: a, address: x.net, srtp: true}]", "set transport: tls too"),
        ("trunks: [{name: a, address: x.net, number_format: prefixed}]", "needs a prefix"),
        ("trunks: [{name: a, address: x.net, prefix: '00'}]", "number_format: prefixed only"),
        ("trunks: [{name: a, address: x.net, codecs: []}]", "at least one codec"),
        ("trunks: [{name: a, address: x.net, codecs: [opus]}]", "1.codecs"),
        ("trunks: [{name: a, address: x.net, username: 'a\\nb'}]", "1.username"),
        ("trunks: [{name: a, address: x.net, max_channels: 0}]", "1.max_channels"),
        ("trunks: [{name: a, address: x.net}, {name: a, address: y.net}]", "rename one"),
        ("trunks: [{name: a, address: x.net}]\nnat: {local_networks: [x]}", "is no network"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_to_write(
    settings: Settings, text: str, says: str
) -> None:
    with pytest.raises(TrunkError) as error:
        load_trunks(told(settings, text))
    assert says in str(error.value)
    assert str(trunks_path(settings)) in str(error.value)


def test_a_trunk_that_is_not_there_lists_those_that_are(settings: Settings) -> None:
    with pytest.raises(TrunkError, match="no trunk 'big'; there are: carrier"):
        load_trunks(settings).get("big")


def test_a_trunk_that_cannot_be_reached_from_the_loopback_is_refused(settings: Settings) -> None:
    trunks = load_trunks(told(settings, "trunks: [{name: big, address: sip.example.net}]"))
    with pytest.raises(TrunkError, match=r"DIALER_BIND=0\.0\.0\.0"):
        trunks.check_against(settings)
    trunks.check_against(settings.model_copy(update={"bind": "0.0.0.0"}))


def test_a_missing_password_says_where_to_write_it(settings: Settings) -> None:
    text = "trunks: [{name: big-one, address: 127.0.0.1, username: me}]"
    trunks = load_trunks(told(settings, text))
    with pytest.raises(TrunkError, match="secrets/trunk_big_one"):
        trunks.check_against(settings)
    (settings.home / "secrets").mkdir(exist_ok=True)
    (settings.home / "secrets" / "trunk_big_one").write_text("pass word\n")
    assert trunks.password(trunks.get("big-one"), settings) == "pass word"


TRUNK = """
trunks:
  - name: big
    address: 127.0.0.1:{port}
    {more}
"""


@pytest.mark.parametrize(
    ("more", "user", "headers"),
    [
        ("number_format: e164", "34600123410", {"From": "<sip:34911222333@"}),
        (
            "caller_id_header: pai",
            "+34600123410",
            {"From": "<sip:+34911222333@", "P-Asserted-Identity": "<sip:+34911222333@"},
        ),
        (
            "caller_id_header: rpid",
            "+34600123410",
            {"Remote-Party-ID": "<sip:+34911222333@"},
        ),
        (
            "{from_user: account7, from_domain: me.example.net, caller_id_header: pai}",
            "+34600123410",
            {
                "From": "<sip:account7@me.example.net>",
                "P-Asserted-Identity": "<sip:+34911222333@",
            },
        ),
    ],
)
def test_what_the_carrier_sees(
    asterisk_binary: AsteriskBinary,
    settings: Settings,
    more: str,
    user: str,
    headers: dict[str, str],
) -> None:
    async def body() -> None:
        async with SipPeer(Behaviour(status="486 Busy Here")) as peer:
            lines = more.strip("{}").split(", ")
            text = TRUNK.format(port=peer.port, more="\n    ".join(lines))
            instance = prepare_product(told(settings, text), asterisk_binary)
            try:
                await asyncio.to_thread(instance.start)
                trunk = load_trunks(settings).get("big")
                await call(settings, trunk)
                invite = await peer.request("INVITE")
                assert invite.user == user
                for name, value in headers.items():
                    assert value in invite.headers[name]
                media = invite.body.partition("m=audio ")[2].split("\r\n")[0]
                assert media.split(" RTP/AVP ")[1].split(" ")[:2] == ["8", "0"]  # alaw first
                assert "telephone-event" in invite.body
            finally:
                await asyncio.to_thread(instance.stop)

    run(body())


def test_registration_and_calls_answer_a_challenge(
    asterisk_binary: AsteriskBinary, settings: Settings
) -> None:
    async def body() -> None:
        async with SipPeer(Behaviour(status="486 Busy Here", realm="carrier")) as peer:
            text = TRUNK.format(port=peer.port, more="username: acc\n    registers: true")
            settings.secret("trunk_big")
            instance = prepare_product(told(settings, text), asterisk_binary)
            try:
                await asyncio.to_thread(instance.start)
                again = await peer.request("REGISTER", 2)
                assert 'username="acc"' in again.headers["Authorization"]
                await call(settings, load_trunks(settings).get("big"))
                invite = await peer.request("INVITE", 2)
                assert 'username="acc"' in invite.headers["Authorization"]
            finally:
                await asyncio.to_thread(instance.stop)

    run(body())


async def call(settings: Settings, trunk: Trunk) -> None:
    """Place one call through a trunk; the link is closed again at once."""
    link = AmiLink(
        host="127.0.0.1",
        port=settings.ami_port,
        user=settings.ami_user,
        secret=settings.secret(names.SECRET_AMI),
        node="node1",
    )
    await link.connect()
    try:
        await link.wait_ready(15)
        await link.originate(
            OriginateRequest(
                uuid.uuid4().hex,
                trunk.dial_string("+34600123410"),
                trunk.caller_id_value("+34911222333"),
                10,
            )
        )
        await link.live_channels()  # an answer to this: the call was taken
    finally:
        await link.close()
