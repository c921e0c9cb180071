"""Who may do what: roles, what each is for, and the rules of passwords and log-ins.

Limits follow NIST SP 800-63B (length instead of composition, slowing down guesses) and OWASP ASVS
level 2 (sessions that end, a second person for what cannot be taken back).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Role(StrEnum):
    """What a user is to the company."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"  # sees everything, changes nothing


class ApprovalKind(StrEnum):
    """What one person may not do alone."""

    REFUND = "refund"
    POLICY = "policy"  # a campaign's rules of contact loosened


class ApprovalState(StrEnum):
    """Where a request for a second person stands."""

    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


READERS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR, Role.AUDITOR})
"""Who sees the console."""
MANAGERS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR})
"""Who changes campaigns, lists and agents."""
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
"""Who changes users and settings."""

SESSION_IDLE = timedelta(minutes=30)
SESSION_LIFE = timedelta(hours=12)
"""A session ends after that much without a request, and after that much in any case. A desk's
heartbeat is a request: an agent who talks stays logged in."""
LINK_LIFE = timedelta(hours=24)
"""A one-time link to choose a password by."""

PASSWORD_SHORTEST = 12
PASSWORD_LONGEST = 200
FREE_FAILURES = 5
"""Log-ins that may fail in a row before the account waits."""
LONGEST_WAIT = timedelta(minutes=15)
_COMMON = ("password", "contraseña", "contrasena", "123456", "qwerty", "administrador", "dialer")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: what pages and queries need to know of a user.

    ``company_id``: None sees every company. ``agent_id``: who they are at a desk.
    """

    user_id: int
    name: str
    email: str
    role: Role
    company_id: int | None
    agent_id: int | None = None
    language: str = "es"
    timezone: str = "UTC"

    def sees(self, company_id: int | None) -> bool:
        """Whether something of that company is theirs to see; what is no company's is for those
        alone who see all."""
        return self.company_id is None or self.company_id == company_id

    @property
    def manages(self) -> bool:
        """They may change campaigns, lists and agents."""
        return self.role in MANAGERS


def wait_after(failures: int) -> timedelta:
    """How long an account waits after so many failed log-ins in a row: nothing for the first ones,
    then twice as long each time up to ``LONGEST_WAIT``."""
    over = failures - FREE_FAILURES
    if over < 0:
        return timedelta(0)
    return min(LONGEST_WAIT, timedelta(seconds=30 * 2 ** min(over, 10)))


def session_ended(
    now: datetime, created_at: datetime, seen_at: datetime, ended_at: datetime | None
) -> bool:
    """Whether a session is over: ended, idle for too long, or simply old."""
    return ended_at is not None or now - seen_at >= SESSION_IDLE or now - created_at >= SESSION_LIFE


def password_fault(password: str, email: str, name: str) -> str | None:
    """What is wrong with a password that was chosen, as a word (``short``, ``long``, ``common``,
    ``yours``, ``repeats``); None where it will do."""
    if len(password) < PASSWORD_SHORTEST:
        return "short"
    if len(password) > PASSWORD_LONGEST:
        return "long"
    plain = password.casefold()
    if len(set(plain)) < 5:
        return "repeats"
    parts = [email.casefold().partition("@")[0], *name.casefold().split()]
    for part in parts:
        if len(part) >= 4 and part in plain and len(plain) - len(part) < PASSWORD_SHORTEST // 2:
            return "yours"
    for word in _COMMON:
        if word in plain and len(plain) - len(word) < PASSWORD_SHORTEST // 2:
            return "common"
    return None


def may_decide(asked_by: int, decides: Viewer) -> bool:
    """Four eyes: never who asked, and only who manages."""
    return decides.manages and decides.user_id != asked_by
