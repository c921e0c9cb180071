"""A throw-away PostgreSQL for tests: real, quick, gone when stopped.

Production is given a server in ``DATABASE_URL``; nothing here is for keeping data (fsync is
off). The programs are looked for on the PATH, where Debian keeps them, where ``pg_config``
says, and are else unpacked from the machine's own release into the cache.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dialer.switch import apt_prefix
from dialer.switch.apt_prefix import AptError, Progress, Recipe
from dialer.switch.apt_sources import read_release, read_sources
from dialer.switch.portable import cache_folder

START_TRIES = 300  # of a tenth of a second
STOP_SECONDS = 20
POSTGRES = Recipe(name="postgres", required=("postgresql",), native=True)
SERVER_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresUnavailable(Exception):
    """No PostgreSQL server can be had or started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The folder of ``initdb`` and ``postgres``, and what they need in the environment.

    ``root`` is the unpacked prefix they belong to, if they do.
    """

    folder: Path
    environment: dict[str, str]
    root: Path | None = None


def find_programs(
    path: str | None = None, debian: Path = Path("/usr/lib/postgresql")
) -> Programs | None:
    """The server's programs on this machine, the newest version first; installs nothing.

    ``path`` is searched in place of PATH.
    """
    folders = []
    on_path = shutil.which("initdb", path=path)
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    folders += sorted(
        debian.glob("*/bin"),
        reverse=True,
        key=lambda p: int(p.parent.name) if p.parent.name.isdigit() else 0,
    )
    pg_config = shutil.which("pg_config", path=path)
    if pg_config:
        told = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, check=False, timeout=30
        )
        if told.returncode == 0 and told.stdout.strip():
            folders.append(Path(told.stdout.strip()))
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return Programs(folder, {})
    return None


def ensure_programs(progress: Progress = lambda _: None, cache: Path | None = None) -> Programs:
    """``find_programs``, else unpacked into the cache. Raises PostgresUnavailable."""
    return find_programs() or unpack_programs(progress, cache)


def unpack_programs(progress: Progress = lambda _: None, cache: Path | None = None) -> Programs:
    """The programs from the machine's own release, in the cache. Raises PostgresUnavailable."""
    cache = cache or cache_folder()
    release, sources = read_release(), read_sources()
    try:
        prefix = apt_prefix.unpacked(cache, POSTGRES) or apt_prefix.install(
            cache,
            POSTGRES,
            lambda work: (
                apt_prefix.open_suite(work, sources, release, "", progress),
                release.codename or "own",
            ),
            progress,
        )
    except AptError as error:
        raise PostgresUnavailable(
            f"no PostgreSQL server: {error}\nInstall the package postgresql."
        ) from error
    inside = find_programs(path="", debian=prefix.path / "usr/lib/postgresql")
    if inside is None:
        raise PostgresUnavailable(f"{prefix.path} has no PostgreSQL: delete that folder")
    return Programs(inside.folder, prefix.environment(), prefix.path)


