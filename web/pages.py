"""The address in a message: who called and how to call back. No name of a debtor, no amount and no
word of a debt: whoever holds the phone may open it."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template
from sqlalchemy import Engine, select

from dialer.config import Settings
from dialer.messaging.links import read_link
from dialer.store.tables import account, company


def pages(settings: Settings, engine: Engine) -> Blueprint:
    """``/p/<token>``."""
    blueprint = Blueprint("pages", __name__)

    @blueprint.get("/p/<token>")
    def link(token: str) -> Response:
        account_id = read_link(settings, token)
        found = None
        if account_id is not None:
            with engine.connect().execution_options(dialer_readonly=True) as connection:
                found = connection.execute(
                    select(company.c.spoken_name, company.c.callback_number)
                    .join(account, account.c.company_id == company.c.id)
                    .where(account.c.id == account_id)
                ).first()
        if found is None:
            return make_response(render_template("no_link.html"), 404)
        return make_response(
            render_template("link.html", company=found.spoken_name, callback=found.callback_number)
        )

    return blueprint
