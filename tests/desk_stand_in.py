"""An agent at the desk's page with an engine's stand-in behind it, which tells the page what a real
one would and keeps what it was asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from desk_story_parts import DeskPage
from desk_web import Floor
from fixtures_messaging import wait_until
from fixtures_site import make_user
from playwright.sync_api import BrowserContext, expect
from sqlalchemy import select, update

from dialer.desk.models import CommandName as Do
from dialer.domain.access import Role
from dialer.store import tables as t
from dialer.store.story import as_json, story


class Desk:
    """The agent is called ana."""

    def __init__(self, floor: Floor, context: BrowserContext) -> None:
        self.floor, self.url = floor, floor.workers[0].url
        self.agent = floor.agent("ana", skills=("legal", "payments"))
        make_user(floor.database, "ana", Role.AGENT, floor.world.company_id, self.agent.id)
        context.clear_cookies()
        self.desk = DeskPage(context.new_page())
        self.page = self.desk.page
        self.attempt = ""

    def sit(self) -> None:
        """At work, rung for each call: there is no line here."""
        self.desk.log_in(self.url, "ana")
        self.desk.check_microphone()
        self.start()

    def start(self) -> None:
        """From the log-in at the desk on."""
        self.page.check("[name=ringing]")
        self.page.click("#sit-down")
        expect(self.page.locator("#work")).to_be_visible()
        with self.floor.database.connect() as connection:
            self.agent.session = connection.scalars(
                select(t.agent_session.c.id).where(t.agent_session.c.agent_id == self.agent.id)
            ).one()

    def tell(self, what: str, /, **more: Any) -> None:
        """An event, as the engine says it."""
        event = {"type": what, "at": datetime.now(UTC).isoformat(), **more}
        self.floor.engine.publish(self.agent.session, event)

    def state(self, state: str, pause_code: str | None = None) -> None:
        """Another state, in the database too, and seen by the page."""
        now = datetime.now(UTC)
        with self.floor.database.begin() as connection:
            connection.execute(
                update(t.agent_session)
                .where(t.agent_session.c.id == self.agent.session)
                .values(state=state, pause_code=pause_code, since=now)
            )
        busy = state in ("reserved", "talking", "wrap_up")
        self.tell(
            "state", state=state, since=now.isoformat(), pause_code=pause_code,
            attempt=self.attempt if busy else None,
        )  # fmt: skip
        self.desk.state(state)

    def call(self, ring: bool = False) -> None:
        """A debtor comes; their story is told after them."""
        self.attempt = self.floor.call_at(self.agent)
        self.state("reserved")
        self.tell("call", attempt=self.attempt, kind="escalation", skill="legal", ring=ring)
        with self.floor.database.connect() as connection:
            told = as_json(story(connection, self.attempt, datetime.now(UTC)))
        self.tell("story", attempt=self.attempt, story=told)
        expect(self.page.locator("#who")).to_have_text("Debtor 1")

    def join(self) -> None:
        """They hear each other."""
        self.state("talking")
        self.tell("joined", attempt=self.attempt)
        expect(self.page.locator("#controls")).to_be_visible()

    def sent(self, do: Do) -> dict[str, Any]:
        """What the engine was asked, once it was."""
        taken = self.floor.engine.taken
        wait_until(lambda: any(one.name is do for one in taken))
        return dict([one for one in taken if one.name is do][-1].args)
