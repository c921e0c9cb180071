"""Properties that the rendered configuration has to have, whatever the settings."""

from __future__ import annotations

import os
import pwd
import re
import stat
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures_switch import free_port, switch_settings

from dialer.config import Settings
from dialer.simulation.network import prepare_network, subscriber
from dialer.simulation.personas import PERSONAS
from dialer.switch import names
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.product import prepare_product
from dialer.switch.render import (
    DENIED_COMMANDS,
    MUSIC_SILENCE,
    RenderError,
    Subscriber,
    render_carrier,
    render_product,
    run_folder,
)
from dialer.switch.trunks import load_trunks, trunks_path

BINARY = AsteriskBinary(
    "system",
    "22.1.0",
    ("/usr/sbin/asterisk",),
    Path("/usr/lib/asterisk/modules"),
    Path("/usr/share/asterisk"),
    Path("/usr/share/asterisk/sounds"),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return switch_settings(tmp_path)


@pytest.fixture
def floor(tmp_path: Path) -> Settings:
    """Agents work here."""
    return switch_settings(tmp_path, agents=True, http_port=free_port())


def product(settings: Settings) -> Path:
    return render_product(settings, BINARY, load_trunks(settings)) / "etc"


def meaning(path: Path) -> list[str]:
    """The lines without comments and blanks."""
    lines = (re.sub(r"(?<!\\);.*", "", line).strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def values(path: Path, key: str) -> list[str]:
    found = []
    for line in meaning(path):
        name, separator, value = line.partition("=")
        if separator and name.strip() == key:
            found.append(value.lstrip("> ").strip())
    return found


def test_no_key_and_no_card_digit_can_reach_a_log(settings: Settings) -> None:
    etc = product(settings)
    levels = ",".join(values(etc / "logger.conf", "messages.log"))
    assert set(levels.split(",")) == {"warning", "error"}
    for name in ("logger.conf", "manager.conf", "cel.conf"):
        told = [line for line in meaning(etc / name) if not line.startswith("disabledevents")]
        assert "dtmf" not in "\n".join(told).lower()
    assert values(etc / "cel.conf", "enable") == ["no"]
    assert values(etc / "cdr.conf", "enable") == ["no"]
    disabled = values(etc / "manager.conf", "disabledevents")[0]
    assert {
        *("DTMFBegin", "DTMFEnd", "AGIExecStart", "AGIExecEnd"),
        *("AsyncAGIStart", "AsyncAGIExec", "AsyncAGIEnd"),
    } <= set(disabled.split(","))


def test_consoles_may_not_switch_on_what_cannot_be_seen(settings: Settings) -> None:
    conf = product(settings) / "cli_permissions.conf"
    assert values(conf, "default_perm") == ["deny"]
    text = conf.read_text()
    users = re.findall(r"^\[(?!general)(\S+)\]", text, re.MULTILINE)
    assert {"root", pwd.getpwuid(os.getuid()).pw_name} == set(users)
    assert values(conf, "permit") == ["all"] * len(users)
    assert values(conf, "deny") == list(DENIED_COMMANDS) * len(users)


def test_the_payment_process_has_an_ami_user_of_its_own(settings: Settings) -> None:
    text = (product(settings) / "manager.conf").read_text()
    block = text.partition(f"[{settings.payments_ami_user}]\n")[2]
    assert re.findall(r"^(\w+) =(.*)$", block, re.MULTILINE) == [
        ("secret", f" {settings.secret(names.SECRET_PAYMENTS_AMI)}"),
        ("deny", " 0.0.0.0/0.0.0.0"),
        ("permit", " 127.0.0.1/255.255.255.255"),
        ("read", ""),
        ("write", " call,command,user"),
    ]
    assert settings.secret(names.SECRET_PAYMENTS_AMI) != settings.secret(names.SECRET_AMI)


def test_a_call_is_recorded_only_where_it_is_asked_for(settings: Settings) -> None:
    text = (product(settings) / "extensions.conf").read_text()
    lines = [line for line in text.splitlines() if "MixMonitor" in line]
    folder = settings.home / "asterisk/spool/recordings"
    assert len(lines) == 1
    assert f'ExecIf($["${{{names.VAR_RECORD}}}" = "1"]?MixMonitor(' in lines[0]
    assert f"MixMonitor({folder}/${{UNIQUEID}}.wav)" in lines[0]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_ami_is_narrow(settings: Settings) -> None:
    conf = product(settings) / "manager.conf"
    assert values(conf, "bindaddr") == ["127.0.0.1"]
    assert values(conf, "timestampevents") == ["yes"]
    assert values(conf, "webenabled") == ["no"]
    read, write = values(conf, "read")[0].split(","), values(conf, "write")[0].split(",")
    assert set(read) == {"system", "call", "user"}
    assert set(write) == {"originate", "call", "reporting"}
    assert set(values(conf, "permit")) == {"127.0.0.1/255.255.255.255"}
    assert len(values(conf, "secret")[0]) >= 32
    assert values(conf, "secret")[0] == settings.secret(names.SECRET_AMI)


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        ("Event: DialBegin\r\nDestUniqueid: a", True),
        ("Event: DialState\r\nX: y\r\nDialStatus: RINGING", True),
        ("Event: DialState\r\nX: y\r\nDialStatus: PROCEEDING", False),
        ("Event: Newstate\r\nChannelState: 6\r\nUniqueid: a", True),
        ("Event: Newstate\r\nChannelState: 5\r\nUniqueid: a", False),
        ("Event: HangupRequest\r\nUniqueid: a", True),
        ("Event: Hangup\r\nUniqueid: a", True),
        ("Event: UserEvent\r\nUniqueid: a\r\nUserEvent: DialerFlow", True),
        ("Event: UserEvent\r\nUniqueid: a\r\nUserEvent: Other", False),
        ("Event: ChannelTalkingStart\r\nUniqueid: a", True),
        ("Event: ChannelTalkingStop\r\nUniqueid: a", True),
        ("Event: OriginateResponse\r\nResponse: Failure", True),
        ("Event: OriginateResponse\r\nResponse: Success", False),
        ("Event: FullyBooted\r\nStatus: Fully Booted", True),
        ("Event: Shutdown\r\nShutdown: Cleanly", True),
        ("Event: Newchannel\r\nUniqueid: a", False),
        ("Event: DTMFEnd\r\nDigit: 4", False),
        ("Event: VarSet\r\nVariable: a\r\nValue: Event: Hangup", False),
        ("Event: Newexten\r\nAppData: Event: Hangup", False),
    ],
)
def test_only_what_the_engine_reads_passes(settings: Settings, event: str, passes: bool) -> None:
    filters = values(product(settings) / "manager.conf", "eventfilter")
    matched = any(re.search(one, event, re.DOTALL) for one in filters)
    assert matched is passes


