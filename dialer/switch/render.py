"""Writes the configuration of an Asterisk instance: a folder that holds all it needs.

``<home>/asterisk`` is the product's, ``<home>/carrier`` the simulated network's; each has
``etc/``, ``var/``, ``log/``, ``spool/`` and ``run/``. Templates lie in ``asterisk_conf/``. A file
is written only when its text changes. Values that would start another line, section or comment
are refused, so that a setting can never add configuration of its own.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dialer.config import ROOT, Settings
from dialer.domain import queueing
from dialer.domain.detection import TalkRules
from dialer.switch import dangers, modules, names
from dialer.switch.hold_sound import music_folder, silence_folder
from dialer.switch.portable import AsteriskBinary
from dialer.switch.trunks import TrunkError, TrunkFile

TEMPLATES = ROOT / "asterisk_conf"

TALK = TalkRules()
"""What TALK_DETECT is told; the detector's own parameters."""

MUSIC_SILENCE = names.MUSIC_SILENCE
LONGEST_HOLD_SECONDS = 600
"""A debtor who is held so long goes to the queue: the agent has forgotten, or the engine died."""

KEY_TONES = {
    key: (row, column)
    for row, keys in zip((697, 770, 852, 941), ("123", "456", "789", "*0#"), strict=True)
    for column, key in zip((1209, 1336, 1477), keys, strict=True)
}
"""The two frequencies (hertz) of each key (ITU-T Q.23)."""

_COMMON = (
    "asterisk.conf",
    "logger.conf",
    "cel.conf",
    "cdr.conf",
    "rtp.conf",
    "modules.conf",
    "manager.conf",
    "indications.conf",
    "cli_permissions.conf",
)
_AGENT_FILES = ("http.conf", "confbridge.conf", "musiconhold.conf")
_EMPTY = ("acl.conf", "udptl.conf", "pjproject.conf", "features.conf", "ccss.conf")
"""Asterisk's defaults are meant; without the file it logs an error at each start."""
_SECRET_FILES = ("manager.conf", "pjsip.conf")
_BREAKS_OUT = re.compile(r"[\r\n\x00;\[\]]")
_LONGEST_SOCKET = 107  # bytes of a Unix socket's path (sun_path, less the end)

# What the engine reads, and nothing else: every event costs it parsing time.
_PRODUCT_FILTERS = (
    "^Event: (DialBegin|Hangup|ChannelTalking|FullyBooted|Shutdown)",
    f"^Event: UserEvent.*UserEvent: {names.FLOW_EVENT}",
    "^Event: OriginateResponse.*Response: Failure",
    "^Event: Newstate.*ChannelState: 6",
    "^Event: DialState.*DialStatus: (RINGING|PROGRESS)",
)
_AGENT_FILTERS = ("^Event: Confbridge(Join|Leave)",)
_CARRIER_FILTERS = (
    # Talk: what debtors who wait for an agent begin to hear.
    "^Event: (Newchannel|Hangup|ChannelTalkingStart|FullyBooted|Shutdown)",
    "^Event: Newstate.*ChannelState: 6",
)
_DISABLED_EVENTS = (
    "DTMFBegin",
    "DTMFEnd",
    # Commands and answers of AGI, keys among them.
    "AGIExecStart",
    "AGIExecEnd",
    "AsyncAGIStart",
    "AsyncAGIExec",
    "AsyncAGIEnd",
    "Newexten",
    "VarSet",
    "RTCPSent",
    "RTCPReceived",
    "SuccessfulAuth",
    "ChallengeSent",
    "ContactStatus",
    "DeviceStateChange",
)

DENIED_COMMANDS = (
    "agi set debug",
    "core set debug category",
    "core set debug channel",
    "logger set level",
    "pjsip set logger",
    "rtp set debug",
)
"""Console commands that make keys visible and whose effect cannot be asked for afterwards."""


class RenderError(Exception):
    """The configuration cannot be written; the message names the value and says what to do."""


