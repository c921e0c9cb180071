"""Finds an Asterisk of version 20 or newer, or installs a private one.

Looked for in this order:

1. the binary named in ``DIALER_ASTERISK``;
2. ``asterisk`` on the PATH;
3. a portable one already unpacked in the cache;
4. the package of the machine's own release, unpacked into the cache, if it is new enough;
5. the package of the suite in ``DIALER_ASTERISK_SUITE`` (default forky), likewise.

SIPp, sox and a spare voice come along in the same prefix.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dialer.switch import apt_prefix
from dialer.switch.apt_prefix import AptError, Prefix, PrivateApt, Progress, Recipe
from dialer.switch.apt_sources import Release, Source, read_release, read_sources

OLDEST_VERSION = 20
DEFAULT_SUITE = "forky"

TELEPHONY = Recipe(
    name="telephony",
    required=("asterisk", "asterisk-modules", "sip-tester"),
    optional=(
        "asterisk-core-sounds-en-gsm",
        "asterisk-core-sounds-en-wav",
        "asterisk-core-sounds-es-gsm",
        "asterisk-core-sounds-es-wav",
        "sox",
        "espeak-ng",
        "redis-server",
    ),
)

_VOICE_FOLDERS = re.compile(r"^(?P<language>[a-z]{2})_[A-Z]{2}_")


class AsteriskNotFound(Exception):
    """No usable Asterisk; the message says what to install or set."""


@dataclass(frozen=True, slots=True)
class AsteriskBinary:
    """How to start Asterisk and where its parts lie.

    ``kind``: ``named`` (DIALER_ASTERISK), ``system`` (on the PATH) or ``portable``.
    ``argv`` starts the program; options follow it (``-C FILE -f``, ``-rx COMMAND``).
    ``sounds_dir`` holds one folder a language (``en``, and ``es`` where there is one).
    """

    kind: str
    version: str
    argv: tuple[str, ...]
    module_dir: Path
    data_dir: Path
    sounds_dir: Path
    prefix: Path | None = None

    @property
    def major(self) -> int:
        """22 of 22.10.1."""
        return int(self.version.split(".")[0])


@dataclass(frozen=True, slots=True)
class Machine:
    """The distribution that runs here and where its packages come from."""

    release: Release
    sources: list[Source]


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """DIALER_CACHE, else XDG_CACHE_HOME/dialer, else ~/.cache/dialer: never in a checkout."""
    environ = os.environ if environ is None else environ
    if told := environ.get("DIALER_CACHE"):
        return Path(told).expanduser().absolute()
    return Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "dialer"


def find_asterisk(*, named: str | None = None, cache: Path | None = None) -> AsteriskBinary | None:
    """A usable Asterisk that is there already; installs nothing.

    ``named`` is a path (default ``DIALER_ASTERISK``), ``cache`` a folder (default
    ``cache_folder()``). Raises AsteriskNotFound when the named binary is unusable: silently
    taking another one would be a surprise.
    """
    named = named if named is not None else os.environ.get("DIALER_ASTERISK")
    if named:
        return _inspect(Path(named).expanduser().absolute(), "named")
    on_path = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if on_path:
        try:
            return _inspect(Path(on_path), "system")
        except AsteriskNotFound:
            pass  # too old or broken: the portable one serves
    prefix = apt_prefix.unpacked(cache or cache_folder(), TELEPHONY)
    return _from_prefix(prefix) if prefix is not None else None


def ensure_asterisk(
    progress: Progress = print,
    *,
    named: str | None = None,
    cache: Path | None = None,
    suite: str | None = None,
) -> AsteriskBinary:
    """``find_asterisk``, else install the portable one (about half a minute, 400 MB).

    Raises AsteriskNotFound saying what is missing.
    """
    cache = cache or cache_folder()
    found = find_asterisk(named=named, cache=cache)
    if found is not None:
        return found
    return _from_prefix(ensure_prefix(progress, cache=cache, suite=suite))


def ensure_tool(
    name: str, progress: Progress = print, *, cache: Path | None = None, suite: str | None = None
) -> tuple[str, ...]:
    """The argv of ``sipp``, ``sox``, ``espeak-ng`` or ``redis-server``: PATH, else the prefix.

    Raises AsteriskNotFound when neither has it.
    """
    on_path = shutil.which(name)
    if on_path:
        return (on_path,)
    prefix = ensure_prefix(progress, cache=cache, suite=suite)
    program = prefix.program(name)
    if program is None:
        raise AsteriskNotFound(f"{prefix.suite} has no {name}: install it with the system's apt")
    argv = prefix.command(program)
    if name == "espeak-ng":
        argv += (f"--path={prefix.library_folder()}",)
    return argv


def ensure_prefix(
    progress: Progress = print,
    *,
    cache: Path | None = None,
    suite: str | None = None,
    machine: Machine | None = None,
) -> Prefix:
    """The unpacked telephony prefix, made when it is not there.

    ``machine`` is the release and the package sources; by default this machine's own.
    Raises AsteriskNotFound.
    """
    cache = cache or cache_folder()
    machine = machine or Machine(read_release(), read_sources())
    try:
        prefix = apt_prefix.unpacked(cache, TELEPHONY) or apt_prefix.install(
            cache, TELEPHONY, _chooser(suite, machine, progress), progress
        )
    except AptError as error:
        raise AsteriskNotFound(
            f"no Asterisk {OLDEST_VERSION} or newer could be fetched: {error}\n"
            "Install one and name its binary in DIALER_ASTERISK, or name a suite that your "
            "mirror carries in DIALER_ASTERISK_SUITE."
        ) from error
    _name_languages(prefix.path / "usr/share/asterisk/sounds")
    return prefix


def _chooser(
    suite: str | None, machine: Machine, progress: Progress
) -> Callable[[Path], tuple[PrivateApt, str]]:
    """The machine's own release if its Asterisk is new enough, else the other suite."""
    other = suite or os.environ.get("DIALER_ASTERISK_SUITE") or DEFAULT_SUITE

    def choose(folder: Path) -> tuple[PrivateApt, str]:
        release, sources = machine.release, machine.sources
        own = release.codename or "own"
        progress(f"asking {own} for Asterisk")
        apt = apt_prefix.open_suite(folder, sources, release, "", progress)
        version = apt.candidates(["asterisk"]).get("asterisk", "")
        if _major_of_package(version) >= OLDEST_VERSION:
            return apt, own
        progress(f"asking {other} for Asterisk")
        return apt_prefix.open_suite(folder, sources, release, other, progress), other

    return choose


