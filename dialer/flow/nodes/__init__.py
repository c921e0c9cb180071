"""The node types; a new one is a file here and a line in ``AnyNode``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dialer.flow.nodes.agent import Agent
from dialer.flow.nodes.base import Exit, ExitKind, Node, Spoken
from dialer.flow.nodes.end import End
from dialer.flow.nodes.go_back import GoBack
from dialer.flow.nodes.identity import Identity
from dialer.flow.nodes.menu import Menu
from dialer.flow.nodes.opt_out import OptOut
from dialer.flow.nodes.pay import Pay
from dialer.flow.nodes.promise import Promise
from dialer.flow.nodes.question import Question
from dialer.flow.nodes.say import SayNode
from dialer.flow.nodes.send_link import SendLink

AnyNode = Annotated[
    SayNode | Menu | Identity | Pay | Promise | SendLink | Agent | OptOut | GoBack | End,
    Field(discriminator="type"),
]

__all__ = [
    "Agent", "AnyNode", "End", "Exit", "ExitKind", "GoBack", "Identity", "Menu", "Node", "OptOut",
    "Pay", "Promise", "Question", "SayNode", "SendLink", "Spoken",
]  # fmt: skip