class PostgresServer:
    """One server in a folder of its own under the system's temporary folder.

    A Unix socket (its path holds at most 107 bytes, hence no deeper folder) and a loopback
    port lead to it; the superuser is ``postgres`` without a password. The server refuses to
    run as root: then the user ``postgres``, else ``nobody``, runs it.
    """

    def __init__(self, programs: Programs | None = None, **options: str) -> None:
        """``options``: of the server, beside or in place of SERVER_OPTIONS."""
        self._programs = programs
        self._options = SERVER_OPTIONS | options
        self._launched: tuple[Programs, _Drop, dict[str, str]] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path()
        self.port = 0

    def url(self, name: str = "postgres") -> str:
        """SQLAlchemy URL of one of its databases, over the Unix socket."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}&port={self.port}"

    def loopback_url(self, name: str = "postgres") -> str:
        """SQLAlchemy URL over 127.0.0.1."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str) -> None:
        """Run one administrative statement outside a transaction."""
        with self._connect() as connection:
            connection.execute(statement.encode())

    def start(self, progress: Progress = lambda _: None) -> None:
        """Make the cluster and wait until it answers. Raises PostgresUnavailable."""
        programs = self._programs or ensure_programs(progress)
        self.folder = Path(tempfile.mkdtemp(prefix="dialer-pg-"))
        try:
            drop = _as_ordinary_user(self.folder)
            if drop.foreign and not _reachable(programs.folder):
                programs = _copied(programs, self.folder / "prefix")
            environment = {**os.environ, **programs.environment}
            self._initdb(programs, drop, environment)
            self.port = _free_port()
            self._launched = programs, drop, environment
            self._launch(programs, drop, environment)
        except BaseException:
            self.stop()
            raise

    def kill(self) -> None:
        """End every process of it at once, as when the machine's memory runs out: what was not
        written by then is lost. The folder stays, for ``restart``."""
        assert self._process is not None, "it was started"
        pid = self._process.pid
        self._process.send_signal(signal.SIGSTOP)  # it forks no further ones meanwhile
        others = _children(pid)
        for one in (pid, *others):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        # A server does not start beside processes of the one before.
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(_runs, others)):
            if time.monotonic() > deadline:
                raise PostgresUnavailable("processes of the killed PostgreSQL do not end")
            time.sleep(0.01)

    def restart(self) -> None:
        """Start a killed one again, at the same place: it recovers what it had written. Raises
        PostgresUnavailable."""
        assert self._launched is not None, "it was started"
        self._launch(*self._launched)

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nothing here is kept
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _initdb(self, programs: Programs, drop: _Drop, environment: dict[str, str]) -> None:
        made = subprocess.run(
            [
                *drop.argv,
                str(programs.folder / "initdb"),
                "-D",
                str(self.folder / "data"),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            cwd=self.folder,
            capture_output=True,
            check=False,
            env=environment,
        )
        if made.returncode:
            said = made.stderr.decode(errors="replace")
            raise PostgresUnavailable(f"initdb failed: {said}")

    def _launch(self, programs: Programs, drop: _Drop, environment: dict[str, str]) -> None:
        options = self._options | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self.folder / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    *drop.argv,
                    str(programs.folder / "postgres"),
                    "-D",
                    str(self.folder / "data"),
                    *flags,
                ],
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal ends it through stop()
            )
        for _ in range(START_TRIES):
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                try:
                    self._process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
                break
        said = log.read_text(errors="replace")[-2000:]
        raise PostgresUnavailable(f"PostgreSQL does not start: {said}")

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user="postgres",
            dbname="postgres",
            autocommit=True,
        )


@dataclass(frozen=True, slots=True)
class _Drop:
    """The command in front of a program. ``foreign``: it runs as another user."""

    argv: tuple[str, ...]
    foreign: bool


def _as_ordinary_user(folder: Path) -> _Drop:
    """Dies with this process; another user, who then owns ``folder``, where this is root."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        return _Drop((setpriv, "--pdeathsig", "QUIT") if setpriv else (), False)
    if setpriv is None:
        raise PostgresUnavailable("PostgreSQL does not run as root: install setpriv (util-linux)")
    user = _first_user("postgres", "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    argv = (
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--pdeathsig",
        "QUIT",
    )
    return _Drop(argv, True)


def _first_user(*names: str) -> pwd.struct_passwd:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable(f"none of the users {', '.join(names)} exists to run PostgreSQL")


def _reachable(folder: Path) -> bool:
    """Whether any user may enter it: a cache below root's home is closed to others."""
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def _copied(programs: Programs, target: Path) -> Programs:
    """The programs where the other user can reach them: links where the disk allows."""
    root = programs.root
    if root is None:
        raise PostgresUnavailable(f"{programs.folder} cannot be entered by the user of the server")

    def place(source: str, to: str) -> None:
        try:
            os.link(source, to, follow_symlinks=False)
        except OSError:
            shutil.copy2(source, to, follow_symlinks=False)

    for name in ("usr/lib", "usr/share/postgresql", "lib"):
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, symlinks=True, copy_function=place)
    target.chmod(0o755)
    moved = {
        name: value.replace(str(root), str(target)) for name, value in programs.environment.items()
    }
    return Programs(target / programs.folder.relative_to(root), moved, target)


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def _runs(pid: int) -> bool:
    """Whether it has not ended; one that nobody has waited for yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
