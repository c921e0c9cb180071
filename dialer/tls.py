"""Whom we trust when we ask somebody over HTTPS."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted(*, trust_env: bool = False) -> ssl.SSLContext:
    """The usual authorities, read once for a process: each client of httpx would read them again,
    which takes some 20 ms of a core, more than many a request.

    ``trust_env``: where the environment names others (SSL_CERT_FILE, SSL_CERT_DIR), those.
    """
    return httpx.create_ssl_context(trust_env=trust_env)
