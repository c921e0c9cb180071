"""Redis of our own: found, started, used again, never confused with another's."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from dialer.config import Settings
from dialer.local import redis_server
from dialer.local.redis_server import RedisInstance, RedisUnavailable, ensure_redis
from dialer.switch.portable import cache_folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("REDIS_URL", raising=False)
    return Settings(home=tmp_path / "home", cache=cache_folder(), redis_port=_free_port())


@pytest.fixture
def running(settings: Settings) -> Iterator[RedisInstance]:
    instance = ensure_redis(settings)
    yield instance
    instance.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_our_own_serves_on_loopback_and_keeps_jobs_over_a_restart(settings: Settings) -> None:
    first = ensure_redis(settings)
    assert first.url == settings.redis
    with redis.Redis.from_url(first.url) as client:
        client.set("job", "1")
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    process = first.process
    assert process is not None
    first.stop()
    assert process.returncode == 0, "ended in order"
    second = ensure_redis(settings)
    try:
        with redis.Redis.from_url(second.url) as client:
            assert client.get("job") == b"1"
    finally:
        second.stop()


def test_without_append_only_nothing_is_kept(settings: Settings) -> None:
    first = ensure_redis(settings, append_only=False)
    with redis.Redis.from_url(first.url) as client:
        client.set("job", "1")
    first.stop()
    second = ensure_redis(settings, append_only=False)
    try:
        with redis.Redis.from_url(second.url) as client:
            assert client.get("job") is None
    finally:
        second.stop()


def test_one_left_running_by_a_killed_run_is_used_again(
    settings: Settings, running: RedisInstance
) -> None:
    again = ensure_redis(settings)
    assert again.process is None
    again.stop()
    with redis.Redis.from_url(running.url) as client:
        assert client.ping(), "who did not start it does not stop it"


def test_anothers_redis_on_our_port_is_refused(
    settings: Settings, running: RedisInstance, tmp_path: Path
) -> None:
    with pytest.raises(RedisUnavailable, match="DIALER_REDIS_PORT"):
        ensure_redis(settings, folder=tmp_path / "another")


def test_something_that_is_no_redis_on_our_port_is_refused(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.redis_port)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RedisUnavailable, match="taken"):
            ensure_redis(settings)
        thread.join(10)


def test_a_unix_socket_alone(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    instance = ensure_redis(settings, unix_socket=path)
    try:
        assert path.is_socket()
        with redis.Redis.from_url(instance.url) as client:
            assert client.ping()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", settings.redis_port)) != 0
    finally:
        instance.stop()


def test_a_given_url_is_used_and_left_running(settings: Settings, running: RedisInstance) -> None:
    given = settings.model_copy(update={"redis_url": running.url})
    instance = ensure_redis(given)
    assert (instance.url, instance.process) == (running.url, None)


def test_a_given_url_that_is_dead_is_told_without_its_password(settings: Settings) -> None:
    url = f"redis://:tops3cret@127.0.0.1:{_free_port()}/0"
    with pytest.raises(RedisUnavailable) as caught:
        ensure_redis(settings.model_copy(update={"redis_url": url}))
    assert "REDIS_URL" in str(caught.value)
    assert "tops3cret" not in str(caught.value)


def test_a_server_that_cannot_start_shows_its_log(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin/redis-server"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'Bad directive' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    with pytest.raises(RedisUnavailable, match="Bad directive"):
        ensure_redis(settings)


def test_without_any_redis_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "read_sources", list)
    with pytest.raises(RedisUnavailable, match="REDIS_URL"):
        redis_server.server_command(tmp_path / "cache")