def test_asterisk_is_told_to_be_careful(settings: Settings) -> None:
    etc = product(settings)
    assert values(etc / "asterisk.conf", "live_dangerously") == ["no"]
    assert values(etc / "asterisk.conf", "dumpcore") == ["no"]
    for directory in ("astetcdir", "astvarlibdir", "astdbdir", "astrundir", "astlogdir"):
        told = Path(values(etc / "asterisk.conf", directory)[0])
        assert told.is_relative_to(settings.home) or told == run_folder(etc.parent)
    assert values(etc / "modules.conf", "autoload") == ["yes"]
    left_out = set(values(etc / "modules.conf", "noload"))
    assert {"func_shell.so", "app_system.so", "pbx_spool.so", "res_ari.so"} <= left_out
    assert values(etc / "modules.conf", "load") == []


def test_the_dialplan_answers_at_once_and_every_context_sees_the_end(settings: Settings) -> None:
    text = (product(settings) / "extensions.conf").read_text()
    contexts = re.split(r"^\[", text, flags=re.MULTILINE)[2:]  # after the head and [general]
    assert {one.partition("]")[0] for one in contexts} == {
        names.CONTEXT_OUTBOUND,
        names.CONTEXT_MACHINE,
        "dialer-fax",
        "dialer-inbound",
    }
    assert all(re.search(r"^exten => h,1,", one, re.MULTILINE) for one in contexts)
    outbound = contexts[0]
    before_flow = outbound.partition("AGI(")[0]
    assert not re.search(r"\b(Wait\w*|Answer|Playback|Progress)\(", before_flow)
    assert "Set(AGISIGHUP=no)" in before_flow
    assert f"agi://127.0.0.1:{settings.agi_port}/{names.AGI_FLOW}" in outbound


def test_alaw_comes_first_and_keys_come_as_the_trunk_says(settings: Settings) -> None:
    conf = product(settings) / "pjsip.conf"
    assert values(conf, "allow")[0].split(",")[0] == "alaw"
    assert values(conf, "dtmf_mode") == ["auto"]
    trunks_path(settings).write_text(
        "trunks: [{name: a, address: 127.0.0.1, dtmf: inband}, {name: b, address: 127.0.0.1}]\n"
    )
    product(settings)
    assert values(conf, "dtmf_mode") == ["inband", "auto"]


def test_secrets_are_for_the_owner_only(settings: Settings) -> None:
    etc = product(settings)
    for name in ("manager.conf", "pjsip.conf"):
        assert stat.S_IMODE((etc / name).stat().st_mode) == 0o600


