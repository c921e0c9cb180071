"""What every answer says to the browser about itself."""

from __future__ import annotations

SAFE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""On every answer. Strict-Transport-Security is the business of whoever ends TLS before us."""
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
}
"""On the pages of those who log in, in place of the ones above. The desk adds what it needs."""


def desk_headers(websocket: str) -> dict[str, str]:
    """On the desk's page, in place of those: it talks to Asterisk and has the microphone.
    ``websocket``: its address; only its origin is let in."""
    scheme, _, rest = websocket.partition("://")
    origin = f"{scheme}://{rest.partition('/')[0]}"
    policy = PAGE_HEADERS["Content-Security-Policy"]
    safe = SAFE_HEADERS["Permissions-Policy"]
    return {
        "Content-Security-Policy": policy.replace(
            "connect-src 'self'", f"connect-src 'self' {origin}"
        ),
        "Permissions-Policy": safe.replace("microphone=()", "microphone=(self)"),
    }
