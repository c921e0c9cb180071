"""What is reached from outside: webhooks of providers and the addresses in messages."""

from __future__ import annotations

from web.app import create_app

__all__ = ["create_app"]
