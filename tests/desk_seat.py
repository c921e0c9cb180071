"""An agent who works at the desk's page on the real stack: their user, their page, what is heard in
it, what the debtor hears of them.

A microphone of a browser in a test says a tone all the time. ``speak(False)`` is the switch that
many headsets have: the line is up and silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from desk_office import DeskOffice, Ear
from desk_story_parts import DeskPage, desk_browser
from fixtures_browser import microphone
from fixtures_site import make_user
from playwright.sync_api import BrowserContext, Error, WebSocket, expect
from sqlalchemy import update
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ
from world import World

from dialer.domain.access import Role
from dialer.store import tables as t
from dialer.store.agents import create_agent
from dialer.switch import names
from dialer.switch.instance import AsteriskInstance
from dialer.switch.render import product_folder

HOOKS = (Path(__file__).resolve().parent / "browser" / "hooks.js").read_text(encoding="utf-8")
"""Looks on from within the page: see there."""
WRAP = 120.0
LONG = 30.0
"""Seconds for what takes one or two on a machine that has nothing else to do."""


class SeatedAgent:
    """One agent. ``texts``: every text that the page has ever shown, and every word of SIP."""

    def __init__(self, desks: DeskOffice, world: World, context: BrowserContext, who: str) -> None:
        self.desks, self.world, self.who = desks, world, who
        self.url = desks.settings.web_url
        self.texts: list[str] = []
        self._asterisk = AsteriskInstance(desks.carrier.binary, product_folder(desks.settings))
        context.add_init_script(HOOKS)
        self.desk = DeskPage(context.new_page())
        self.page = self.desk.page
        self.page.on("websocket", self._overhear)

    def _overhear(self, socket: WebSocket) -> None:
        for way in ("framesent", "framereceived"):
            socket.on(way, lambda frame: self.texts.append(str(frame)))

    def log_in(self, hears: str = "You are heard well.") -> None:
        """By the form; then the microphone is checked."""
        self.desk.log_in(self.url, self.who)
        self.desk.check_microphone(hears)

    def sit(self, *, ringing: bool = False) -> None:
        """At work, not ready yet."""
        if ringing:
            self.page.check("[name=ringing]")
        self.page.click("#sit-down")
        expect(self.page.locator("#work")).to_be_visible(timeout=LONG * 1000)

    def speak(self, on: bool) -> None:
        """The headset's own switch."""
        self.page.evaluate("(on) => hooks.speak(on)", on)

    def hears(self, *, there: bool = True, seconds: float = LONG) -> None:
        """Until the debtor's tone is heard in the page, or not any more."""
        self.page.wait_for_function(
            "([hertz, there]) => hooks.hears(hertz) === there",
            arg=[DEBTOR_HERTZ, there], timeout=seconds * 1000,
        )  # fmt: skip

    def ear(self) -> Ear:
        """What the debtor hears, from now on, who was called last."""
        number = self.desks.attempts(self.world)[-1].number
        channels = self.desks.channels(number)
        assert channels, f"{number} is not on the line"
        return self.desks.listen(channels[0])

    def is_heard(self, ear: Ear, *, there: bool = True) -> None:
        """Until the debtor has heard the agent, or has not, for half a second."""

        def now() -> bool:
            last = ear.tone(AGENT_HERTZ)[-25:]
            return len(last) == 25 and sum((level > 0.02) is there for level in last) > 20

        self.desks.wait(f"the agent is never {'' if there else 'un'}heard", now, LONG)

    def lines(self) -> set[str]:
        """Channels of browsers, as the product's Asterisk names them."""
        listed = self._asterisk.rx("core show channels concise").splitlines()
        channels = (row.partition("!")[0] for row in listed)
        return {one for one in channels if one.startswith(f"PJSIP/{names.ENDPOINT_BROWSER}-")}

    def end_lines(self) -> None:
        """Asterisk hangs them up."""
        for one in self.lines():
            self._asterisk.rx(f"channel request hangup {one}")
        self.desks.wait("lines go on", lambda: not self.lines(), 10)

    def reload(self) -> None:
        """The page is loaded anew."""
        self._keep_texts()
        self.page.reload()

    def _keep_texts(self) -> None:
        """A page that is loaded anew knows no more of it."""
        self.texts += self.page.evaluate("() => hooks.texts()")

    def shown(self) -> str:
        """All that the page has shown and said so far."""
        self._keep_texts()
        return "\n".join([*self.texts, *self.desk.said, self.page.content()])

    def leave(self) -> None:
        """Log out, where there is something to log out of."""
        if not self.page.is_closed() and self.page.locator("#work").is_visible():
            self.page.evaluate("() => hooks.logOut()")


@contextmanager
def seated(
    desks: DeskOffice, world: World, home: Path, *, language: str = "en", **options: Any
) -> Iterator[SeatedAgent]:
    """An agent of the campaign's company, with a browser of their own; logged out at the end."""
    who = f"ana-{world.company_id}"
    with desks.engine.begin() as c:
        one = create_agent(
            c, world.company_id, who,
            {"name": "Ana Ruiz", "skills": ["legal", "payments"], "wrap_seconds": WRAP},
            "test", world.at,
        )  # fmt: skip
    user = make_user(desks.engine, who, Role.AGENT, world.company_id, one)
    with desks.engine.begin() as c:
        c.execute(update(t.app_user).where(t.app_user.c.id == user).values(language=language))
    said = microphone(home / f"said-{who}.wav", AGENT_HERTZ)
    with ExitStack() as stack:
        context = stack.enter_context(desk_browser(said, **options))
        agent = SeatedAgent(desks, world, context, who)
        try:
            yield agent
        finally:
            try:
                agent.leave()
            except Error:
                pass  # what went wrong before says more
    assert agent.desk.faults == []
