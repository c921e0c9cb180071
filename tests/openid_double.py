"""An OpenID provider of our own, a process with real keys and real HTTP, that can misbehave.

    python tests/openid_double.py          prints its address, serves until its input is closed

It keeps the rules of the protocol itself (PKCE, codes that count once, the secret, the address to
go back to), so that a client which breaks them fails here. ``POST /told`` sets who logs in and what
goes wrong, as JSON: ``email``, ``verified``, ``claims`` (over those of the id token; null: left
out), ``userinfo``, ``key`` (``unknown``: the signature is by a key nobody publishes; ``new``: it
publishes another one from now on), ``algorithm`` (``HS256``, ``none``), ``error`` (in place of a
code), ``issuer`` (in its metadata), ``keys`` (in place of its own), ``down``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT, SECRET = "dialer", "a secret of tests"


class State:
    """What it was told, the codes that are out, its keys."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: set[str] = set()
        self.keys = [_key()]
        self.stranger = _key()
        self.asked: list[str] = []


def _key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        state, base = self.server.state, self.server.base
        state.asked.append(url.path)
        if state.told.get("down"):
            return self._say(503, {"error": "down"})
        if url.path == "/.well-known/openid-configuration":
            return self._say(200, {
                "issuer": state.told.get("issuer", base),
                "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/keys", "userinfo_endpoint": f"{base}/userinfo",
            })  # fmt: skip
        if url.path == "/keys":
            if "keys" in state.told:
                return self._say(200, state.told["keys"])
            return self._say(200, dict(KeySet(list(state.keys)).as_dict(private=False)))
        if url.path == "/authorize":
            return self._authorize({k: v[0] for k, v in parse_qs(url.query).items()})
        if url.path == "/userinfo":
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in state.tokens:
                return self._say(401, {"error": "invalid_token"})
            return self._say(200, state.told.get("userinfo", {}))
        if url.path == "/asked":
            return self._say(200, {"asked": state.asked})
        return self._say(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        state = self.server.state
        if self.path == "/told":
            state.told = json.loads(body)
            if state.told.get("key") == "new":
                state.keys = [_key()]
            return self._say(200, {})
        if state.told.get("down"):
            return self._say(503, {"error": "down"})
        form = {k: v[0] for k, v in parse_qs(body).items()}
        return self._token(form)

    def _authorize(self, asked: dict[str, str]) -> None:
        """Somebody logs in here at once."""
        wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        lacking = {"state", "nonce", "code_challenge", "redirect_uri"} - asked.keys()
        wrong = [key for key, value in wanted.items() if asked.get(key) != value]
        if lacking or wrong or "openid" not in asked.get("scope", "").split():
            return self._say(400, {"lacking": sorted(lacking), "wrong": wrong})
        told = self.server.state.told
        answer = {"state": told.get("state", asked["state"]), "iss": self.server.base}
        if "error" in told:
            answer["error"] = told["error"]
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self.server.state.codes[answer["code"]] = asked
        self.send_response(302)
        self.send_header("Location", f"{asked['redirect_uri']}?{urlencode(answer)}")
        self.end_headers()
        return None

    def _token(self, form: dict[str, str]) -> None:
        basic = base64.b64encode(f"{CLIENT}:{SECRET.replace(' ', '+')}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if self.headers.get("Authorization") not in (f"Basic {basic}", f"Basic {plain}"):
            return self._say(401, {"error": "invalid_client"})
        begun = self.server.state.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        right = (
            begun is not None
            and begun["code_challenge"] == challenge
            and begun["redirect_uri"] == form.get("redirect_uri")
        )
        if not right or begun is None:
            return self._say(400, {"error": "invalid_grant"})
        access = secrets.token_urlsafe(16)
        self.server.state.tokens.add(access)
        told = self.server.state.told
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": 60}
        if told.get("algorithm") != "missing":
            answer["id_token"] = self._id_token(begun["nonce"])
        return self._say(200, answer)

    def _id_token(self, nonce: str) -> str:
        state, now = self.server.state, int(time.time())
        claims: dict[str, Any] = {
            "iss": self.server.base, "aud": CLIENT, "sub": "s-1", "nonce": nonce, "iat": now,
            "exp": now + 300, "email": state.told.get("email", "super@example.com"),
            "email_verified": state.told.get("verified", True),
        }  # fmt: skip
        claims |= state.told.get("claims", {})
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = state.told.get("algorithm", "RS256")
        if algorithm == "none":
            parts = (json.dumps({"alg": "none"}), json.dumps(claims))
            head, payload = (base64.urlsafe_b64encode(p.encode()).rstrip(b"=") for p in parts)
            return f"{head.decode()}.{payload.decode()}."
        if algorithm == "HS256":  # by the secret that both know
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
        unknown = state.told.get("key") == "unknown"
        key = state.stranger if unknown else state.keys[0]
        # A stranger's key under the name of a key that is published.
        head_of = {"alg": "RS256", "kid": state.keys[0].kid}
        return jwt.encode(head_of, claims, key)

    def _say(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: Any) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    """On a port of its own."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = State()
        self.base = f"http://127.0.0.1:{self.server_address[1]}"


def main() -> None:
    """Serve until whoever began this has gone."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.base, flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
