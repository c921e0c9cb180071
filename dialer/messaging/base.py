"""What every channel can do, and how it says that it could not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from dialer.domain.message import OutgoingMessage


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has the message under this id."""

    provider_id: str


class TransportError(Exception):
    """A message was not accepted.

    ``reason`` is short, for the database, without personal data. ``permanent``: trying again is
    of no use. ``unknown``: the request left and no answer came, so that the provider may have the
    message; it is looked up before anything is sent again. ``opted_out``: the provider says that
    this number asked for no more messages. ``retry_after``: seconds the provider asks to wait.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        unknown: bool = False,
        opted_out: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.unknown = unknown
        self.opted_out = opted_out
        self.retry_after = retry_after


class Transport(Protocol):
    """A channel's way out. Used by several threads at once."""

    def send(self, message: OutgoingMessage) -> Accepted:
        """Hand the message to the provider. Raises TransportError."""
        ...

    def look_up(
        self, message: OutgoingMessage, exclude: Collection[str] = frozenset()
    ) -> Accepted | None:
        """Whether the provider has the message already.

        ``exclude`` are provider ids known to be of other messages. None: the provider answered
        and does not have it. Raises TransportError when the provider cannot tell now.
        """
        ...
