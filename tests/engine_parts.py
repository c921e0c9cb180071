"""The engine's core on a real database, with a link to an Asterisk that is not there.

What would be dialled shows at once as ``OriginateFailed``: the link refuses without a connection.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from sqlalchemy import Connection
from world import World

from dialer.domain import events as ev
from dialer.domain.model import Attempt
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.core import Core, Hands
from dialer.engine.database import Database
from dialer.engine.trunks import TrunkGate
from dialer.store.contexts import LeadContext
from dialer.store.db import open_database
from dialer.store.messages import NewMessage, create_message
from dialer.switch.ami import AmiLink
from dialer.switch.trunks import Trunk


def new_id() -> str:
    """An attempt's id."""
    return uuid.uuid4().hex


class Texts:
    """Writes a row without a text; has every template but ``missing``."""

    def has(self, template: str, language: str) -> bool:
        """Every template is there but one."""
        return template != "missing"

    def write(
        self,
        c: Connection,
        one: Attempt,
        context: LeadContext,
        running: RunningCampaign,
        template: str,
        now: datetime,
    ) -> int:
        """The row."""
        new = NewMessage(
            key=f"fallback:{one.id}", company_id=context.company_id, debtor_id=context.debtor_id,
            campaign_id=one.campaign_id, attempt_id=one.id, number=one.number,
            template=template, body="hola",
        )  # fmt: skip
        return create_message(c, new, now)


@asynccontextmanager
async def a_core(world: World) -> AsyncIterator[Core]:
    """With the world's campaign, ready to place."""
    url = world.engine.url.render_as_string(hide_password=False)
    database = Database(open_database(url))
    core = Core(
        Hands(
            database=database,
            link=AmiLink(host="127.0.0.1", port=9, user="u", secret="s", node="node1"),
            gate=TrunkGate({"carrier": Trunk(name="carrier", address="127.0.0.1")}),
            sms=Texts(),
            enqueue=lambda _id: None,
            new_id=new_id,
        )
    )
    core.campaigns[world.campaign_id] = world.running()
    core.ready.set()
    try:
        yield core
    finally:
        database.close()
        database.engine.dispose()


@asynccontextmanager
async def consuming(core: Core) -> AsyncIterator[asyncio.Task[None]]:
    """The consumer at work; what killed it is raised at the end."""
    task = asyncio.create_task(core.consume())
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(what: Callable[[], bool], task: asyncio.Task[None] | None = None) -> None:
    """Wait for a condition, as long as the task lives and 20 s at most."""
    async with asyncio.timeout(20):
        while not what():
            if task is not None and task.done():
                task.result()
            await asyncio.sleep(0.01)


def queued(core: Core) -> list[type[ev.SwitchEvent]]:
    """What waits for the consumer."""
    queue = core.hands.link.events
    return [type(queue.get_nowait()) for _ in range(queue.qsize())]
