"""What the API can do, once: routes and the OpenAPI document are both made of ``OPERATIONS``.

    @operation("GET", "/campaigns/{campaign_id}", Scope.CAMPAIGNS_READ, Campaign, "One campaign.")
    def get_campaign(ask: Asked, campaign_id: int) -> Campaign: ...

An operation gets what was asked, checked by its models, and returns its answer's model; what it
cannot do it says by raising ``Problem``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Engine

from dialer.config import Settings
from dialer.domain.api import Scope
from dialer.store.api_tokens import ApiToken
from web.api.shapes import Answer, Given

LARGEST_ID = 2**63 - 1
"""Of a row; a larger number is none's."""
LARGEST_BODY = 1024 * 1024
"""Five hundred leads with all their fields are less than half of it."""

WORDS = frozenset({"payment_id", "attempt_id", "language", "template"})
"""Places that are no numbers."""
WORD = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""What may stand in them."""

_PLACE = re.compile(r"\{(\w+)\}")
V = TypeVar("V", bound=Callable[..., Answer | Path])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: who asks, the transaction to do it in, the body and the query as their models.
    ``engine``: for what needs a transaction of its own."""

    token: ApiToken
    engine: Engine
    connection: Connection
    settings: Settings
    now: datetime
    body: Any = None
    query: Any = None

    @property
    def actor(self) -> str:
        """For the audit."""
        return f"api_key:{self.token.id}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing the API can do. ``path`` below /api/v1, places as ``{campaign_id}``: numbers, but
    for those of ``WORDS``.

    ``status``: of success. ``changes``: it writes, and ``Idempotency-Key`` is heeded. ``secret``:
    its answer is not kept for a repeat, since it holds a secret. ``file``: it answers with the file
    that ``do`` gives the path of, of this type.
    """

    name: str
    method: str
    path: str
    scope: Scope
    answer: type[Answer]
    summary: str
    do: Callable[..., Answer | Path]
    body: type[Given] | None = None
    query: type[Given] | None = None
    status: int = 200
    changes: bool = False
    secret: bool = False
    file: str | None = None
    detail: str = ""
    example: Mapping[str, Any] | None = None

    @property
    def places(self) -> list[str]:
        """The parts of the path that are filled in."""
        return _PLACE.findall(self.path)

    @property
    def rule(self) -> str:
        """The path as Flask has it."""
        return _PLACE.sub(
            lambda found: f"<{found[1]}>" if found[1] in WORDS else f"<int:{found[1]}>", self.path
        )

    @property
    def tag(self) -> str:
        """What it is about."""
        return self.path.split("/")[1]

    @property
    def models(self) -> list[type[BaseModel]]:
        """Those of requests."""
        return [one for one in (self.body, self.query) if one is not None]


OPERATIONS: list[Operation] = []


def operation(
    method: str,
    path: str,
    scope: Scope,
    answer: type[Answer],
    summary: str,
    *,
    reads: bool = False,
    **more: Any,
) -> Callable[[V], V]:
    """Register a function as what ``method path`` does. The first line of ``summary`` is its
    title; the function's docstring says more. ``reads``: a POST that changes nothing."""

    def register(do: V) -> V:
        OPERATIONS.append(
            Operation(
                name=do.__name__,
                method=method,
                path=path,
                scope=scope,
                answer=answer,
                summary=summary,
                do=do,
                changes=method != "GET" and not reads,
                detail=" ".join((do.__doc__ or "").split()),
                **more,
            )
        )
        return do

    return register
