"""What an installation needs besides Python packages: Asterisk, Redis, prompts.

``python -m dialer.local.setup`` does it all and says each step; what is there already is left as
it is, so a second run takes seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from dialer.config import ConfigError, Settings, load_settings
from dialer.local.redis_server import RedisUnavailable, server_command
from dialer.switch.portable import AsteriskNotFound, ensure_asterisk

Say = Callable[[str], None]


class SetupFailed(Exception):
    """A step failed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to make ready. ``run`` returns what is there now, in a few words."""

    name: str
    run: Callable[[Settings, Say], str]


def _asterisk(settings: Settings, say: Say) -> str:
    try:
        found = ensure_asterisk(
            say, named=settings.asterisk, cache=settings.cache_dir, suite=settings.asterisk_suite
        )
    except AsteriskNotFound as error:
        raise SetupFailed(str(error)) from error
    return f"Asterisk {found.version} ({found.kind})"


def _redis(settings: Settings, say: Say) -> str:
    if settings.redis_url:
        return "the Redis of REDIS_URL"
    try:
        argv, _ = server_command(settings.cache_dir, say)
    except RedisUnavailable as error:
        raise SetupFailed(str(error)) from error
    return argv[-1]


def _prompts(settings: Settings, say: Say) -> str:
    try:
        from dialer.speech.render import PromptError, ensure_prompts
    except ImportError as error:
        raise SetupFailed(f"the prompts cannot be made: {error}; run `make setup` again") from error
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last > 5:
            last = now
            say(f"{done} of {total}")

    try:
        report = ensure_prompts(settings, progress)
    except PromptError as error:
        raise SetupFailed(str(error)) from error
    if not report.ok:
        raise SetupFailed("these prompts could not be made: " + ", ".join(report.failed))
    return f"{report.total} prompts in {', '.join(report.languages)}"


STEPS = (Step("Asterisk", _asterisk), Step("Redis", _redis), Step("prompts", _prompts))


def run_setup(settings: Settings, steps: tuple[Step, ...] = STEPS, say: Say = print) -> bool:
    """Do every step, also after one that failed; whether all succeeded."""
    well = True
    for step in steps:
        say(f"== {step.name}")
        try:
            told = step.run(settings, lambda line: say(f"   {line}"))
        except SetupFailed as error:
            well = False
            say(f"   FAILED: {error}")
        else:
            say(f"   ready: {told}")
    return well


def main() -> int:
    """The exit status: 0 when everything is ready."""
    try:
        settings = load_settings()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if run_setup(settings, say=lambda line: print(line, flush=True)) else 1


if __name__ == "__main__":
    sys.exit(main())
