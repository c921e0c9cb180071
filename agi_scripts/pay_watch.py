"""Whoever follows a payment while it is keyed in: masked news out, two wishes in.

The seam for capture in the presence of an agent, who hears no keys, sees how many there are, and
may have a field asked again or the payment ended. Nobody watches by default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from dialer.domain.payment import PayError, PayResult, PayStep


class Wish(StrEnum):
    """What a watcher may ask for."""

    AGAIN = "again"  # the field once more, from its start
    CANCEL = "cancel"


class Watcher(Protocol):
    """Called from the thread of the session: nothing here may wait."""

    def step(self, step: PayStep, error: PayError | None, last_four: str | None) -> None:
        """The conversation is at this step; ``last_four`` of an accepted number only."""

    def digits(self, step: PayStep, count: int) -> None:
        """So many digits of a field were heard; never which."""

    def ended(self, result: PayResult) -> None:
        """It is over."""

    def wish(self) -> Wish | None:
        """What is asked for since the last time; heard before each question and at each key."""


class Nobody:
    """Watches nothing."""

    def step(self, step: PayStep, error: PayError | None, last_four: str | None) -> None:
        """Nothing."""

    def digits(self, step: PayStep, count: int) -> None:
        """Nothing."""

    def ended(self, result: PayResult) -> None:
        """Nothing."""

    def wish(self) -> Wish | None:
        """Nothing is asked for."""
        return None
