"""Tokens of an OpenID Connect issuer: signed JWTs whose keys are fetched from the issuer and kept for five minutes.

Algorithms are pinned to asymmetric ones, whatever a token says of itself. While the issuer is away its keys are
believed for an hour; the issuer is asked at most every ten seconds, so that strangers can't make us ask.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import jwt
import structlog
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from shared.errors import Unavailable
from shared.http.auth import Principal
from shared.http.problems import Problem
from shared.http.scopes import ROLE_SCOPES, ROLES
from shared.settings import Settings

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
LEEWAY_SECONDS: Final = 30
FRESH_SECONDS: Final = 300.0
STALE_SECONDS_MAX: Final = 3_600.0
ASK_AGAIN_SECONDS: Final = 10.0
TOKEN_CHARACTERS_MAX: Final = 16_384
KEYS_MAX: Final = 100
_REQUIRED: Final = ("exp", "iss", "aud", "sub")

log = structlog.get_logger(component="tokens")

# Fetches a JSON document; raises OSError or ValueError when there is none.
Fetch = Callable[[str], Awaitable[Any]]


class OidcSettings(Settings):
    """Environment `ACCORD_OIDC_*`. With a client people can sign in to the web pages at the issuer."""

    model_config = SettingsConfigDict(env_prefix="ACCORD_OIDC_")

    issuer: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")
    audience: str | None = None
    role_claim: str = Field(default="role", min_length=1)
    client_id: str | None = Field(default=None, min_length=1)
    client_secret: SecretStr | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "OidcSettings":
        if (self.issuer is None) != (self.audience is None):
            raise ValueError("ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE are set together")
        if self.issuer is not None and not is_safe(self.issuer):
            raise ValueError("ACCORD_OIDC_ISSUER must be https, except on this machine itself")
        if self.client_id is not None and self.issuer is None:
            raise ValueError("ACCORD_OIDC_CLIENT_ID needs ACCORD_OIDC_ISSUER and ACCORD_OIDC_AUDIENCE")
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("ACCORD_OIDC_CLIENT_SECRET needs ACCORD_OIDC_CLIENT_ID")
        return self


def is_safe(url: str) -> bool:
    """Keys that came unencrypted over a network could be anybody's."""
    return url.startswith(("https://", "http://127.0.0.1:", "http://[::1]:", "http://localhost:"))


class IssuerKeys:
    """The keys of one issuer, by id. `time` counts seconds."""

    def __init__(self, issuer: str, fetch: Fetch, time: Callable[[], float]) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._time = time
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The key of this id, None if the issuer has none. Raises Unavailable when nobody can say."""
        if key_id not in self._keys or self._age() > FRESH_SECONDS:
            async with self._lock:
                if self._time() - self._asked_at > ASK_AGAIN_SECONDS:
                    await self._ask()
        if self._age() > STALE_SECONDS_MAX:
            raise Unavailable
        return self._keys.get(key_id)

    def _age(self) -> float:
        return self._time() - self._fetched_at

    async def _ask(self) -> None:
        self._asked_at = self._time()
        try:
            found = await self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._issuer or not is_safe(str(found.get("jwks_uri"))):
                raise ValueError("the issuer describes another one, or keys at an unsafe address")
            self._keys = _usable((await self._fetch(found["jwks_uri"]))["keys"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError, TimeoutError) as error:
            log.warning("issuer_keys_not_fetched", issuer=self._issuer, reason=type(error).__name__)
        else:
            self._fetched_at = self._time()


def _usable(found: list[Any]) -> dict[str, jwt.PyJWK]:
    """Keys with an id, for signatures, of a kind that we take; others are none of our business."""
    keys = {}
    for described in found[:KEYS_MAX]:
        if described.get("use", "sig") != "sig" or "kid" not in described:
            continue
        try:
            key = jwt.PyJWK(described)
        except jwt.PyJWTError:
            continue
        if key.algorithm_name in ALGORITHMS:
            keys[described["kid"]] = key
    return keys


class IssuerTokens:
    """Checks tokens of one issuer, made for one audience."""

    def __init__(self, keys: IssuerKeys, *, issuer: str, audience: str, role_claim: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim

    async def authenticate(self, token: str) -> Principal | None:
        """The person that the token was made for; None if it isn't valid.

        Raises Problem 403 when it is, but names no role of Accord's; Unavailable when the keys can't be had.
        """
        return await self._person(token, lambda _: True)

    async def authenticate_entry(self, token: str, nonce: str) -> Principal | None:
        """As `authenticate`, for a token that must have been made for this one way in (OpenID Connect Core 3.1.3.7)."""
        return await self._person(token, lambda claims: claims.get("nonce") == nonce)

    async def _person(self, token: str, holds: Callable[[Mapping[str, Any]], bool]) -> Principal | None:
        claims = await self._claims(token) if len(token) <= TOKEN_CHARACTERS_MAX else None
        if claims is None or not holds(claims):
            return None
        role = _role(claims, self._role_claim)
        if role is None:
            detail = f"The token's claim {self._role_claim} must be one of {', '.join(ROLES)}."
            raise Problem(403, "Not allowed", detail)
        name = claims.get("email") or claims.get("preferred_username") or claims.get("name") or claims["sub"]
        return Principal(f"oidc:{claims['sub']}"[:255], str(name)[:255], role, ROLE_SCOPES[role])

    async def _claims(self, token: str) -> dict[str, Any] | None:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
                return None
            key = await self._keys.key(header["kid"])
            if key is None or key.algorithm_name != header["alg"]:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": list(_REQUIRED)},
            )
        except jwt.PyJWTError:
            return None
        return claims


def _role(claims: Mapping[str, Any], path: str) -> str | None:
    """The first role of Accord's in the claim, which may be a text or a list; dots reach inside."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return next((role for role in named if role in ROLES), None)