@dataclass(frozen=True, slots=True)
class Dirs:
    """The folders of one instance."""

    home: Path
    run: Path

    @property
    def etc(self) -> Path:
        """Configuration."""
        return self.home / "etc"

    @property
    def var(self) -> Path:
        """AstDB and keys."""
        return self.home / "var"

    @property
    def log(self) -> Path:
        """messages.log."""
        return self.home / "log"

    @property
    def spool(self) -> Path:
        """Recordings."""
        return self.home / "spool"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody on the simulated network: lines of dialplan, script by script."""

    code: str
    name: str
    scripts: tuple[tuple[str, ...], ...]
    by_caller_id: bool = False


def product_folder(settings: Settings) -> Path:
    """The instance folder of the product's Asterisk."""
    return settings.home / "asterisk"


def carrier_folder(settings: Settings) -> Path:
    """The instance folder of the simulated network."""
    return settings.home / "carrier"


def run_folder(folder: Path) -> Path:
    """Where an instance keeps its socket and its pid.

    Within the folder, unless that path is too long for a Unix socket: then a folder of this
    user's below the temporary one.
    """
    inside = folder / "run"
    if len(os.fsencode(inside / "asterisk.ctl")) <= _LONGEST_SOCKET:
        return inside
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dialer-{os.getuid()}-{digest}"


def render_product(settings: Settings, binary: AsteriskBinary, trunks: TrunkFile) -> Path:
    """Write the product's instance folder; returns it.

    Raises RenderError for a value that cannot be written, TrunkError for a trunk that cannot
    work with these settings.
    """
    trunks.check_against(settings)
    folder = product_folder(settings)
    needed = {trunk.transport for trunk in trunks.trunks} | {"udp"}
    ports = {"udp": settings.sip_port, "tcp": settings.sip_port, "tls": settings.sip_port + 1}
    return _write_instance(
        settings,
        binary,
        folder,
        {
            **_values(settings, binary, "product"),
            **(_agent_values(settings, folder) if settings.agents else {}),
            "bind": settings.bind,
            "transports": [{"protocol": p, "port": ports[p]} for p in sorted(needed)],
            "trunks": trunks.trunks,
            "nat": trunks.nat,
            "tls": trunks.tls,
            "passwords": {
                trunk.name: trunks.password(trunk, settings)
                for trunk in trunks.trunks
                if trunk.username
            },
            "language": "es",
            "agi": f"agi://{settings.agi_host}:{settings.agi_port}",
            "talk": TALK,
            "ced": {"hz": 2100, "ms": 1000},
            "beep": {"silence_ms": 1500, "longest_greeting_s": 45},
        },
        {
            **{name: f"common/{name}.j2" for name in _COMMON},
            "pjsip.conf": "pjsip.conf.j2",
            "extensions.conf": "extensions.conf.j2",
            "amd.conf": "amd.conf.j2",
            **({name: f"agents/{name}.j2" for name in _AGENT_FILES} if settings.agents else {}),
        },
    )


def _agent_values(settings: Settings, folder: Path) -> dict[str, Any]:
    """What the templates of ``agents/`` need besides the others' values."""
    return {
        "http_port": settings.http_port,
        "browser_password": settings.secret(names.SECRET_BROWSER_SIP),
        "pay_agi": f"agi://{settings.agi_host}:{settings.payments_agi_port}",
        "longest_hold_s": LONGEST_HOLD_SECONDS,
        "cut_off": queueing.CUT_OFF,
        "spy": {"coach": dangers.COACH_OPTIONS, "whisper": dangers.WHISPER_OPTIONS},
        "music_dir": music_folder(settings.home, folder / "var" / "music"),
        "silence": MUSIC_SILENCE,
        "silence_dir": silence_folder(folder / "var" / "silence"),
    }


def render_carrier(
    settings: Settings,
    binary: AsteriskBinary,
    subscribers: Sequence[Subscriber],
    lines_dir: Path,
    card_expiry: str = "",
) -> Path:
    """Write the instance folder of the simulated network; returns it.

    ``lines_dir`` holds what its subscribers say; ``card_expiry`` (MMYY) is that of their cards.
    Raises RenderError.
    """
    return _write_instance(
        settings,
        binary,
        carrier_folder(settings),
        {
            **_values(settings, binary, "carrier"),
            "subscribers": subscribers,
            "lines_dir": lines_dir,
            "card_expiry": card_expiry,
            "key_tones": KEY_TONES,
            "sip_port": settings.carrier_sip_port,
            "dialer_sip_port": settings.sip_port,
        },
        {
            **{name: f"common/{name}.j2" for name in _COMMON},
            "pjsip.conf": "carrier/pjsip.conf.j2",
            "extensions.conf": "carrier/extensions.conf.j2",
        },
    )


