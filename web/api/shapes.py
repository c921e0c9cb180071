"""What requests and answers are made of."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

ItemT = TypeVar("ItemT")
MOST = 500
"""Of anything in one answer, or in one request."""


class Given(BaseModel):
    """A body or a query: a field that is unknown is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What is said back. Clients pass over fields that they do not know."""

    model_config = ConfigDict(frozen=True)


class Done(Answer):
    """It was done."""

    ok: bool = True


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not taken")
    return text


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_plain),
    Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]*$"}),
]
"""A short text in one line."""
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""The number of a row."""
Code = Annotated[str, StringConstraints(max_length=100)]
"""A word for programs."""


class Paged(Given):
    """``cursor``: the ``next`` of an earlier answer, as it was."""

    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None, description="`next` of the page before; leave it out for the first page."
    )
    limit: int = Field(100, ge=1, le=MOST, description="So many at most.")


class Page(Answer, Generic[ItemT]):
    """A part of a list."""

    items: list[ItemT]
    next: str | None = Field(
        description="Give it as `cursor` for what follows; null: there is nothing more."
    )


class Feed(Answer, Generic[ItemT]):
    """A part of a list that grows at its end."""

    items: list[ItemT]
    next: str = Field(
        description="Give it as `cursor` for what follows, also later, when there is more."
    )
    more: bool = Field(description="There is more already: ask again at once.")


class ProblemBody(Answer):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="For programs.")
    detail: str | None = None
    errors: list[FieldFault] | None = None
    done: str | None = Field(
        None, description="With 503: `no`, or `unknown`: it may have been done."
    )


class FieldFault(Answer):
    """A field that was wrong."""

    field: str
    reason: str


ProblemBody.model_rebuild()


def fields_of(row: Any, model: type[BaseModel]) -> dict[str, Any]:
    """The values of a row that a model has fields for."""
    mapping = row._mapping if hasattr(row, "_mapping") else row
    return {name: mapping[name] for name in model.model_fields if name in mapping}


Moment = datetime
"""Aware, UTC; ISO 8601 in JSON."""
