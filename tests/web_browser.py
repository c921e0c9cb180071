"""A browser without a screen against the pages as they are served: cookies, form tokens, live
views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fixtures_site import PASSWORD

from dialer.tls import trusted

_TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


class WebBrowser:
    """Logged in as ``who@example.com``. ``token``: of its forms."""

    def __init__(self, url: str, who: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False, verify=trusted())
        page = self.http.get("/log-in")
        answer = self.http.post(
            "/log-in",
            data={
                "email": f"{who}@example.com",
                "password": PASSWORD,
                "csrf_token": self._token_of(page),
            },
        )
        assert answer.status_code == 302, answer.text
        self.token = self._token_of(self.http.get("/account"))

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page."""
        return self.http.get(path, headers=headers)

    def send(
        self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """As a script of the page does it."""
        return self.http.request(
            method, path, json=body or {}, headers={"X-CSRFToken": self.token, **headers}
        )

    def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The same."""
        return self.send("POST", path, body, **headers)

    @contextmanager
    def listening(self, path: str) -> Iterator[Iterator[str]]:
        """The lines of a live view."""
        with self.http.stream("GET", path) as answer:
            assert answer.status_code == 200, answer.read()
            yield answer.iter_lines()

    @staticmethod
    def _token_of(page: httpx.Response) -> str:
        found = _TOKEN.search(page.text)
        assert found is not None
        return found.group(1)
