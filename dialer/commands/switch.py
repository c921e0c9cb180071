"""``dialer asterisk`` and ``dialer carrier``: the two Asterisk processes, in the foreground."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

import click

from dialer.config import Settings, load_settings
from dialer.switch.instance import AsteriskInstance, InstanceError
from dialer.switch.portable import AsteriskBinary, ensure_asterisk

Make = Callable[[Settings, AsteriskBinary], AsteriskInstance]


@click.command("asterisk")
@click.option("--render-only", is_flag=True, help="Write the configuration and stop there.")
def asterisk(render_only: bool) -> int:
    """Run Asterisk with the dialer's configuration until stopped (SIGTERM, Ctrl-C).

    The configuration is written anew from the settings and trunks.yaml at each start; change
    those, not the files in <home>/asterisk. See docs/trunks.md for a real carrier.
    """
    from dialer.switch.product import prepare_product

    return _run(prepare_product, render_only)


@click.command("carrier")
@click.option("--render-only", is_flag=True, help="Write the configuration and stop there.")
def carrier(render_only: bool) -> int:
    """Run the simulated telephone network until stopped (SIGTERM, Ctrl-C).

    The last two digits of a number decide who answers: see docs/personas.md.
    """
    from dialer.simulation.network import prepare_network

    return _run(prepare_network, render_only)


def _run(make: Make, render_only: bool) -> int:
    from dialer.logs import configure_logging

    settings = load_settings()
    configure_logging(settings)
    binary = ensure_asterisk(
        click.echo,
        named=settings.asterisk,
        cache=settings.cache_dir,
        suite=settings.asterisk_suite,
    )
    instance = make(settings, binary)
    if render_only:
        click.echo(str(instance.folder))
        return 0
    return run_until_stopped(instance)


class _Stopped(Exception):
    """SIGTERM or SIGINT came."""


def run_until_stopped(instance: AsteriskInstance) -> int:
    """Start and wait; 0 after a signal. Raises InstanceError when Asterisk ends by itself."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        instance.start()
        click.echo(f"{instance.folder.name} is ready")
        code = instance.wait()
        raise InstanceError(f"Asterisk has ended (exit code {code}):\n{instance.last_words()}")
    except _Stopped:
        return 0
    finally:
        for one in before:  # a second signal must not cut the stop short
            signal.signal(one, signal.SIG_IGN)
        instance.stop()
        for one, handler in before.items():
            signal.signal(one, handler)
