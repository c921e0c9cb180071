"""A double of Twilio's Messages API, as a process of its own, for this machine alone.

It takes, gives and lists messages as Twilio does, reports their fate by signed webhooks, and
misbehaves on request: by the last four digits of the number (``twilio_faults``), by chance
(``--rates``), or as told on ``/_double``:

- ``GET /_double/messages``: what was kept; ``GET /_double/requests``: the requests to send;
- ``GET /_double/stats``: counts;
- ``POST /_double/behave`` ``{"number", "fault", "delivery", "seconds", "times"}``;
- ``POST /_double/inbound`` ``{"from", "to", "body"}``: a debtor answers;
- ``POST /_double/release``: slow answers are given now; ``POST /_double/reset``: as new.

Messages are kept in memory and gone with the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from email.utils import parsedate_to_datetime
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode

import click
from flask import Flask, Response, jsonify, request
from werkzeug.serving import BaseWSGIServer

from dialer.config import load_settings
from dialer.simulation.serving import listen, serve_until_stopped
from dialer.simulation.twilio_api import Double, Options, problem
from dialer.simulation.twilio_faults import Behaviour, Delivery, Fault, parse_rates

PAGE = 50
MESSAGES = "/2010-04-01/Accounts/<account>/Messages"


def create_app(double: Double) -> Flask:
    """The API and its control as one Flask application."""
    app = Flask("twilio_double")
    app.config["PROPAGATE_EXCEPTIONS"] = True  # a connection that is cut is the server's matter
    account = double.options.account_sid

    def allowed(name: str) -> bool:
        given = request.authorization
        return (
            given is not None
            and given.type == "basic"
            and name == account == given.username
            and compare_digest(given.password or "", double.options.token)
        )

    @app.post(f"{MESSAGES}.json")
    def create(account: str) -> Response:
        return double.create() if allowed(account) else problem(20003)

    @app.get(f"{MESSAGES}/<sid>.json")
    def fetch(account: str, sid: str) -> Response:
        if not allowed(account):
            return problem(20003)
        found = double.books.find(sid=sid)
        return jsonify(found[0]) if found else problem(20404)

    @app.get(f"{MESSAGES}.json")
    def listing(account: str) -> Response:
        if not allowed(account):
            return problem(20003)
        double.books.counts["listed"] += 1
        wanted = {"to": request.args.get("To"), "from": request.args.get("From")}
        found = [one for one in double.books.find(**wanted) if _sent_when_asked(one)]
        return _page(found, account)

    _add_control(app, double)
    return app


def _sent_when_asked(one: dict[str, Any]) -> bool:
    """The DateSent filters; a message that is still queued has no such date and matches none."""
    asked = {name: request.args[name][:10] for name in request.args if name.startswith("DateSent")}
    if not asked:
        return True
    if one["date_sent"] is None:
        return False
    sent = parsedate_to_datetime(one["date_sent"]).date()
    tests = {"DateSent": sent.__eq__, "DateSent>": sent.__ge__, "DateSent<": sent.__le__}
    return all(tests[name](date.fromisoformat(value)) for name, value in asked.items())


def _page(found: list[dict[str, Any]], account: str) -> Response:
    size = max(1, min(1000, request.args.get("PageSize", PAGE, type=int)))
    page = max(0, request.args.get("Page", 0, type=int))
    filters = {k: v for k, v in request.args.items() if k not in ("PageSize", "Page")}

    def uri(number: int) -> str:
        query = urlencode({**filters, "PageSize": size, "Page": number})
        return f"/2010-04-01/Accounts/{account}/Messages.json?{query}"

    return jsonify(
        {
            "messages": found[page * size : (page + 1) * size],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": min(len(found), (page + 1) * size) - 1,
            "uri": uri(page),
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1) if (page + 1) * size < len(found) else None,
            "previous_page_uri": uri(page - 1) if page else None,
        }
    )


def _add_control(app: Flask, double: Double) -> None:
    @app.get("/_double/messages")
    def kept() -> Response:
        return jsonify(double.books.find(to=request.args.get("to")))

    @app.get("/_double/requests")
    def requested() -> Response:
        return jsonify(double.books.requests)

    @app.get("/_double/stats")
    def stats() -> Response:
        return jsonify(double.stats())

    @app.post("/_double/behave")
    def behave() -> Response:
        told = request.get_json()
        behaviour = Behaviour(
            Fault(told.get("fault", "none")),
            Delivery(told.get("delivery", "delivered")),
            told.get("seconds"),
        )
        double.books.tell(told["number"], behaviour, int(told.get("times", 1)))
        return jsonify({"ok": True})

    @app.post("/_double/inbound")
    def inbound() -> Response:
        told = request.get_json()
        status = double.inbound(told["from"], told["to"], told["body"], told.get("url"))
        return jsonify({"status": status})

    @app.post("/_double/release")
    def release() -> Response:
        double.release()
        return jsonify({"ok": True})

    @app.post("/_double/reset")
    def reset() -> Response:
        double.reset()
        return jsonify({"ok": True})


@contextmanager
def serving(double: Double, port: int) -> Iterator[BaseWSGIServer]:
    """The double on a loopback port (0: a free one, see ``server.port``), not yet looping."""
    server = listen(create_app(double), port)
    try:
        yield server
    finally:
        double.released.set()
        double.callbacks.close()
        server.server_close()


@click.command("twilio-double", hidden=True)
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what happens by chance.")
@click.option("--rates", default="", help="What misbehaves: busy=0.1,drop_kept=0.05,...")
@click.option("--latency", type=float, default=0.05, show_default=True, help="Seconds an answer.")
@click.option("--pause", type=float, default=0.3, show_default=True, help="Seconds a report.")
@click.option("--slow", type=float, default=3.0, show_default=True, help="Seconds, slow answer.")
def twilio_double(
    port: int | None, seed: int, rates: str, latency: float, pause: float, slow: float
) -> None:
    """Run the simulated Twilio, until stopped (SIGTERM, Ctrl-C).

    Account, token and addresses are those of this installation's settings.
    """
    settings = load_settings()
    try:
        chosen = parse_rates(rates)
    except ValueError as error:
        raise click.UsageError(f"--rates: {error}") from error
    options = Options(
        account_sid=settings.twilio_sid,
        token=settings.twilio_token,
        inbound_url=f"{settings.web_url}/hooks/twilio/sms",
        seed=seed,
        rates=chosen,
        latency=latency,
        pause=pause,
        slow=slow,
    )

    with serving(Double(options), settings.twilio_double_port if port is None else port) as server:
        serve_until_stopped(server, "twilio double")


if __name__ == "__main__":
    twilio_double()
