"""What of Asterisk would write keys down, read from what its console answers. Pure.

Each function takes the text of one answer and returns reasons why no card may be taken, as
sentences for whoever has to put it right. An answer that is not understood is a reason too.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dialer.switch import names

NEEDED_DISABLED = frozenset(
    {
        *("DTMFBegin", "DTMFEnd", "AGIExecStart", "AGIExecEnd"),
        *("AsyncAGIStart", "AsyncAGIExec", "AsyncAGIEnd"),
    }
)
"""Events of AMI that carry keys, and so must not be made at all."""
HEARS_KEYS = frozenset({"all", "dtmf", "agi", "verbose", "log"})
"""Classes to read of AMI by which keys go out."""
OPENS_LEAKS = frozenset({"all", "command", "agi", "system", "config"})
"""Classes to write of AMI with which traces are switched on that nobody sees afterwards, modules
loaded, recordings begun or files of the configuration changed."""
_READ_BITS = {"log": 4, "verbose": 8, "dtmf": 256, "agi": 8192}

LISTENERS = {
    "res_pjsip_logger": "SIP messages, keys sent by SIP INFO among them",
    "res_pjsip_history": "SIP messages, keys sent by SIP INFO among them",
    "res_hep_pjsip": "SIP messages, keys sent by SIP INFO among them",
    "res_hep": "SIP messages, keys sent by SIP INFO among them",
    "res_ari_events": "keys to programs that use ARI",
    "cel_custom": "call events",
}
"""Modules that the product does not load, and what they give away."""
SPY_MODULE = "app_chanspy"
"""Loaded where agents work, and only there. ``spies`` sees what it does."""
COACH_OPTIONS = "quWES"
"""Of ChanSpy, for whoever speaks to a debtor keying in a card: W, the spy hears nothing."""
WHISPER_OPTIONS = "quwES"
"""Of ChanSpy, for a supervisor who speaks to an agent and hears the agent's leg. Neither has d,
with which keys change the mode, nor r, which records."""

_KEEPS_KEYS = re.compile(r"\b(Read|WaitExten|Background|BackGround|ReadExten|SendDTMF)\(")
_SPIES = re.compile(r"\b(?:Chan|Exten)Spy\(", re.IGNORECASE)
_OUR_SPIES = re.compile(rf"\bChanSpy\(\$\{{EXTEN\}},(?:{COACH_OPTIONS}|{WHISPER_OPTIONS})\)\s+\[")
_CHANNEL_FIELDS = 14  # of `core show channels concise`
_MOST_DEBUG = 3
_UNREADABLE = "Asterisk's answer to `{}` is not understood"


def log_channels(answer: str) -> list[str]:
    """``logger show channels``: no channel may take keys, or the verbose or debug talk."""
    rows = re.split(r"^-{3,}.*$", answer, maxsplit=1, flags=re.MULTILINE)
    if len(rows) != 2:
        return [_UNREADABLE.format("logger show channels")]
    reasons = []
    for row in filter(str.strip, rows[1].splitlines()):
        found = re.search(r"\s(File|Console|Syslog)\s.*?\s-\s*(.*)$", row)
        if found is None:
            return [_UNREADABLE.format("logger show channels")]
        bad = sorted({"DTMF", "VERBOSE", "DEBUG"} & set(found[2].split()))
        if bad:
            where = "the console" if found[1] == "Console" else f"the log {row.split()[0]}"
            reasons.append(f"{where} takes {', '.join(bad)}: take it out of logger.conf")
    return reasons


def core_settings(answer: str) -> list[str]:
    """``core show settings``: how much is said for debugging, and whether memory is dumped."""
    level = re.search(r"^\s*Debug level:\s+(\d+)", answer, re.MULTILINE)
    dumps = re.search(r"^\s*Dump core on crash:\s+(\w+)", answer, re.MULTILINE)
    if level is None or dumps is None:
        return [_UNREADABLE.format("core show settings")]
    reasons = []
    if int(level[1]) > _MOST_DEBUG:
        reasons.append(f"the debug level is {level[1]}: run `core set debug 0`")
    if dumps[1] != "No":
        reasons.append("a crash would write Asterisk's memory down: dumpcore = no in asterisk.conf")
    return reasons


def console_permissions(answer: str, denied: Iterable[str]) -> list[str]:
    """``cli show permissions``: no console may switch on what cannot be seen afterwards."""
    blocks = re.split(r"^(?:user|group): ", answer, flags=re.MULTILINE)[1:]
    if not any(re.match(r"root\b", block) for block in blocks):
        return ["consoles may switch traces on: cli_permissions.conf is not the product's"]
    reasons = []
    for block in blocks:
        rules = re.findall(r"^\s*(permit|deny) -> (.*?)\s*$", block, re.MULTILINE)
        open_to = [one for one in denied if not _is_denied(one, rules)]
        if open_to:
            who = block.split()[0]
            reasons.append(
                f"the console of {who} may run `{'`, `'.join(open_to)}`: cli_permissions.conf is "
                "not the product's"
            )
    return reasons


def _is_denied(command: str, rules: list[tuple[str, str]]) -> bool:
    """The last rule that fits counts; a narrower permission opens a part of the command."""
    denied = False
    for kind, what in rules:
        if kind == "deny" and (what == "all" or command.startswith(what)):
            denied = True
        elif kind == "permit" and (what == "all" or _touches(command, what)):
            denied = False
    return denied


def _touches(command: str, what: str) -> bool:
    return command.startswith(what) or what.startswith(command)


def ami_settings(answer: str) -> list[str]:
    """``manager show settings``: events with keys are not made, and AMI stays on this machine."""
    disabled = re.search(r"^\s*Disabled events:(.*)$", answer, re.MULTILINE)
    address = re.search(r"^\s*TCP Bindaddress:\s+(\S+)", answer, re.MULTILINE)
    if disabled is None or address is None:
        return [_UNREADABLE.format("manager show settings")]
    reasons = []
    missing = sorted(NEEDED_DISABLED - {one.strip() for one in disabled[1].split(",")})
    if missing:
        reasons.append(f"AMI tells {', '.join(missing)}: disabledevents in manager.conf")
    host = address[1].rpartition(":")[0]
    if address[1] != "Disabled" and not is_loopback(host):
        reasons.append(f"AMI listens on {host}: bindaddr = 127.0.0.1 in manager.conf")
    return reasons


def ami_users(answer: str) -> list[str]:
    """``manager show users``: their names. Raises ValueError for an answer that is none."""
    rows = re.split(r"^-+\s*$", answer, flags=re.MULTILINE)
    if len(rows) != 3 or "configured" not in rows[2]:
        raise ValueError(_UNREADABLE.format("manager show users"))
    return [row.strip() for row in rows[1].splitlines() if row.strip()]


def ami_user(name: str, answer: str, *, ours: bool) -> list[str]:
    """``manager show user``: whom AMI gives keys to, or lets traces be switched on.

    ``ours``: the payment process's own, which asks the console and hears nothing.
    """
    read = re.search(r"^\s*read perm:(.*)$", answer, re.MULTILINE)
    write = re.search(r"^\s*write perm:(.*)$", answer, re.MULTILINE)
    if read is None or write is None:
        return [_UNREADABLE.format("manager show user")]
    reads = {one.strip() for one in read[1].split(",")}
    writes = {one.strip() for one in write[1].split(",")}
    reasons = []
    if ours and reads != {"<none>"}:
        reasons.append(f"the AMI user {name} reads events: `read =` in manager.conf")
    elif reads & HEARS_KEYS:
        bad = ",".join(sorted(reads & HEARS_KEYS))
        reasons.append(f"the AMI user {name} reads {bad}: take it out of manager.conf")
    bad_writes = (writes & OPENS_LEAKS) - ({"command"} if ours else set())
    if bad_writes:
        bad = ",".join(sorted(bad_writes))
        reasons.append(
            f"the AMI user {name} may open leaks (write {bad}): take it out of manager.conf"
        )
    return reasons


def ami_sessions(answer: str) -> list[str]:
    """``manager show connected``: a session keeps what it was allowed when it logged in."""
    if "users connected" not in answer:
        return [_UNREADABLE.format("manager show connected")]
    reasons = []
    for row in answer.splitlines()[1:-1]:
        fields = row.split()
        if len(fields) != 8 or not fields[6].isdigit():
            return [_UNREADABLE.format("manager show connected")]
        bad = sorted(name for name, bit in _READ_BITS.items() if int(fields[6]) & bit)
        if bad:
            reasons.append(f"a session of the AMI user {fields[0]} reads {','.join(bad)}: end it")
    return reasons


def call_event_log(answer: str) -> list[str]:
    """``cel show status``."""
    if "CEL Logging: Disabled" in answer:
        return []
    if "CEL Logging: Enabled" not in answer:
        return [_UNREADABLE.format("cel show status")]
    tracked = set(re.findall(r"^CEL Tracking Event: (\w+)", answer, re.MULTILINE))
    bad = sorted(tracked & {"ALL", "DTMF"})
    return [f"call event logging takes {', '.join(bad)}: enable = no in cel.conf"] if bad else []


def modules(answer: str, *, agents: bool = False) -> list[str]:
    """``module show``: modules that give keys away are not loaded.

    ``agents``: people work here, so one that lets listen in is there and is watched (``spies``).
    """
    loaded = set(re.findall(r"^(\w+)\.so\b", answer, re.MULTILINE))
    if not loaded:
        return [_UNREADABLE.format("module show")]
    listeners = dict(LISTENERS)
    if not agents:
        listeners[SPY_MODULE] = "calls to whoever listens in"
    return [
        f"the module {name} is loaded, which gives {what}: `module unload {name}.so`"
        for name, what in listeners.items()
        if name in loaded
    ]


def dialplan(answer: str) -> list[str]:
    """``dialplan show``: nothing in it turns keys into variables or extensions, and nobody listens
    in but as the product's own contexts do."""
    if "contexts" not in answer:
        return [_UNREADABLE.format("dialplan show")]
    found = sorted(set(_KEEPS_KEYS.findall(answer)))
    reasons = [f"the dialplan uses {', '.join(found)}, which writes keys down"] if found else []
    if len(_SPIES.findall(answer)) != len(_OUR_SPIES.findall(answer)):
        reasons.append("the dialplan has a ChanSpy that is not the product's: take it out")
    return reasons


