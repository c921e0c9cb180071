"""Leaks that are switched on to see the scan find them.

They are switched on once the guard has looked and the debtor is about to key in its card, with the
rights of the payment process or of whoever may write Asterisk's configuration: the worst moment.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dialer.local.cardscan.listening import ami_recorder
from dialer.local.cardscan.rig import Rig, ScanFailed


@dataclass(frozen=True, slots=True)
class Leak:
    """``on``: switches it on while a card is keyed in, and off again at its end. ``where``: how the
    line of the report begins in which it must be found; ``persona``: who is called."""

    on: Callable[[Rig], Iterator[None]]
    where: str
    persona: str = "hangs_up_in_number"


@contextmanager
def _configured(
    rig: Rig, name: str, change: tuple[str, str], commands: tuple[str, str]
) -> Iterator[None]:
    """A file of Asterisk's configuration changed and read (``commands``: to read it, and to read
    it again afterwards), then as it was."""
    path = rig.asterisk.folder / "etc" / name
    before = path.read_text()
    old, new = change
    if old not in before:
        raise ScanFailed(f"{name} is not what it was: the leak cannot be switched on")
    path.write_text(before.replace(old, new, 1) if old else before + new)
    try:
        rig.asterisk.rx(commands[0])
        yield
    finally:
        path.write_text(before)
        rig.asterisk.rx(commands[1])


def _logger_dtmf(rig: Rig) -> Iterator[None]:
    """A log with level dtmf: one line a key."""
    rig.payments_ami.console("logger add channel leak-dtmf.log dtmf")
    try:
        yield
    finally:
        rig.payments_ami.console("logger remove channel leak-dtmf.log")


def _cel_dtmf(rig: Rig) -> Iterator[None]:
    """Call event logging with all events, into a file: it has keys since Asterisk 22.6."""
    mapping = rig.asterisk.folder / "etc" / "cel_custom.conf"
    fields = ",".join(f"${{{one}}}" for one in ("eventtype", "CHANNEL(channame)", "eventextra"))
    mapping.write_text(f"[mappings]\nleak.csv => {fields}\n")
    (rig.asterisk.folder / "log" / "cel-custom").mkdir(exist_ok=True)
    change = ("enable = no", "enable = yes\nevents = ALL\napps = all\n")
    reload = "module reload cel"
    rig.asterisk.rx("module load res_cdrel_custom.so")  # cel_custom writes through it
    try:
        with _configured(rig, "cel.conf", change, (reload, reload)):
            rig.asterisk.rx("module load cel_custom.so")
            yield
    finally:
        rig.asterisk.rx("module unload cel_custom.so")
        rig.asterisk.rx("module unload res_cdrel_custom.so")
        mapping.unlink()


def _recording(rig: Rig) -> Iterator[None]:
    """A second recording of the call, which nobody mutes."""
    path = rig.asterisk.folder / "spool" / "recordings" / "leak.wav"
    rig.payments_ami.console(f"mixmonitor start {rig.channel()} {path}")
    yield


def _ami_dtmf(rig: Rig) -> Iterator[None]:
    """An AMI user who reads keys; the events are made again."""
    path = rig.asterisk.folder / "etc" / "manager.conf"
    before = path.read_text()
    user = "\n[leak]\nsecret = leak\nread = dtmf,call\nwrite =\n"
    path.write_text(before.replace("DTMFBegin,DTMFEnd,", "", 1) + user)
    s = rig.settings
    try:
        rig.asterisk.rx("manager reload")
        with ami_recorder("AMI, a leak", s.switch_host, s.ami_port, "leak", "leak") as recorder:
            rig.recorders.append(recorder)
            yield
    finally:
        path.write_text(before)
        rig.asterisk.rx("manager reload")


def _agi_debug(rig: Rig) -> Iterator[None]:
    """Debugging of AGI, and a console that shows it, into a file."""
    out = rig.settings.home / "log" / "leak-console.log"
    binary, config = rig.asterisk.binary, str(rig.asterisk.config_file)
    change = ("[logfiles]\n", "[logfiles]\nconsole => notice,verbose\n")
    with (
        out.open("wb") as sink,
        _configured(rig, "logger.conf", change, ("logger reload", "logger reload")),
        subprocess.Popen(
            [*binary.argv, "-C", config, "-rvvvvv"],
            stdin=subprocess.PIPE, stdout=sink, stderr=sink,
        ) as console,
    ):  # fmt: skip
        try:
            rig.payments_ami.console("agi set debug on")
            yield
        finally:
            console.terminate()
            rig.payments_ami.console("agi set debug off")


LEAKS: dict[str, Leak] = {
    "logger-dtmf": Leak(_logger_dtmf, "asterisk/"),
    "cel-dtmf": Leak(_cel_dtmf, "asterisk/"),
    "recording": Leak(_recording, "recordings", "pays_aloud"),
    "ami-dtmf": Leak(_ami_dtmf, "AMI, a leak"),
    "agi-debug": Leak(_agi_debug, "log/"),
}
"""By name: those that need a call."""
