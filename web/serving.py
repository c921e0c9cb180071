"""How the application is served: threads of one process.

A live view holds a thread for as long as its page is open, so there are threads for them beside
those of ordinary requests; ``Streams`` keeps each kind to its share. They cost little while they
wait. Far more views than ``MAX_STREAMS`` want more processes behind the proxy: nothing is shared
but Redis and the database.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from waitress import create_server

from web.agents_events import MAX_STREAMS, Streams

THREADS = 32
"""For ordinary requests."""
CONNECTIONS = 1000
STREAMS = "dialer-streams"
"""Key of the ``Streams`` among the application's extensions."""


def make_server(app: Flask, host: str, port: int) -> Any:
    """A waitress server, listening; ``run()`` serves. Raises OSError where it cannot listen."""
    return create_server(
        app,
        host=host,
        port=port,
        threads=THREADS + MAX_STREAMS,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,
        # So that a live view learns that its page has gone.
        channel_request_lookahead=1,
        ident="",
        # Nothing is believed on their word; they tell that a request came from outside.
        clear_untrusted_proxy_headers=False,
    )


def end_streams(app: Flask) -> None:
    """Have the live views end, before the server waits for its threads."""
    streams: Streams = app.extensions[STREAMS]
    streams.close()