def _major_of_package(version: str) -> int:
    """22 of ``1:22.10.1+dfsg``; 0 when there is none."""
    match = re.match(r"(?:\d+:)?(\d+)", version)
    return int(match[1]) if match else 0


def _name_languages(sounds: Path) -> None:
    """Asterisk looks for ``sounds/en``; the packages leave that name to a link outside."""
    for folder in sorted(sounds.iterdir()) if sounds.is_dir() else ():
        match = _VOICE_FOLDERS.match(folder.name)
        if match is None or not folder.is_dir():
            continue
        link = sounds / match["language"]
        if link.is_dir():
            continue
        fresh = sounds / f".{match['language']}.{os.getpid()}"
        fresh.symlink_to(folder.name)
        fresh.replace(link)


def _from_prefix(prefix: Prefix) -> AsteriskBinary:
    program = prefix.program("asterisk")
    modules = [path for path in prefix.path.glob("usr/lib/**/asterisk/modules") if path.is_dir()]
    if program is None or not modules:
        raise AsteriskNotFound(f"{prefix.path} is not whole: delete it and run the set-up again")
    argv = prefix.command(program)
    data = prefix.path / "usr/share/asterisk"
    return AsteriskBinary(
        "portable", _version(argv), argv, modules[0], data, data / "sounds", prefix.path
    )


def _version(argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*argv, "-V"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AsteriskNotFound(f"{argv[-1]} does not start: {error}") from error
    match = re.search(r"Asterisk (?:certified[/-])?(\d+(?:\.\d+)*)", done.stdout)
    if match is None:
        said = (done.stderr or done.stdout).strip()[:300]
        raise AsteriskNotFound(f"{argv[-1]} is not an Asterisk that starts: {said}")
    return match[1]


def _inspect(binary: Path, kind: str) -> AsteriskBinary:
    """An installed Asterisk: its version and its folders. Raises AsteriskNotFound."""
    if not binary.is_file() or not os.access(binary, os.X_OK):
        raise AsteriskNotFound(f"{binary} is not a program: correct DIALER_ASTERISK")
    version = _version((str(binary),))
    if int(version.split(".")[0]) < OLDEST_VERSION:
        raise AsteriskNotFound(
            f"{binary} is Asterisk {version}; {OLDEST_VERSION} or newer is needed"
        )
    root = binary.resolve().parent.parent
    machine = f"{platform.machine()}-linux-gnu"
    modules = _first_folder(
        [
            root / "lib" / machine / "asterisk/modules",
            root / "lib/asterisk/modules",
            root / "lib64/asterisk/modules",
            Path("/usr/lib/asterisk/modules"),
        ]
    )
    data = _first_folder(
        [
            root / "share/asterisk",
            root / "var/lib/asterisk",
            Path("/usr/share/asterisk"),
            Path("/var/lib/asterisk"),
        ]
    )
    if modules is None or data is None:
        raise AsteriskNotFound(f"the modules or the data of {binary} were not found beside it")
    return AsteriskBinary(kind, version, (str(binary),), modules, data, data / "sounds")


def _first_folder(choices: list[Path]) -> Path | None:
    return next((path for path in choices if path.is_dir()), None)
