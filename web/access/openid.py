"""An OpenID provider that people log in by (OpenID Connect Core 1.0: authorization code, PKCE).

``begin`` sends a browser there, ``finish`` hears who came back. What was begun lies in Redis until
it is taken, once, and only by the browser that began it. Nothing of what the provider says is
believed before its signature, issuer, audience, age and nonce are right.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from redis import Redis
from redis.exceptions import RedisError
from requests import RequestException

from dialer.config import Settings

BACK = "/log-in/provider/back"
BEGUN = "dialer:web:openid:"
BEGUN_SECONDS = 600
"""How long somebody may take at the provider."""
ASK_SECONDS = 10
KNOWN_SECONDS = 3600.0
"""Its addresses and keys are asked for anew after so long."""
KEYS_AGAIN_SECONDS = 60.0
"""A signature by an unknown key has the keys asked for at most so often."""
LEEWAY = 60
"""Seconds by which clocks may differ."""
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Signatures by a key that the provider alone has."""
SCOPE = "openid email"


class Why(StrEnum):
    """Why somebody is not let in."""

    AWAY = "away"  # the provider, or what remembers what was begun
    REFUSED = "refused"  # by the provider, by who was asked, or an answer that is not right
    UNKNOWN = "unknown"  # no address that counts


class NotLetIn(Exception):
    """``why`` is for the person, the text for the log."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True, slots=True)
class Person:
    """Who came back, by an address that the provider has verified; where they were going."""

    email: str
    target: str | None


@dataclass(slots=True)
class _Kept:
    """What the provider said last, and when."""

    value: dict[str, Any] | None = None
    at: float = float("-inf")


class Provider:
    """The one of the settings. Raises ConfigError at once where its secret is missing."""

    def __init__(
        self, settings: Settings, redis: Redis, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.issuer = settings.oidc_issuer
        self.name = settings.oidc_name or urlsplit(settings.oidc_issuer).netloc
        self._client_id, self._secret = settings.oidc_client_id, settings.oidc_secret
        self._domains = frozenset(settings.oidc_domains)
        self._back = settings.web_url + BACK
        self._redis, self._clock = redis, clock
        self._lock = threading.Lock()
        self._about, self._keys = _Kept(), _Kept()

    # --- there and back ------------------------------------------------------------------

    def begin(self, target: str | None) -> tuple[str, str]:
        """Where to send the browser, and the state that it has to keep. Raises NotLetIn."""
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        with self._session(code_challenge_method="S256") as session:
            url, state = session.create_authorization_url(
                self._address("authorization_endpoint"), state=secrets.token_urlsafe(32),
                code_verifier=verifier, nonce=nonce,
            )  # fmt: skip
        begun = {"nonce": nonce, "verifier": verifier, "target": target}
        try:
            self._redis.set(_key(state), json.dumps(begun), ex=BEGUN_SECONDS)
        except RedisError as error:
            raise NotLetIn(Why.AWAY, f"not remembered: {error}") from error
        return str(url), str(state)

    def finish(self, kept: str | None, answer: Mapping[str, str]) -> Person:
        """Who it is. ``kept``: the state that this browser has. Raises NotLetIn."""
        state = answer.get("state", "")
        if not kept or not hmac.compare_digest(kept.encode(), state.encode()):
            raise NotLetIn(Why.REFUSED, "not begun by this browser")
        begun = self._taken(state)
        if answer.get("iss", self.issuer) != self.issuer:
            raise NotLetIn(Why.REFUSED, "the answer is of another issuer")  # RFC 9207
        if "error" in answer or not answer.get("code"):
            raise NotLetIn(Why.REFUSED, f"refused there: {answer.get('error', 'no code')[:60]}")
        token = self._token(answer["code"], begun["verifier"])
        claims = self._claims(token, begun["nonce"])
        return Person(self._email(token, claims), begun["target"])

    def _taken(self, state: str) -> dict[str, Any]:
        """What was begun; a second time there is nothing."""
        try:
            found: Any = self._redis.getdel(_key(state))
        except RedisError as error:
            raise NotLetIn(Why.AWAY, f"not remembered: {error}") from error
        if found is None:
            raise NotLetIn(Why.REFUSED, "never begun, finished before, or too long ago")
        begun: dict[str, Any] = json.loads(found)
        return begun

    # --- what the provider says ----------------------------------------------------------

    def _token(self, code: str, verifier: str) -> Mapping[str, Any]:
        supported = self._metadata().get("token_endpoint_auth_methods_supported")
        method = "client_secret_basic"  # the default of OpenID Connect Discovery
        if isinstance(supported, list) and method not in supported:
            method = "client_secret_post"
        try:
            with self._session(token_endpoint_auth_method=method) as session:
                found: Mapping[str, Any] = session.fetch_token(
                    self._address("token_endpoint"), grant_type="authorization_code", code=code,
                    code_verifier=verifier, allow_redirects=False,
                )  # fmt: skip
        except OAuthError as error:
            raise NotLetIn(Why.REFUSED, f"no token: {error.error}") from error
        except (RequestException, ValueError) as error:
            raise NotLetIn(Why.AWAY, f"no token: {type(error).__name__}") from error
        return found

    def _claims(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """Of the id token. Raises NotLetIn where anything of it is not right."""
        raw = token.get("id_token")
        if not isinstance(raw, str):
            raise NotLetIn(Why.REFUSED, "no id token")
        wanted = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            try:
                decoded = jwt.decode(raw, self._key_set(), algorithms=ALGORITHMS)
            except InvalidKeyIdError:  # it may have new keys
                decoded = jwt.decode(raw, self._key_set(anew=True), algorithms=ALGORITHMS)
            wanted.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotLetIn(Why.REFUSED, f"id token: {type(error).__name__}: {error}") from error
        claims = decoded.claims
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise NotLetIn(Why.REFUSED, "the id token is for somebody else")
        return claims

    def _email(self, token: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """The verified address, of a domain that the provider answers for."""
        found = claims if "email" in claims else self._userinfo(token, claims["sub"])
        email = found.get("email")
        if not isinstance(email, str) or found.get("email_verified") is not True:
            raise NotLetIn(Why.UNKNOWN, "no verified address")
        email = email.strip().casefold()
        if email.rpartition("@")[2] not in self._domains:
            raise NotLetIn(Why.UNKNOWN, "an address of a domain that may not come in")
        return email

    def _userinfo(self, token: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
        """What some providers tell only here; it has to be about the same person."""
        if not self._metadata().get("userinfo_endpoint"):
            return {}
        bearer = {"Authorization": f"Bearer {token.get('access_token', '')}"}
        found = self._fetched(self._address("userinfo_endpoint"), bearer)
        if found.get("sub") != subject:
            raise NotLetIn(Why.REFUSED, "the user info is of somebody else")
        return found

    # --- where it is, and its keys -------------------------------------------------------

    def _metadata(self) -> dict[str, Any]:
        with self._lock:
            kept = self._about
            if kept.value is None or self._clock() - kept.at > KNOWN_SECONDS:
                found = self._fetched(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
                if found.get("issuer") != self.issuer:
                    raise NotLetIn(Why.AWAY, "it names another issuer than the settings")
                kept.value, kept.at = found, self._clock()
            return kept.value

    def _address(self, name: str) -> str:
        """An address of its own, as safe as the issuer's."""
        found = self._metadata().get(name)
        if not isinstance(found, str):
            raise NotLetIn(Why.AWAY, f"it has no {name}")
        if urlsplit(found).scheme not in ("https", urlsplit(self.issuer).scheme):
            raise NotLetIn(Why.AWAY, f"its {name} is not safe")
        return found

    def _key_set(self, *, anew: bool = False) -> KeySet:
        address = self._address("jwks_uri")
        with self._lock:
            kept = self._keys
            age = self._clock() - kept.at
            if kept.value is None or age > (KEYS_AGAIN_SECONDS if anew else KNOWN_SECONDS):
                kept.value, kept.at = self._fetched(address), self._clock()
            found = kept.value
        return KeySet.import_key_set(found)  # type: ignore[arg-type]

    def _fetched(self, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            with self._session() as session:
                answer = session.get(
                    address, withhold_token=True, allow_redirects=False, headers=headers
                )
                answer.raise_for_status()
                found = answer.json()
        except (RequestException, ValueError) as error:
            raise NotLetIn(Why.AWAY, f"{address}: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise NotLetIn(Why.AWAY, f"{address}: no object")
        return found

    def _session(self, **more: Any) -> Any:
        return OAuth2Session(
            self._client_id, self._secret, scope=SCOPE, redirect_uri=self._back,
            default_timeout=ASK_SECONDS, **more,
        )  # fmt: skip


def _key(state: str) -> str:
    return BEGUN + hashlib.sha256(state.encode()).hexdigest()
