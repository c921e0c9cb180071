"""The rule of each route: who may ask for it.

Every view says so itself, with ``allow`` or ``public``; blueprints with a door of their own (a
signature, a bearer token) are listed here. A route without a rule is refused to everybody, and a
test that walks the route table fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Flask

from dialer.domain.access import Role

V = TypeVar("V", bound=Callable[..., object])
_MARK = "__dialer_rule__"


@dataclass(frozen=True, slots=True)
class Rule:
    """``roles``: who may; empty with ``why``: open to all, or behind another door."""

    roles: frozenset[Role] = frozenset()
    why: str = ""

    @property
    def needs_viewer(self) -> bool:
        """A session of the browser is asked for."""
        return not self.why


OWN_DOORS = {
    "twilio": "signed by Twilio",
    "gateways": "signed by the gateway",
    "pages": "the link itself is the key",
    "api": "a program's key with the right scope; its description is open",
    "agents_api": "agent_door: an agent's token, or the session of their browser",
    "supervisors_api": "supervisor_door: a token, or the session of their browser",
}
"""Blueprint -> why no session is asked for by ``guard``."""


def allow(*roles: Role | frozenset[Role]) -> Callable[[V], V]:
    """Mark a view: only these roles. Below the route's decorator."""
    whole: set[Role] = set()
    for one in roles:
        whole |= one if isinstance(one, frozenset) else {one}

    def mark(view: V) -> V:
        setattr(view, _MARK, Rule(roles=frozenset(whole)))
        return view

    return mark


def public(why: str) -> Callable[[V], V]:
    """Mark a view: for everybody, and why that does no harm."""

    def mark(view: V) -> V:
        setattr(view, _MARK, Rule(why=why))
        return view

    return mark


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    """The rule of a route; None where nobody gave it one."""
    if endpoint == "static":
        return Rule(why="styles and scripts")
    blueprint = endpoint.rpartition(".")[0]
    if blueprint in OWN_DOORS:
        return Rule(why=OWN_DOORS[blueprint])
    found = getattr(app.view_functions.get(endpoint), _MARK, None)
    return found if isinstance(found, Rule) else None
