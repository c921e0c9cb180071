"""A flow as a graph: what can be reached from where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from graphlib import CycleError, TopologicalSorter

from dialer.flow.model import Flow
from dialer.flow.nodes import Exit, ExitKind, GoBack

Edge = Callable[[str, Exit], bool]


def any_edge(_name: str, _exit: Exit) -> bool:
    """Every way out counts."""
    return True


def not_matched(_name: str, way: Exit) -> bool:
    """Every way out but that of a proven identity."""
    return way.kind is not ExitKind.MATCHED


def forward(_name: str, way: Exit) -> bool:
    """Every way out but the counted ones back."""
    return way.kind is not ExitKind.BACK


def successors(flow: Flow, name: str, edge: Edge = any_edge) -> list[str]:
    """Where this node can lead by these edges, without repetition."""
    targets = [way.target for way in flow.nodes[name].exits() if edge(name, way)]
    return list(dict.fromkeys(targets))


def reachable(
    flow: Flow,
    sources: Iterable[str],
    edge: Edge = any_edge,
    *,
    closed: frozenset[str] = frozenset(),
) -> set[str]:
    """The sources and all that can be reached from them, never through a ``closed`` node."""
    seen: set[str] = set()
    todo = [name for name in sources if name not in closed]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [n for n in successors(flow, name, edge) if n not in closed]
    return seen


def a_cycle(flow: Flow) -> list[str] | None:
    """A way round without a counted go-back, or None where there is none."""
    try:
        order(flow)
    except CycleError as error:
        cycle: list[str] = error.args[1]
        return cycle[::-1]
    return None


def order(flow: Flow) -> list[str]:
    """The nodes so that every forward edge leads onwards. Raises graphlib.CycleError."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in flow.nodes:
        sorter.add(name)
        for target in successors(flow, name, forward):
            sorter.add(target, name)
    return list(sorter.static_order())


def bounds(flow: Flow) -> tuple[int, int]:
    """(most nodes entered in one session, most questions asked). Raises CycleError.

    A session is one way forward, and one more for each time that a go-back can be taken.
    """
    visits: dict[str, int] = {}
    asked: dict[str, int] = {}
    for name in reversed(order(flow)):
        node, ahead = flow.nodes[name], successors(flow, name, forward)
        visits[name] = 1 + max((visits[n] for n in ahead), default=0)
        asked[name] = node.most_asked + max((asked[n] for n in ahead), default=0)
    rounds = 1 + sum(node.times for node in flow.nodes.values() if isinstance(node, GoBack))
    return rounds * max(visits.values()), rounds * max(asked.values())