@dataclass(frozen=True, slots=True)
class Channel:
    """A row of ``core show channels concise``. ``bridge``: the id of the one it is in, or empty."""

    name: str
    application: str
    data: str
    bridge: str
    unique_id: str

    @property
    def is_agents_leg(self) -> bool:
        """An agent's browser or telephone; on those nobody keys a card in."""
        own = tuple(f"PJSIP/{one}-" for one in (names.ENDPOINT_BROWSER, names.ENDPOINT_PHONES))
        return self.name.startswith(own) or self.unique_id.startswith(names.LEG_PREFIX)


def channels(answer: str) -> list[Channel]:
    """``core show channels concise``. Raises ValueError for a row that is none."""
    found = []
    for row in filter(None, answer.splitlines()):
        fields = row.split("!")
        if len(fields) != _CHANNEL_FIELDS:
            # An exclamation mark in a field may hide what a channel does.
            raise ValueError(_UNREADABLE.format("core show channels concise"))
        found.append(Channel(fields[0], fields[5], fields[6], fields[12], fields[13]))
    return found


def spies(answer: str) -> list[str]:
    """``core show channels concise``: nobody listens to a call on which a card may be keyed in.

    Left alone: who is heard and hears nothing (``COACH_OPTIONS``), and who hears an agent's leg
    (``WHISPER_OPTIONS``), for no key comes to it: the debtor is out of the conference meanwhile.
    """
    present = channels(answer)
    legs = {one.unique_id for one in present if one.is_agents_leg}
    reasons = []
    for one in present:
        if not one.application.casefold().endswith("spy"):
            continue
        target, _, options = one.data.partition(",")
        ours = one.application == "ChanSpy" and (
            options == COACH_OPTIONS or (options == WHISPER_OPTIONS and target in legs)
        )
        if not ours:
            reasons.append(f"{one.name} listens to calls ({one.application}): end it")
    return reasons


def in_company(channel: str, answer: str) -> str:
    """``core show channels concise``: why keys of that channel may be heard by others; empty when
    it is there and alone with Asterisk. Raises ValueError for an answer that is none."""
    for one in channels(answer):
        if one.name == channel:
            return "the call is in a conference or bridge" if one.bridge else ""
    return "the call is not among the channels"


def recordings(answer: str) -> list[str] | None:
    """``mixmonitor list <channel>``: ids of what records it; None for an answer that is no list."""
    head, _, rows = answer.partition("\n")
    rule, _, rows = rows.partition("\n")
    if not head.startswith("MixMonitor ID") or not re.fullmatch("=+", rule):
        return None
    ids = [row.split("\t")[0] for row in rows.splitlines() if row.strip()]
    return ids if all(re.fullmatch("0x[0-9a-f]+", one) for one in ids) else None


def is_loopback(host: str) -> bool:
    """Whether an address stays on this machine; a name other than ``localhost`` may not."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