def _values(settings: Settings, binary: AsteriskBinary, which: str) -> dict[str, Any]:
    """What the common templates need."""
    carrier = which == "carrier"
    return {
        "binary": binary,
        "names": names,
        "node": "carrier" if carrier else settings.node,
        "max_files": min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536),
        "rtp_start": settings.carrier_rtp_start if carrier else settings.rtp_start,
        "rtp_end": settings.carrier_rtp_end if carrier else settings.rtp_end,
        "noload": modules.CARRIER_NOLOAD if carrier else modules.product_noload(settings.agents),
        "agents": settings.agents and not carrier,
        "ami_port": settings.carrier_ami_port if carrier else settings.ami_port,
        "ami_user": names.CARRIER_AMI_USER if carrier else settings.ami_user,
        "ami_secret": settings.secret(names.SECRET_CARRIER_AMI if carrier else names.SECRET_AMI),
        "ami_read": "system,call" if carrier else "system,call,user",
        "ami_write": "" if carrier else "originate,call,reporting",
        "payments_ami_user": "" if carrier else settings.payments_ami_user,
        "payments_ami_secret": "" if carrier else settings.secret(names.SECRET_PAYMENTS_AMI),
        "disabled_events": _DISABLED_EVENTS,
        "event_filters": _CARRIER_FILTERS if carrier else _product_filters(settings),
        "console_users": () if carrier else _console_users(),
        "denied_commands": DENIED_COMMANDS,
    }


def _product_filters(settings: Settings) -> tuple[str, ...]:
    return (*_PRODUCT_FILTERS, *(_AGENT_FILTERS if settings.agents else ()))


def _console_users() -> tuple[str, ...]:
    """Who may use the console: root, and whom Asterisk runs as. Asterisk knows them by name."""
    found = {"root"}
    try:
        found.add(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container's user without a name: by its group
        try:
            found.add("@" + grp.getgrgid(os.getgid()).gr_name)
        except KeyError:
            return ()
    return tuple(sorted(found))


def _write_instance(
    settings: Settings,
    binary: AsteriskBinary,
    folder: Path,
    values: Mapping[str, Any],
    files: Mapping[str, str],
) -> Path:
    dirs = Dirs(folder, run_folder(folder))
    environment = _environment(f"{folder.name}/etc")
    texts = {
        name: environment.get_template(template).render(values, dirs=dirs)
        for name, template in files.items()
    }
    texts |= dict.fromkeys(_EMPTY, "; Asterisk's defaults.\n")
    recordings = dirs.spool / "recordings"
    for path in (dirs.etc, dirs.var, dirs.var / "keys", dirs.log, recordings, dirs.run):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in texts.items():
        _write_if_changed(dirs.etc / name, text, 0o600 if name in _SECRET_FILES else 0o640)
    for stray in dirs.etc.iterdir():
        if stray.name not in texts and stray.suffix == ".conf":
            stray.unlink()  # of an older version; Asterisk would read it
    return folder


def _environment(where: str) -> Environment:
    def harmless(value: object) -> object:
        """Refuse what would leave its line: jinja2 calls it for every value put in."""
        text = str(value)
        found = _BREAKS_OUT.search(text)
        if found is not None:
            raise RenderError(
                f"a value for {where} has {found[0]!r} in it, which would change the meaning of "
                f"Asterisk's configuration; take it out (the value begins with {text[:12]!r})"
            )
        return value

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=harmless,
        autoescape=False,
        keep_trailing_newline=True,
    )


def _write_if_changed(path: Path, text: str, mode: int) -> bool:
    """Write whole or not at all; True when the text was another one."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        path.chmod(mode)
        return False
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "wb") as out:
        out.write(content)
    fresh.replace(path)
    return True


__all__ = [
    "RenderError",
    "Subscriber",
    "TrunkError",
    "carrier_folder",
    "product_folder",
    "render_carrier",
    "render_product",
    "run_folder",
]
