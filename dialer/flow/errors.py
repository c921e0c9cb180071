"""What can be wrong with a flow."""

from __future__ import annotations

from dataclasses import dataclass


class FlowError(Exception):
    """A flow cannot be read, or cannot go on; the message names file and node, and what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of the validator: ``what`` is wrong at ``node`` (None: the flow as a whole),
    and what ``todo`` about it. ``proof`` names the check (``reachable``, ``disclosure`` ...)."""

    flow: str
    node: str | None
    proof: str
    what: str
    todo: str

    def __str__(self) -> str:
        where = f"{self.flow}: node {self.node}" if self.node else self.flow
        return f"{where}: {self.what}; {self.todo}"
