"""The OpenAPI document, made of the registry: what it says is what the routes do."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic.json_schema import models_json_schema

from dialer import __version__
from web.api.registry import LARGEST_ID, OPERATIONS, WORD, WORDS, Operation
from web.api.shapes import ProblemBody
from web.once import HEADER, REPLAYED
from web.problems import PROBLEM_JSON

SCHEMAS = "#/components/schemas/{model}"
RATE_HEADERS = {
    "RateLimit-Limit": "Requests that one minute takes.",
    "RateLimit-Remaining": "What is left of this minute.",
    "RateLimit-Reset": "Seconds until the next minute.",
}
REFUSALS: dict[int, str] = {
    401: "No token, or one that opens nothing.",
    403: "The token lacks the scope.",
    422: "Fields that are wrong, by name.",
    429: "Too many requests; `Retry-After`.",
    503: "Try again later; `Retry-After`.",
}
"""Of every operation."""


@lru_cache(maxsize=4)
def document_json(server: str) -> str:
    """As it is served."""
    return json.dumps(document(server), ensure_ascii=False, indent=1) + "\n"


def document(server: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    wanted: list[Any] = [(ProblemBody, "serialization")]
    for one in OPERATIONS:
        if one.file is None:
            wanted.append((one.answer, "serialization"))
        wanted += [(model, "validation") for model in one.models]
    refs, defined = models_json_schema(list(dict.fromkeys(wanted)), ref_template=SCHEMAS)
    schemas: dict[str, Any] = defined.get("$defs", {})
    paths: dict[str, Any] = {}
    queries = set()
    for one in OPERATIONS:
        said = _operation(one, refs, schemas)
        paths.setdefault(one.path, {})[one.method.lower()] = said
        if one.query is not None:
            queries.add(_name(refs[one.query, "validation"]))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dialer",
            "version": __version__,
            "description": "Campaigns, leads and results for programs. See docs/api.md.",
        },
        "servers": [{"url": server}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {name: one for name, one in schemas.items() if name not in queries},
        },
    }


def _operation(one: Operation, refs: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "security": [{"token": [one.scope.value]}],
        "parameters": [*_places(one), *_query(one, refs, schemas), *_headers(one)],
        "responses": _responses(one, refs.get((one.answer, "serialization"))),
    }
    if one.detail:
        said["description"] = one.detail
    if one.body is not None:
        content: dict[str, Any] = {"schema": refs[one.body, "validation"]}
        if one.example is not None:
            content["example"] = dict(one.example)
        said["requestBody"] = {"required": True, "content": {"application/json": content}}
    return said


def _places(one: Operation) -> list[dict[str, Any]]:
    number = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
    word = {"type": "string", "pattern": f"^{WORD.pattern}$"}
    return [
        {"name": name, "in": "path", "required": True, "schema": word if name in WORDS else number}
        for name in one.places
    ]


def _query(one: Operation, refs: Any, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    whole = schemas[_name(refs[one.query, "validation"])]
    found = []
    for name, schema in whole["properties"].items():
        # A query has no null: what may be left out is left out.
        parts = [part for part in schema.get("anyOf", []) if part.get("type") != "null"]
        plain = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        if len(parts) == 1:
            plain |= parts[0]
        if schema.get("default") is not None:
            plain["default"] = schema["default"]
        plain.pop("title", None)
        said = plain.pop("description", None)
        parameter = {"name": name, "in": "query", "schema": plain}
        parameter["required"] = name in whole.get("required", [])
        if said:
            parameter["description"] = said
        found.append(parameter)
    return found


def _headers(one: Operation) -> list[dict[str, Any]]:
    if not one.changes or one.secret:
        return []
    return [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "A repeat with the same one gets the first answer, for ten minutes.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
        }
    ]


def _responses(one: Operation, answer: Any) -> dict[str, Any]:
    headers = {
        name: {"description": said, "schema": {"type": "integer"}}
        for name, said in RATE_HEADERS.items()
    }
    more = dict(headers)
    if one.changes and not one.secret:
        more[REPLAYED] = {
            "description": "`true`: this is the first answer again.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    success: dict[str, Any] = {"description": "Done.", "headers": more}
    if one.file is not None:
        binary = {"type": "string", "format": "binary"}
        success["content"] = {one.file: {"schema": binary}}
    elif one.status != 204:
        success["content"] = {"application/json": {"schema": answer}}
    refusals = dict(REFUSALS)
    if one.body is not None:
        refusals |= {400: "The body is not JSON.", 415: "The body is of another type."}
        refusals[413] = "The body is longer than 1 MiB."
    of_something = any(name.endswith("_id") for model in one.models for name in model.model_fields)
    if one.places or one.body is not None or of_something:
        refusals[404] = "There is no such thing, or it is another company's."
    if one.changes:
        refusals[409] = "It does not fit the state of things."
    problem = {PROBLEM_JSON: {"schema": {"$ref": SCHEMAS.format(model="ProblemBody")}}}
    return {
        str(one.status): success,
        **{
            str(status): {"description": said, "content": problem}
            for status, said in sorted(refusals.items())
        },
    }


def _name(ref: dict[str, str]) -> str:
    return ref["$ref"].rpartition("/")[2]