def test_files_are_rewritten_only_when_they_change(settings: Settings) -> None:
    etc = product(settings)
    before = {path.name: path.stat().st_ino for path in etc.iterdir()}
    (etc / "left_over.conf").write_text("[x]\n")
    product(settings)
    assert {path.name: path.stat().st_ino for path in etc.iterdir()} == before
    other = settings.model_copy(update={"rtp_end": settings.rtp_end - 2})
    product(other)
    changed = {n for n, inode in before.items() if (etc / n).stat().st_ino != inode}
    assert changed == {"rtp.conf"}


@pytest.mark.parametrize(
    "change",
    [
        {"agi_host": "127.0.0.1)\n same => n,System(id"},
        {"agi_host": "x;y"},
        {"bind": "127.0.0.1\nfoo=bar"},
        {"ami_user": "dialer]\n[other"},
        {"ami_user": "general\rx"},
    ],
)
def test_a_value_cannot_add_configuration(settings: Settings, change: dict[str, str]) -> None:
    with pytest.raises(RenderError, match="Asterisk's configuration"):
        product(settings.model_copy(update=change))
    assert not (settings.home / "asterisk" / "etc" / "manager.conf").exists()


def test_a_persona_cannot_add_configuration(settings: Settings, tmp_path: Path) -> None:
    bad = Subscriber("10", "x", (("Answer()\n[other]",),))
    with pytest.raises(RenderError):
        render_carrier(settings, BINARY, [bad], tmp_path)


def test_every_persona_has_its_place_in_the_network(settings: Settings, tmp_path: Path) -> None:
    subscribers = [subscriber(one) for one in PERSONAS.values()]
    etc = render_carrier(settings, BINARY, subscribers, tmp_path) / "etc"
    text = (etc / "extensions.conf").read_text()
    for persona in PERSONAS.values():
        context = text.partition(f"[persona-{persona.code}]")[2].partition("\n[")[0]
        assert context.count(",1,") >= len(persona.scripts) + 2  # scripts, s and h
        assert "exten => h,1,NoOp()" in context
    assert values(etc / "manager.conf", "write") == [""]


# --- agents ----------------------------------------------------------------------------------


def sections(path: Path) -> dict[str, dict[str, str]]:
    """Section (one that comes again keeps the first) -> its settings."""
    found: dict[str, dict[str, str]] = {}
    for text in re.split(r"^(?=\[)", "\n".join(meaning(path)), flags=re.MULTILINE)[1:]:
        head, *lines = text.splitlines()
        pairs = (line.partition("=") for line in lines)
        found.setdefault(head[1:-1], {key.strip(): value.strip() for key, _, value in pairs})
    return found


def test_without_agents_nothing_of_theirs_is_there(settings: Settings) -> None:
    etc = product(settings)
    assert not {"http.conf", "confbridge.conf", "musiconhold.conf"} & set(os.listdir(etc))
    assert values(etc / "rtp.conf", "icesupport") == ["no"]
    assert values(etc / "pjsip.conf", "endpoint_identifier_order") == ["ip"]
    assert not {"browser", "phones", "transport-ws"} & set(sections(etc / "pjsip.conf"))
    left_out = set(values(etc / "modules.conf", "noload"))
    assert {"app_chanspy.so", "app_confbridge.so", "res_http_websocket.so"} <= left_out


def test_with_agents_the_rest_of_the_modules_stays_out(settings: Settings, floor: Settings) -> None:
    without = set(values(product(settings) / "modules.conf", "noload"))
    within = set(values(product(floor) / "modules.conf", "noload"))
    assert within < without
    assert without - within == {
        *("res_http_websocket.so", "res_pjsip_transport_websocket.so", "app_confbridge.so"),
        *("codec_opus_open_source.so", "res_format_attr_opus.so", "app_chanspy.so"),
        *("res_musiconhold.so", "app_senddtmf.so"),
    }


def test_the_floor_may_be_closed_again(floor: Settings) -> None:
    etc = product(floor)
    assert (etc / "http.conf").exists()
    product(floor.model_copy(update={"agents": False}))
    assert not (etc / "http.conf").exists()


def test_http_is_for_the_websocket_alone(floor: Settings) -> None:
    etc = product(floor)
    general = sections(etc / "http.conf")["general"]
    assert (general["bindaddr"], general["bindport"]) == (floor.bind, str(floor.http_port))
    assert (general["enable_static"], general["enable_status"]) == ("no", "no")
    assert values(etc / "manager.conf", "webenabled") == ["no"]


