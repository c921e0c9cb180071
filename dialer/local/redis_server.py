"""Redis for one installation: the one that is given, or a server of our own.

Taken in this order: ``REDIS_URL``; ``redis-server`` on the PATH; the one that came with the
portable Asterisk; the package of the machine's own release, unpacked into the cache. Redis from
a Python package was weighed and left: none ships a real Redis for every Python and processor
that the dialer runs on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import BusyLoadingError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from dialer.config import Settings
from dialer.switch import apt_prefix, portable
from dialer.switch.apt_prefix import AptError, Progress, Recipe
from dialer.switch.apt_sources import read_release, read_sources

START_TRIES = 300  # of a tenth of a second: a large append-only file takes its time to load
STOP_SECONDS = 20
REDIS = Recipe(name="redis", required=("redis-server",), native=True)


class RedisUnavailable(Exception):
    """No Redis to work with; the message says what to start or set."""


@dataclass(slots=True)
class RedisInstance:
    """A Redis that answers. ``process`` is None when somebody else runs it."""

    url: str
    process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End our own server in order (it writes its file first); others are left alone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


def ensure_redis(
    settings: Settings,
    *,
    folder: Path | None = None,
    port: int | None = None,
    unix_socket: Path | None = None,
    append_only: bool = True,
    progress: Progress = lambda _: None,
) -> RedisInstance:
    """A Redis that answers PING.

    Without ``REDIS_URL`` a server is started on the loopback ``port`` (default
    ``settings.redis_port``), or on ``unix_socket`` alone, with its data in ``folder`` (default
    ``home/redis``). A server that already serves that folder, left by a killed run, is used
    again. ``append_only`` keeps every job over a crash of the machine; tests switch it off.
    Raises RedisUnavailable.
    """
    if settings.redis_url and port is None and unix_socket is None:
        _require_answer(settings.redis_url)
        return RedisInstance(settings.redis_url)
    folder = (folder or settings.home / "redis").absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = port or settings.redis_port
    url = f"unix://{unix_socket}" if unix_socket else f"redis://127.0.0.1:{port}/0"
    if _serves(url, folder):
        return RedisInstance(url)
    argv, environment = server_command(settings.cache_dir, progress)
    options = {
        "dir": str(folder),
        "appendonly": "yes" if append_only else "no",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",  # a job that was taken in is never thrown away
    }
    if unix_socket:
        options |= {"port": "0", "unixsocket": str(unix_socket), "unixsocketperm": "700"}
    else:
        options |= {"port": str(port), "bind": "127.0.0.1"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    log = folder / "redis.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*argv, *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C ends it through stop(), after its users
        )
    instance = RedisInstance(url, process)
    try:
        _wait(instance, log)
    except BaseException:
        instance.stop()
        raise
    return instance


def server_command(
    cache: Path, progress: Progress = lambda _: None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The argv of redis-server and what its environment needs. Raises RedisUnavailable."""
    on_path = shutil.which("redis-server")
    if on_path:
        return (on_path,), {}
    came_along = apt_prefix.unpacked(cache, portable.TELEPHONY)
    if came_along is not None and (program := came_along.program("redis-server")):
        return came_along.command(program), came_along.environment()
    release, sources = read_release(), read_sources()
    try:
        prefix = apt_prefix.unpacked(cache, REDIS) or apt_prefix.install(
            cache,
            REDIS,
            lambda work: (
                apt_prefix.open_suite(work, sources, release, "", progress),
                release.codename or "own",
            ),
            progress,
        )
    except AptError as error:
        raise RedisUnavailable(
            f"no redis-server: {error}\nInstall redis-server with the system's package manager, "
            "or name a running Redis in REDIS_URL."
        ) from error
    installed = prefix.program("redis-server")
    if installed is None:
        raise RedisUnavailable(f"{prefix.path} has no redis-server: delete that folder")
    return prefix.command(installed), prefix.environment()


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)


def _require_answer(url: str) -> None:
    """PING, or RedisUnavailable that names host and port but no password."""
    try:
        with _client(url) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
        raise RedisUnavailable(
            f"REDIS_URL names {where}, which does not answer as Redis ({type(error).__name__}): "
            "start it, correct REDIS_URL, or unset it to use a Redis of our own"
        ) from error


def _serves(url: str, folder: Path) -> bool:
    """Whether our own server runs there; RedisUnavailable when something else has the port."""
    try:
        with _client(url) as client:
            told: Any = client.config_get("dir")
    except RedisConnectionError as error:
        if isinstance(error, BusyLoadingError):
            return False
        if isinstance(
            error.__cause__ or error.__context__, ConnectionRefusedError | FileNotFoundError
        ):
            return False
        raise _taken(url) from error
    except RedisError as error:
        raise _taken(url) from error
    if told.get("dir") != str(folder):
        raise _taken(url)
    return True


def _taken(url: str) -> RedisUnavailable:
    return RedisUnavailable(
        f"{url} is taken by something that is not this installation's Redis: set "
        "DIALER_REDIS_PORT to a free port, or REDIS_URL to that Redis if you mean to share it"
    )


def _wait(instance: RedisInstance, log: Path) -> None:
    """Until it answers PING; RedisUnavailable with the end of its log when it does not."""
    assert instance.process is not None
    with _client(instance.url) as client:
        for _ in range(START_TRIES):
            try:
                client.ping()
                return
            except RedisError:
                try:
                    instance.process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
                break
    said = log.read_text(errors="replace")[-1500:]
    raise RedisUnavailable(f"redis-server does not start; its log {log} ends with:\n{said}")
