"""Unpacks packages of the distribution, with all they need, into one folder of our own.

No root, no change to the system: a private apt (own sources, state and cache folders) reads the
machine's own mirror, checks every signature as apt always does, resolves the dependencies as if
nothing were installed, and each package is unpacked below one prefix. Programs in there are
started through the prefix's own loader, so it does not matter which release the machine runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dialer.switch.apt_sources import Release, Source, other_suite, own_suite

Progress = Callable[[str], None]
COMMAND_TIMEOUT = 600  # seconds for one apt or dpkg call; a dead mirror must not hang a set-up


class AptError(Exception):
    """Packages could not be fetched; the message says what apt said and what to do."""


class UntrustedRelease(AptError):
    """The machine's keyring lacks the key that signed this suite."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """An unpacked folder. ``native``: made from the machine's own release, uses its libc."""

    path: Path
    suite: str
    native: bool
    packages: dict[str, str]

    def program(self, name: str) -> Path | None:
        """The path of a program inside the prefix, or None."""
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            if (self.path / folder / name).is_file():
                return self.path / folder / name
        return None

    def command(self, program: Path) -> tuple[str, ...]:
        """The argv that starts a program of this prefix (see ``environment`` when native)."""
        if self.native:
            return (str(program),)
        return (str(self._loader()), "--library-path", self.library_path(), str(program))

    def environment(self) -> dict[str, str]:
        """What a native prefix's program needs in its environment; empty for others."""
        return {"LD_LIBRARY_PATH": self.library_path()} if self.native else {}

    def library_folder(self) -> Path:
        """``usr/lib/<machine>-linux-gnu`` of the prefix."""
        for folder in sorted(self.path.glob("usr/lib/*-linux-gnu*")):
            return folder
        raise AptError(f"{self.path} holds no libraries; delete it and run the set-up again")

    def library_path(self) -> str:
        """All folders of shared libraries: some packages keep theirs in a folder of their own."""
        folders: list[str] = []
        for top in (*self.path.glob("usr/lib/*-linux-gnu*"), *self.path.glob("lib/*-linux-gnu*")):
            folders.append(str(top))
            folders += sorted({str(lib.parent) for lib in top.glob("*/lib*.so*")})
        return ":".join(folders)

    def _loader(self) -> Path:
        for pattern in (
            "usr/lib*/ld-linux-*.so.*",
            "lib*/ld-linux-*.so.*",
            "usr/lib/*/ld-linux-*.so.*",
        ):
            for loader in sorted(self.path.glob(pattern)):
                return loader
        raise AptError(f"{self.path} holds no loader; delete it and run the set-up again")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into a prefix. ``optional`` packages are left out where a suite has none."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    native: bool = False

    def digest(self) -> str:
        """Names the prefix's folder, so that a changed recipe makes a new one."""
        text = json.dumps([platform.machine(), self.required, self.optional, self.native, 1])
        return hashlib.sha256(text.encode()).hexdigest()[:8]


class PrivateApt:
    """apt with folders of its own; everything else (proxy, keys, options) is the machine's."""

    def __init__(self, folder: Path, sources: Sequence[Source]) -> None:
        self.folder = folder
        for name in ("state/lists/partial", "cache/archives/partial", "log", "none"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        # From a mirror on disk apt would use the files where they lie; we want copies.
        copied = [replace(s, uri=re.sub(r"^file:", "copy:", s.uri)) for s in sources]
        text = "\n".join(source.deb822() for source in copied)
        (folder / "machine.sources").write_text(text)
        (folder / "apt.conf").write_text(_apt_conf(folder))

    def update(self) -> None:
        """Fetch and verify the package lists. Raises UntrustedRelease or AptError."""
        self._run("apt-get", "update")

    def candidates(self, packages: Sequence[str]) -> dict[str, str]:
        """The version of each package this suite offers; those it lacks are left out."""
        text = self._run("apt-cache", "policy", *packages)
        found: dict[str, str] = {}
        package = ""
        for line in text.splitlines():
            if line and not line[0].isspace():
                package = line.rstrip(":")
            elif line.strip().startswith("Candidate:"):
                version = line.split(":", 1)[1].strip()
                if version != "(none)":
                    found[package] = version
        return found

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Fetch packages with all they depend on; apt checks each file's hash."""
        self._run("apt-get", "--yes", "--download-only", "install", *packages)
        return sorted((self.folder / "cache/archives").glob("*.deb"))

    def download_one(self, package: str) -> Path:
        """Fetch one package without what it depends on."""
        self._run("apt-get", "download", package, cwd=self.folder)
        return next(self.folder.glob(f"{package}_*.deb"))

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        if shutil.which(program) is None:
            raise AptError(
                f"{program} is not on this machine: only Debian, Ubuntu and their kin can fetch "
                "Asterisk by themselves. Install Asterisk 20 or newer and name it in "
                "DIALER_ASTERISK"
            )
        command = [program, "-c", str(self.folder / "apt.conf"), *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=COMMAND_TIMEOUT,
                cwd=cwd,
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AptError(f"{program} did not end within {COMMAND_TIMEOUT} s") from error
        if done.returncode != 0:
            said = "\n".join(
                line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "Err"))
            )
            kind = UntrustedRelease if _key_is_missing(done.stdout + done.stderr) else AptError
            raise kind(f"{program} {arguments[0]} failed:\n{said or done.stderr.strip()}")
        return done.stdout


