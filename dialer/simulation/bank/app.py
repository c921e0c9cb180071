"""The simulated bank over HTTP: its faces, each below its name, and its control.

- ``GET /_bank/ledger``: charges, refunds and every attempt;
- ``GET /_bank/hooks``: webhooks sent, how they were answered, how many wait;
- ``POST /_bank/behaviour`` ``{"behaviour", "times", "operation", "face", "number_sha256"}``: so for
  the next operations that fit (``operation``: submit, prepare, look_up, capture, refund, void);
- ``POST /_bank/outage`` ``{"how": "error" | "drop" | "silent" | null, "faces": [...]}``;
- ``POST /_bank/clock`` ``{"days"}``: the bank's day is so many days ahead;
- ``POST /_bank/release``: answers held back are given now; ``POST /_bank/reset``: as new.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.serving import BaseWSGIServer

from dialer.simulation.bank.desk import Desk
from dialer.simulation.bank.faces import all_faces
from dialer.simulation.serving import listen


def create_app(desk: Desk) -> Flask:
    """Every face and the control as one Flask application."""
    app = Flask("acquirer_double")
    app.config["PROPAGATE_EXCEPTIONS"] = True  # a connection that is cut is the server's matter
    faces = all_faces(desk)

    @app.before_request
    def out_of_order() -> Response | None:
        """Before a face looks at who asks."""
        name = request.path.split("/")[1]
        return desk.out_of_order(name) if name in faces else None

    for name, blueprint in faces.items():
        app.register_blueprint(blueprint, url_prefix=f"/{name}")
    _add_control(app, desk)
    return app


def _add_control(app: Flask, desk: Desk) -> None:
    def done() -> Response:
        return jsonify({"ok": True})

    def told() -> dict[str, Any]:
        return dict(request.get_json(silent=True) or {})

    @app.get("/_bank/ledger")
    def ledger() -> Response:
        return jsonify(desk.bank.ledger())

    @app.get("/_bank/hooks")
    def hooks() -> Response:
        return jsonify(desk.hooks.sent())

    @app.post("/_bank/behaviour")
    def behaviour() -> Response:
        asked = told()
        try:
            desk.bank.tell(asked.pop("behaviour"), **asked)
        except (KeyError, TypeError, ValueError) as error:
            return Response(f"not understood: {error}\n", 400, mimetype="text/plain")
        return done()

    @app.post("/_bank/outage")
    def outage() -> Response:
        asked = told()
        if asked.get("how") not in ("error", "drop", "silent", None):
            return Response("how: error, drop, silent or null\n", 400, mimetype="text/plain")
        desk.bank.set_outage(asked.get("how"), asked.get("faces"))
        return done()

    @app.post("/_bank/clock")
    def clock() -> Response:
        desk.bank.set_days(int(told()["days"]))
        return done()

    @app.post("/_bank/release")
    def release() -> Response:
        desk.release()
        return done()

    @app.post("/_bank/reset")
    def reset() -> Response:
        desk.hooks.clear()
        desk.bank.reset()  # first, so that what is held back finds nothing to be decided on
        desk.release()
        return done()


@contextmanager
def serving(desk: Desk, port: int) -> Iterator[BaseWSGIServer]:
    """The bank on a loopback port (0: a free one, see ``server.port``), not yet looping."""
    server = listen(create_app(desk), port)
    try:
        yield server
    finally:
        desk.close()
        server.server_close()
