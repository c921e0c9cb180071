"""Between the web process and the engine: commands of agents and supervisors one way, what their
pages are told the other. Redis carries both and decides nothing."""

from __future__ import annotations

from dialer.desk.models import CommandName
from dialer.desk.reader import Commands
from dialer.desk.wire import Command, EngineAway, Refused, Reply, ask

__all__ = ["Command", "CommandName", "Commands", "EngineAway", "Refused", "Reply", "ask"]