def test_nobody_is_taken_for_a_trunk_or_a_telephone(floor: Settings) -> None:
    found = sections(product(floor) / "pjsip.conf")
    assert found[names.DEFAULT_TRUNK]["identify_by"] == "ip"
    assert found["phones"]["identify_by"] == "ip"
    assert not any(one.get("endpoint") == "phones" for one in found.values())
    browser, password = found["browser"], found["browser-auth"]["password"]
    assert browser["auth"] == "browser-auth" and "aors" not in browser
    assert password == floor.secret(names.SECRET_BROWSER_SIP) and len(password) >= 32
    for one in (browser, found["phones"]):
        assert (one["allow_transfer"], one["allow_subscribe"]) == ("no", "no")
    assert browser["context"] == names.CONTEXT_AGENTS


def test_with_agents_every_context_sees_the_end_and_agi_leaves_nobody(floor: Settings) -> None:
    text = "\n".join(meaning(product(floor) / "extensions.conf"))
    contexts = dict(
        re.findall(r"^\[(\S+)\]\n(.*?)(?=^\[|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    )
    contexts.pop("general")
    assert {
        value for name, value in vars(names).items() if name.startswith("CONTEXT_")
    } <= contexts.keys()
    for name, context in contexts.items():
        assert re.search(r"^exten => h,1,", context, re.MULTILINE), name
        for after in context.split("AGI(agi://")[1:]:
            if f"/{names.AGI_PAY}" in after.splitlines()[0]:
                continue  # whether it failed or not, the debtor goes back to the agent
            assert 'ExecIf($["${AGISTATUS}" = "FAILURE"]?Hangup(38))' in after.splitlines()[1]


@pytest.mark.parametrize("event", ["ConfbridgeJoin", "ConfbridgeLeave"])
def test_the_engine_hears_who_is_in_a_conference(
    settings: Settings, floor: Settings, event: str
) -> None:
    def passes(one: Settings) -> bool:
        filters = values(product(one) / "manager.conf", "eventfilter")
        return any(re.search(f, f"Event: {event}\r\nConference: a", re.DOTALL) for f in filters)

    assert passes(floor) and not passes(settings.model_copy(update={"agents": False}))


def test_a_company_may_play_its_own_music(floor: Settings) -> None:
    def folder() -> Path:
        return Path(sections(product(floor) / "musiconhold.conf")["default"]["directory"])

    made = folder()
    assert made.is_relative_to(floor.home / "asterisk")
    (floor.home / "hold-music").mkdir()
    assert folder() == made, "an empty folder would be silence"
    (floor.home / "hold-music/ours.wav").write_bytes(b"")
    assert folder() == floor.home / "hold-music"


def test_one_music_is_silence_that_is_sent(floor: Settings) -> None:
    found = sections(product(floor) / "musiconhold.conf")[MUSIC_SILENCE]
    (path,) = Path(found["directory"]).iterdir()
    with wave.open(str(path)) as sound:
        frames = sound.readframes(sound.getnframes())
    assert len(frames) >= 2 * 8000 and set(frames) == {0}


def test_who_is_held_never_hears_silence(floor: Settings) -> None:
    made = Path(values(product(floor) / "musiconhold.conf", "directory")[0]) / "calm.wav"
    with wave.open(str(made)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 8000)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    loudness = np.sqrt(np.mean(samples[: len(samples) // 800 * 800].reshape(-1, 800) ** 2.0, 1))
    assert len(samples) > 8 * 8000
    assert loudness.min() > 300 and abs(samples).max() < 4000, "a voice is ten times as loud"


@pytest.mark.parametrize(
    ("make", "agents"),
    [(prepare_network, False), (prepare_product, False), (prepare_product, True)],
)
def test_asterisk_knows_every_application_of_the_dialplan(
    floor: Settings,
    asterisk_binary: AsteriskBinary,
    make: Callable[[Settings, AsteriskBinary], AsteriskInstance],
    agents: bool,
) -> None:
    """One that is misspelt, or needs a module that is not loaded, would fail within a call."""
    instance = make(floor.model_copy(update={"agents": agents}), asterisk_binary)
    try:
        instance.start()
        dialplan = instance.rx("dialplan show")
        told = instance.rx("core show applications")
        loaded = instance.rx("module show")
        complaints = instance.log_file.read_text().splitlines()[1:]  # the first is its greeting
    finally:
        instance.stop()
    known = set(re.findall(r"^\s*(\w+)\s*:", told, re.MULTILINE))
    used = set(re.findall(r"\b\d+\. (\w+)\(", dialplan))
    assert len(used) > 5 and used <= known
    assert [one for one in complaints if one] == []
    if agents:
        for module in ("app_confbridge", "bridge_softmix", "res_srtp", "codec_opus_open_source"):
            assert re.search(rf"^{module}\.so .*(?<!Not )Running", loaded, re.MULTILINE), module
