"""The routes of ``/api/v1``, made of the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request, send_file
from pydantic import ValidationError
from werkzeug.exceptions import NotFound

from dialer.flow.errors import FlowError
from dialer.store.campaign_file import PlanError
from dialer.store.companies import NotPossible
from dialer.store.policy_approvals import NeedsApproval
from dialer.switch.trunks import TrunkError
from web import problems
from web.api import door, openapi
from web.api import (
    op_ahead as op_ahead,
)
from web.api import (
    op_approvals as op_approvals,
)
from web.api import (
    op_audit as op_audit,
)
from web.api import (
    op_caller_ids as op_caller_ids,
)
from web.api import (
    op_campaigns as op_campaigns,
)
from web.api import (
    op_debtors as op_debtors,
)
from web.api import (
    op_leads as op_leads,
)
from web.api import (
    op_money as op_money,
)
from web.api import (
    op_recordings as op_recordings,
)
from web.api import (
    op_report_mails as op_report_mails,
)
from web.api import (
    op_reports as op_reports,
)
from web.api import (
    op_results as op_results,
)
from web.api import (
    op_texts as op_texts,
)
from web.api import (
    op_webhooks as op_webhooks,
)
from web.api.registry import LARGEST_BODY, LARGEST_ID, OPERATIONS, WORD, Asked, Operation
from web.api.shapes import Answer, Given
from web.api_parts import explain
from web.problems import Problem

if TYPE_CHECKING:
    from web.parts import Parts

PREFIX = "/api/v1"


def api(parts: Parts, operations: Sequence[Operation] = OPERATIONS) -> Blueprint:
    """The blueprint; each of its views lets in by itself."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    blueprint.register_error_handler(Exception, explain)

    @blueprint.before_request
    def allow_a_large_body() -> None:
        request.max_content_length = LARGEST_BODY

    @blueprint.get("/openapi.json")
    def document() -> Response:
        text = openapi.document_json(parts.settings.web_url + PREFIX)
        return Response(text, mimetype="application/json")

    for one in operations:
        blueprint.add_url_rule(one.rule, one.name, _view(parts, one), methods=[one.method])
    return blueprint


def _view(parts: Parts, one: Operation) -> Callable[..., Response]:
    def view(**places: int | str) -> Response:
        now = door.moment()
        token = door.come_in(parts.engine, now)
        allowance = door.count(parts.redis, token)
        try:
            door.needs(token, one.scope)
            _check(places)
            query = _read_query(one.query)
            body = _read_body(one.body)

            def do() -> Response:
                transaction: Any = parts.engine.begin() if one.changes else parts.readonly()
                with transaction as connection:
                    asked = Asked(token, parts.engine, connection, parts.settings, now, body, query)
                    return _said(_done(one, asked, places), one)

            if one.changes and not one.secret:
                response = parts.desk.once_only(f"api_key:{token.id}", do)
            else:
                response = do()
        except Exception as error:  # noqa: BLE001 - said as a problem, with the headers
            response = explain(error)
        response.headers.update(allowance.headers)
        return response

    return view


def _check(places: dict[str, int | str]) -> None:
    """Raises NotFound for what can be nothing's."""
    for value in places.values():
        known = value <= LARGEST_ID if isinstance(value, int) else WORD.fullmatch(value)
        if not known:
            raise NotFound


def _done(one: Operation, asked: Asked, places: dict[str, Any]) -> Answer | Path:
    """What it answers; what the store refuses becomes a problem."""
    try:
        return one.do(asked, **places)
    except PlanError as error:
        faults = [_fault(line) for line in error.problems]
        raise problems.invalid_fields(faults) from error
    except NeedsApproval as error:
        raise _second_person(asked, error, places["campaign_id"]) from error
    except NotPossible as error:
        raise Problem(409, "not_possible", "That cannot be done", str(error)) from error
    except (FlowError, TrunkError) as error:
        raise problems.invalid_fields([("flow", str(error))]) from error


def _second_person(asked: Asked, error: NeedsApproval, campaign_id: int) -> Problem:
    """What stands in the way, rule by rule, and what to do about it."""
    stands = error.standing
    page = f"{asked.settings.web_url}/campaigns/{campaign_id}"
    detail = (
        "It was asked for and waits: another manager grants it under Approvals. Then start it again"
        if stands.waits
        else f"A manager asks for it with a reason at {page}, or a program with `ask-approval`;"
        " another one grants it. Then start it again"
    )
    errors = [
        {
            "field": one.rule.value,
            "reason": f"{one.mine} is looser than {one.usual}, which is the rule for"
            f" {stands.country}",
        }
        for one in stands.looser
    ]
    return Problem(
        409, "needs_approval", "A second person has to grant this", f"{detail}.",
        more={"errors": errors},
    )  # fmt: skip


def _fault(line: str) -> tuple[str, str]:
    """Field and reason of a line like ``pool: ...``."""
    field, colon, reason = line.partition(": ")
    return (field, reason) if colon and " " not in field else ("body", line)


def _read_body(model: type[Given] | None) -> Given | None:
    """The body as the model has it. Raises Problem: 400, 415, 422."""
    if model is None:
        return None
    raw = request.get_data(cache=True)
    if request.mimetype != "application/json" and raw.strip():
        raise Problem(415, "not_json", "Send application/json")
    try:
        return model.model_validate_json(raw if raw.strip() else b"{}")
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise Problem(400, "bad_json", "The body is not JSON") from error
        raise problems.invalid(error) from error


def _read_query(model: type[Given] | None) -> Given | None:
    """What follows the question mark. Raises Problem (422), also for what comes twice."""
    given = request.args.to_dict(flat=False)
    twice = [(name, "given more than once") for name, values in given.items() if len(values) > 1]
    if twice:
        raise problems.invalid_fields(twice)
    if model is None:
        if given:
            raise problems.invalid_fields([(name, "not known here") for name in given])
        return None
    try:
        return model.model_validate({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise problems.invalid(error) from error


def _said(answer: Answer | Path, one: Operation) -> Response:
    if isinstance(answer, Path):
        return send_file(answer, one.file, conditional=True)
    if one.status == 204:
        return Response(status=204)
    text = answer.model_dump_json() + "\n"
    return Response(text, status=one.status, mimetype="application/json")
