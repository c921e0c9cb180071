"""The person behind a key: who made it, for what a person has to stand for.

A key is no second person. What it asks for is asked by its maker, who then cannot grant it; what it
grants is granted by its maker. What one program has asked for no program decides, so that of the
two one has looked at it in the console.
"""

from __future__ import annotations

from dialer.domain.access import MANAGERS, Viewer
from dialer.store import users
from web.api.registry import Asked
from web.problems import Problem

_USER = "user:"


def maker_of(ask: Asked, company_id: int | None) -> Viewer:
    """Who made the key, as long as they could do it themselves for that company.

    Raises Problem (403).
    """
    number = ask.token.created_by.removeprefix(_USER)
    user = None
    if ask.token.created_by.startswith(_USER) and number.isdecimal():
        user = users.load_user(ask.connection, int(number))
    if user is None:
        raise _nobody("It was made on the command line: an administrator makes one in the console.")
    viewer = Viewer(user.id, user.name, user.email, user.role, user.company_id)
    if not user.active or user.role not in MANAGERS or not viewer.sees(company_id):
        raise _nobody("Who made it may not do this any more: another administrator makes a key.")
    return viewer


def _nobody(detail: str) -> Problem:
    return Problem(403, "no_person", "A person has to stand behind this key", detail)
