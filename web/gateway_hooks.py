"""Webhooks of payment gateways: ``POST /hooks/pay/<gateway>``.

One counts only if the gateway signed it. It is written down before it is answered: the gateway
hears 503 while the database is away and sends it again, and a repeat changes nothing. Nothing of
what came is logged or said back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, request
from sqlalchemy import Engine
from werkzeug.exceptions import HTTPException

from dialer.config import Settings
from dialer.logs import get_logger
from dialer.payments import service
from dialer.payments.gateway import Asked, BadWebhook, Gateway
from dialer.payments.gateways import KNOWN, gateway_named
from dialer.switch.names import HOOK_GATEWAY

log = get_logger(__name__)


def gateway_hooks(
    settings: Settings,
    engine: Engine,
    gateway: Callable[[Settings, str], Gateway] = gateway_named,
) -> Blueprint:
    """The webhooks under ``/hooks/pay``."""
    hooks = Blueprint("gateways", __name__, url_prefix=HOOK_GATEWAY.rstrip("/"))

    @hooks.post("/<name>")
    def hook(name: str) -> Response:
        if name not in KNOWN:
            abort(404)
        try:
            event = gateway(settings, name).read_webhook(_asked())
            with engine.begin() as connection:
                # The receipt, if one is made, is found by the workers' sweep.
                settled = service.settle_webhook(
                    connection, event, name, datetime.now(UTC), settings
                )
        except HTTPException:
            raise  # a body that is too long
        except BadWebhook:
            log.warning("webhook refused", gateway=name)
            return _answer(400)
        except Exception as error:  # noqa: BLE001 - its text may hold what came
            log.error("webhook not written down", gateway=name, why=type(error).__name__)
            return _answer(503)
        state = settled.state.value if settled is not None else None
        log.info("webhook of a gateway", gateway=name, kind=event.kind.value, state=state)
        return _answer(200)

    return hooks


def _answer(status: int) -> Response:
    said = {200: "ok", 400: "Bad Request", 503: "Try again later"}[status]
    return Response(f"{said}\n", status=status, mimetype="text/plain")


def _asked() -> Asked:
    """What came. The body is read before anybody parses it as a form: signatures are over bytes."""
    body = request.get_data(cache=True)
    return Asked(headers=dict(request.headers), body=body, form=request.form.to_dict())
