"""``dialer redis``: the embedded Redis as a process of its own."""

from __future__ import annotations

import signal
import threading

import click

from dialer.config import load_settings


@click.command("redis")
def redis() -> int:
    """Run the embedded Redis of this installation, until stopped (SIGTERM, Ctrl-C).

    Nothing is started where REDIS_URL names a Redis of your own: then it only checks that it
    answers.
    """
    from dialer.local.redis_server import ensure_redis

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    instance = ensure_redis(load_settings())
    click.echo(f"redis answers at {instance.url.rpartition('@')[2]}", err=True)
    died = False
    try:
        while not stop.wait(0.5):
            if instance.process is not None and instance.process.poll() is not None:
                died = True
                break
    finally:
        instance.stop()
    return 1 if died else 0
