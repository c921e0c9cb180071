"""What a form about a user offers, and what is wrong with what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dialer.domain.access import Role, Viewer
from dialer.domain.said import Said, of_error
from dialer.store import agents, choices
from dialer.store.agents import Agent
from dialer.store.refusals import WhyNobody
from dialer.store.users import LANGUAGES, User
from web.ui.frame import role_name
from web.ui.said import error_text
from web.ui.words import NAMES
from web.ui.words import gettext as _

ALL_COMPANIES, NO_DESK, NEW_DESK = "all", "", "new"
NEED_A_COMPANY = (Role.AGENT, Role.SUPERVISOR)
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
_NOT_IN_A_LOGIN = re.compile(r"[^a-z0-9._-]+")


@cache
def _zones() -> tuple[str, ...]:
    return ("UTC", *sorted(one for one in available_timezones() if "/" in one))


@dataclass
class UserForm:
    """The fields as text, the choices, and what is wrong: field -> what to do about it; the empty
    name for what is no field's. ``fixed``: the user is the viewer, whose role stays."""

    viewer: Viewer
    companies: Mapping[int, Any]
    agents: Mapping[int, Agent]
    email: str = ""
    name: str = ""
    role: str = Role.SUPERVISOR.value
    company: str = ""
    agent: str = NO_DESK
    language: str = LANGUAGES[0]
    timezone: str = ""
    fixed: bool = False
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, connection: Connection, viewer: Viewer) -> UserForm:
        """For a new user."""
        form = cls(viewer, *_offered(connection, viewer), language=viewer.language)
        form.company = str(next(iter(form.companies), ALL_COMPANIES))
        return form

    @classmethod
    def of(cls, connection: Connection, viewer: Viewer, user: User) -> UserForm:
        """As they are."""
        return cls(
            viewer, *_offered(connection, viewer), email=user.email, name=user.name,
            role=user.role.value,
            company=ALL_COMPANIES if user.company_id is None else str(user.company_id),
            agent=str(user.agent_id or NO_DESK), language=user.language, timezone=user.timezone,
            fixed=user.id == viewer.user_id,
        )  # fmt: skip

    @classmethod
    def sent(
        cls, connection: Connection, viewer: Viewer, told: Mapping[str, str],
        user: User | None = None,
    ) -> UserForm:  # fmt: skip
        """What came, looked at; of a user who is there already the address stays."""
        start = cls.empty(connection, viewer) if user is None else cls.of(connection, viewer, user)
        for name in ("name", "agent", "language", "timezone"):
            setattr(start, name, told.get(name, "").strip())
        if user is None:
            start.email = told.get("email", "").strip()
        if not start.fixed:
            start.role = told.get("role", "")
            if viewer.company_id is None:
                start.company = told.get("company", "")
        start._look(connection, new=user is None)
        return start

    # --- what there is to choose from --------------------------------------------------------

    def roles(self) -> list[tuple[str, str]]:
        """Pairs of value and name."""
        return [(one.value, role_name(one)) for one in Role]

    def company_choices(self) -> list[tuple[str, str]]:
        """The companies; all of them at once only for who sees all."""
        own = [(str(key), row.name) for key, row in self.companies.items()]
        if self.viewer.company_id is None:
            own.append((ALL_COMPANIES, _("Every company")))
        return own

    def agent_choices(self) -> list[tuple[str, str]]:
        """The desks, and a new one."""
        several = len(self.companies) > 1
        desks = [
            (str(one.id), f"{one.login} ({one.company})" if several else one.login)
            for one in self.agents.values()
        ]
        return [(NO_DESK, _("None")), (NEW_DESK, _("Make one for them")), *desks]

    def language_choices(self) -> list[tuple[str, str]]:
        """Pairs of code and name."""
        return list(NAMES.items())

    def zones(self) -> tuple[str, ...]:
        """The time zones that have a place in their name."""
        return _zones()

    # --- what it comes to --------------------------------------------------------------------

    @property
    def company_id(self) -> int | None:
        """None: every company."""
        return None if self.company == ALL_COMPANIES else int(self.company)

    def values(self, connection: Connection, actor: str, now: datetime) -> dict[str, Any]:
        """What the store is told; makes the desk where a new one was asked for. Raises
        NotPossible where its login is taken."""
        desk: int | None
        if self.agent == NEW_DESK:
            assert self.company_id is not None
            desk = agents.create_agent(
                connection, self.company_id, self._login(), {"name": self.name}, actor, now
            )
        else:
            desk = int(self.agent) if self.agent else None
        return {
            "name": self.name, "role": Role(self.role), "company_id": self.company_id,
            "agent_id": desk, "language": self.language, "timezone": self.timezone,
        }  # fmt: skip

    def _login(self) -> str:
        return _NOT_IN_A_LOGIN.sub("", self.email.casefold().partition("@")[0]).lstrip("._-")[:64]

    def _look(self, connection: Connection, *, new: bool) -> None:
        if new and not _EMAIL.fullmatch(self.email):
            self.faults["email"] = _("Write an address like ana@example.com.")
        if not 0 < len(self.name) <= 200:
            self.faults["name"] = _("Write the name that colleagues know, 200 letters at most.")
        if self.role not in {one.value for one in Role}:
            self.faults["role"] = _("Choose one of the list.")
        if self.language not in LANGUAGES:
            self.faults["language"] = _("Choose one of the list.")
        self._look_at_company()
        if not self.timezone and "company" not in self.faults:
            own = self.companies.get(self.company_id or 0)
            self.timezone = own.timezone if own else "UTC"
        if self.timezone not in available_timezones():
            self.faults["timezone"] = _("Write a time zone like Europe/Madrid.")
        if not {"company", "role"} & self.faults.keys():
            self._look_at_agent(connection)

    def _look_at_company(self) -> None:
        every = self.company == ALL_COMPANIES
        known = self.company.isdecimal() and int(self.company) in self.companies
        # Never more than who makes them sees; the form does not offer it, and this refuses it.
        if not (known or (every and self.viewer.company_id is None)):
            self.faults["company"] = _("Choose one of the list.")
        elif every and self.role in [one.value for one in NEED_A_COMPANY]:
            self.faults["company"] = _("Agents and supervisors belong to one company: choose it.")

    def _look_at_agent(self, connection: Connection) -> None:
        if self.agent == NEW_DESK:
            if self.company_id is None:
                self.faults["agent"] = _("A desk belongs to a company: choose it first.")
            elif not self._login():
                self.faults["agent"] = _(
                    "No login can be made of this address: make the agent with"
                    " `dialer agent create` and choose it here."
                )
            elif any(one.login == self._login() for one in agents.list_agents(connection)):
                self.faults["agent"] = _(
                    "There is an agent %(login)s already: choose it, or make another with"
                    " `dialer agent create`.", login=self._login(),
                )  # fmt: skip
        elif self.agent == NO_DESK:
            if self.role == Role.AGENT.value:
                self.faults["agent"] = _("Who works as an agent needs a desk: choose or make one.")
        else:
            desk = self.agents.get(int(self.agent)) if self.agent.isdecimal() else None
            if desk is None or desk.company_id != self.company_id:
                self.faults["agent"] = _("Choose a desk of the same company.")


def _offered(connection: Connection, viewer: Viewer) -> tuple[dict[int, Any], dict[int, Agent]]:
    companies = {row.id: row for row in choices.companies(connection, viewer.company_id)}
    desks = agents.list_agents(connection, company_id=viewer.company_id)
    return companies, {one.id: one for one in desks}


def refusal_text(error: Exception) -> dict[str, str]:
    """What the store refused, in the words of the page: field -> text."""
    if isinstance(error, IntegrityError):  # two who save at once: the address is what is unique
        return {"email": _("That address is a user's already. Choose another one.")}
    match of_error(error):
        case Said(code=WhyNobody.USER_TAKEN):
            return {"email": _("That address is a user's already. Choose another one.")}
        case Said(code=WhyNobody.LAST_ADMINISTRATOR):
            return {
                "role": _("This is the last administrator of everything: make another one first.")
            }
        case Said(code=WhyNobody.AGENT_TAKEN):
            return {"agent": error_text(error)}
    return {"": error_text(error)}
