"""How far debtors come in a flow: where they leave, where they promise and pay.

Each debtor counts once, by the last answered call of the period. What is known of a call is where
it ended and where it came to something, not each step of its way; the steps below are those that a
call proves by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dialer.domain.model import Disposition

AGREED = frozenset({Disposition.PROMISE, Disposition.LINK_SENT, Disposition.PAID})
"""What a flow wants of a debtor."""
LEFT = frozenset({Disposition.ANSWERED_ABANDONED, Disposition.NO_INPUT, Disposition.INCOMPLETE})
"""They were gone before the flow had come to anything."""


@dataclass(frozen=True, slots=True)
class Group:
    """``debtors`` whose last call ended alike. ``came_to_at``: the node in which it came to its
    outcome. ``pressed``: a key; ``identified``: who they are."""

    last_node: str
    came_to_at: str | None
    disposition: Disposition
    pressed: bool
    identified: bool
    debtors: int


class StepName(StrEnum):
    """What a call proves, each within the one before."""

    ANSWERED = "answered"
    PRESSED = "pressed"
    IDENTIFIED = "identified"
    AGREED = "agreed"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Step:
    """``share`` of all who answered, ``of_previous`` of those of the step before."""

    name: StepName
    debtors: int
    share: float
    of_previous: float


@dataclass(frozen=True, slots=True)
class AtNode:
    """Of one node, in debtors: ``left`` for good, ``promised``, ``paid``, got the ``link``, came to
    something ``else_``. ``left_share``: of all who answered."""

    node: str
    left: int
    promised: int
    paid: int
    link: int
    else_: int
    left_share: float

    @property
    def ended(self) -> int:
        """All whose call ended or came to something here."""
        return self.left + self.promised + self.paid + self.link + self.else_


@dataclass(frozen=True, slots=True)
class Funnel:
    """``nodes``: in the order given; those that nobody ended in are there too."""

    answered: int
    steps: tuple[Step, ...]
    nodes: tuple[AtNode, ...]


def funnel(groups: Iterable[Group], order: Iterable[str]) -> Funnel:
    """From groups of debtors; ``order``: the nodes of the flow. A node of an earlier version of the
    flow comes at the end."""
    found = list(groups)
    answered = sum(one.debtors for one in found)
    return Funnel(answered, _steps(found, answered), _nodes(found, list(order), answered))


def _steps(groups: list[Group], answered: int) -> tuple[Step, ...]:
    counts = dict.fromkeys(StepName, 0)
    for one in groups:
        agreed = one.disposition in AGREED
        identified = one.identified or agreed
        proven = {
            StepName.ANSWERED: True,
            StepName.PRESSED: one.pressed or identified,
            StepName.IDENTIFIED: identified,
            StepName.AGREED: agreed,
            StepName.PAID: one.disposition is Disposition.PAID,
        }
        for name, so in proven.items():
            counts[name] += one.debtors * so
    steps: list[Step] = []
    before = answered
    for name, count in counts.items():
        steps.append(Step(name, count, _share(count, answered), _share(count, before)))
        before = count
    return tuple(steps)


def _nodes(groups: list[Group], order: list[str], answered: int) -> tuple[AtNode, ...]:
    counts: dict[str, dict[str, int]] = {name: {} for name in order}
    for one in groups:
        kind = _kind(one.disposition)
        node = one.last_node if kind == "left" else one.came_to_at or one.last_node
        at = counts.setdefault(node, {})
        at[kind] = at.get(kind, 0) + one.debtors
    return tuple(
        AtNode(
            node=name,
            left=at.get("left", 0),
            promised=at.get("promised", 0),
            paid=at.get("paid", 0),
            link=at.get("link", 0),
            else_=at.get("else", 0),
            left_share=_share(at.get("left", 0), answered),
        )
        for name, at in counts.items()
    )


def _kind(disposition: Disposition) -> str:
    if disposition in LEFT:
        return "left"
    named = {
        Disposition.PROMISE: "promised",
        Disposition.PAID: "paid",
        Disposition.LINK_SENT: "link",
    }
    return named.get(disposition, "else")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