def _key_is_missing(text: str) -> bool:
    """gpgv says NO_PUBKEY, the newer sqv says Missing key."""
    return "NO_PUBKEY" in text or "Missing key" in text


def _apt_conf(folder: Path) -> str:
    """Read after the machine's own configuration, so proxies and certificates stay in force."""
    architecture = (
        subprocess.run(
            ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if shutil.which("dpkg")
        else "amd64"
    )
    return f"""
#clear APT::Update;
#clear DPkg;
#clear APT::Default-Release;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::sourcelist "{folder}/machine.sources";
Dir::Etc::sourceparts "{folder}/none";
Dir::Etc::preferences "{folder}/none/preferences";
Dir::Etc::preferencesparts "{folder}/none";
Dir::State "{folder}/state";
Dir::State::lists "{folder}/state/lists";
Dir::State::status "{folder}/status";
Dir::State::extended_states "{folder}/state/extended_states";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/cache/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "{folder}/log";
"""


def open_suite(
    folder: Path, sources: list[Source], release: Release, suite: str, progress: Progress
) -> PrivateApt:
    """A private apt of one suite (empty name: the running release) with its lists fetched.

    Tries the machine's mirrors in turn. A suite signed with a key the machine does not have
    yet is tried again with the newer keyring (see ``newer_keyring``).
    Raises AptError when none of them offers the suite.
    """
    choices = [[source] for source in other_suite(sources, release, suite)] if suite else []
    if not suite and (own := own_suite(sources, release)):
        choices = [own]
    if not choices:
        raise AptError(
            "the machine's apt configuration names no mirror of its own release: put one into "
            "/etc/apt/sources.list.d, or install Asterisk 20 or newer yourself and name it in "
            "DIALER_ASTERISK"
        )
    said: list[str] = []
    for number, choice in enumerate(choices):
        apt = PrivateApt(folder / f"apt-{suite or 'own'}-{number}", choice)
        try:
            apt.update()
        except UntrustedRelease:
            progress(f"{suite or 'the release'} is signed with a newer key: fetching the keyring")
            keyring = newer_keyring(folder, sources, release)
            trusted = [replace(source, signed_by=str(keyring)) for source in choice]
            apt = PrivateApt(folder / f"apt-{suite or 'own'}-{number}-newer-key", trusted)
            apt.update()
            return apt
        except AptError as error:
            said.append(str(error))
            continue
        return apt
    raise AptError(
        f"no mirror of this machine offers {suite or 'its own release'}:\n" + "\n".join(said)
    )


def newer_keyring(folder: Path, sources: list[Source], release: Release) -> Path:
    """The archive keyring from the newest release that the machine already trusts.

    A distribution ships the keys of its next release in an update of its keyring package; the
    package's hash stands in a Release file signed with keys this machine has. When the running
    release's own package is no newer, the chain goes over the distribution's stable release.
    Raises AptError when no trusted release has the package.
    """
    package = (
        f"{release.identifier}-archive-keyring"
        if release.identifier == "debian"
        else (f"{release.identifier}-keyring")
    )
    newest: tuple[tuple[int, ...], Path] | None = None
    for suite in ("", "stable") if release.identifier == "debian" else ("",):
        choices = (
            [own_suite(sources, release)]
            if not suite
            else [[source] for source in other_suite(sources, release, suite)]
        )
        for number, choice in enumerate(choices):
            apt = PrivateApt(folder / f"keyring-{suite or 'own'}-{number}", choice)
            try:
                apt.update()
                version = apt.candidates([package]).get(package)
                if version is None:
                    continue
                target = apt.folder / "keyring"
                _unpack([apt.download_one(package)], target)
            except AptError:
                continue
            rank = tuple(int(part) for part in version.split("+")[0].split(".") if part.isdigit())
            keyring = next(
                (
                    path
                    for path in sorted(target.glob(f"usr/share/keyrings/{package}.*"))
                    if path.suffix in (".gpg", ".pgp") and path.is_file()
                ),
                None,
            )
            if keyring is not None and (newest is None or rank > newest[0]):
                newest = (rank, keyring)
    if newest is None:
        raise AptError(f"no trusted release offers {package}: upgrade that package with apt")
    return newest[1]


def _unpack(debs: Sequence[Path], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        done = subprocess.run(
            ["dpkg-deb", "--extract", str(deb), str(target)],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT,
        )
        if done.returncode != 0:
            raise AptError(f"{deb.name} could not be unpacked: {done.stderr.strip()}")


def _mend_links(prefix: Path) -> None:
    """Absolute links would leave the prefix: they are pointed at their twin inside it."""
    for folder, folders, files in os.walk(prefix):
        for name in (*folders, *files):
            link = Path(folder) / name
            if link.is_symlink() and (aim := os.readlink(link)).startswith("/"):
                inside = prefix / aim.lstrip("/")
                if os.path.lexists(inside):
                    link.unlink()
                    link.symlink_to(os.path.relpath(inside, link.parent))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock: a second set-up at the same time waits for the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def unpacked(cache: Path, recipe: Recipe) -> Prefix | None:
    """The prefix of that recipe if it lies in the cache already."""
    for folder in sorted((cache / "prefix").glob(f"{recipe.name}-*-{recipe.digest()}")):
        note = folder / "prefix.json"
        if note.is_file():
            told = json.loads(note.read_text())
            return Prefix(folder, told["suite"], told["native"], told["packages"])
    return None


def install(
    cache: Path,
    recipe: Recipe,
    choose: Callable[[Path], tuple[PrivateApt, str]],
    progress: Progress,
) -> Prefix:
    """Make the prefix, or return the one that is there.

    ``choose(folder)`` returns a private apt with fetched lists below that folder and the name
    of its suite. All happens in a temporary folder that is renamed at the end: an interrupted
    run leaves nothing that looks finished, and the next one clears it away.
    """
    parent = cache / "prefix"
    with locked(cache / f"{recipe.name}.lock"):
        ready = unpacked(cache, recipe)
        if ready is not None:
            return ready
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(f".new-{recipe.name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".new-{recipe.name}-", dir=parent))
        try:
            apt, suite = choose(work)
            offered = apt.candidates([*recipe.required, *recipe.optional])
            lacking = [name for name in recipe.required if name not in offered]
            if lacking:
                raise AptError(f"{suite} does not offer {', '.join(lacking)}")
            progress(f"fetching {', '.join(offered)} from {suite}")
            debs = apt.download(list(offered))
            if recipe.native:
                # The libc must be the one the machine's loader belongs to.
                debs = [deb for deb in debs if not deb.name.startswith(("libc6_", "libc-bin_"))]
            progress(f"unpacking {len(debs)} packages")
            root = work / "root"
            _unpack(debs, root)
            _mend_links(root)
            told = {"suite": suite, "native": recipe.native, "packages": offered}
            (root / "prefix.json").write_text(json.dumps(told, indent=1))
            final = parent / f"{recipe.name}-{suite}-{recipe.digest()}"
            if final.exists():
                shutil.rmtree(final)
            root.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    progress(f"installed into {final}")
    return Prefix(final, suite, recipe.native, offered)
