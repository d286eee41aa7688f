"""An issuer of OpenID Connect tokens: a real HTTP server with keys that tests rotate."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "accord"
CLIENT = "accord-pages"
CLIENT_SECRET = "tell nobody"


@dataclass
class Issuer:
    """Signs tokens; `asked` counts the requests for its keys."""

    url: str = ""
    kid: str = "first"
    algorithm: str = "RS256"
    key: Any = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    asked: int = 0
    is_away: bool = False
    # What the person that signs in has; and the code that was handed out, with what was asked for.
    claims: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def rotate(self) -> None:
        self.kid, self.algorithm, self.key = "second", "ES256", ec.generate_private_key(ec.SECP256R1())

    def token(self, *, signed_with: Any = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())  # noqa: TID251 (PyJWT compares with the machine's clock)
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + 60, "role": "sales"}
        told |= {"email": "mary@accord.example", **claims}
        given = {name: value for name, value in told.items() if value is not None}
        key = self.key if signed_with is None else signed_with
        algorithm = (headers or {}).get("alg", self.algorithm)
        return jwt.encode(given, key, algorithm=algorithm, headers={"kid": self.kid, **(headers or {})})

    def jwk(self) -> dict[str, Any]:
        kind = jwt.algorithms.RSAAlgorithm if self.algorithm == "RS256" else jwt.algorithms.ECAlgorithm
        described: dict[str, Any] = json.loads(kind.to_jwk(self.key.public_key()))
        return {**described, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    async def describe(self, _: web.Request) -> web.Response:
        addresses = {"jwks_uri": "keys", "authorization_endpoint": "authorize", "token_endpoint": "token"}
        described = {name: f"{self.url}/{place}" for name, place in addresses.items()}
        return web.json_response({"issuer": self.url, **described})

    async def authorize(self, request: web.Request) -> web.Response:
        """Lets everybody in who was sent here properly (RFC 6749 4.1.1, RFC 7636 4.3)."""
        asked = dict(request.query)
        assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{back}")

    async def exchange(self, request: web.Request) -> web.Response:
        """RFC 6749 4.1.3: once, by this client, with what the challenge was made of."""
        if self.is_away:
            raise web.HTTPServiceUnavailable
        form = await request.post()
        asked = self.codes.pop(str(form["code"]), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        basic = base64.b64encode(f"{quote_plus(CLIENT)}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
        is_right = (
            asked is not None
            and form["grant_type"] == "authorization_code"
            and asked["redirect_uri"] == form["redirect_uri"]
            and asked["code_challenge"] == challenge.decode().rstrip("=")
            and request.headers.get("Authorization") == f"Basic {basic}"
        )
        if not is_right or asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        claims = {"aud": CLIENT, "nonce": asked["nonce"], **self.claims}
        return web.json_response({"id_token": self.token(**claims), "access_token": "opaque", "token_type": "Bearer"})

    async def tell_keys(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.is_away:
            raise web.HTTPServiceUnavailable
        return web.json_response({"keys": [self.jwk(), {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]})


@asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.describe)
    app.router.add_get("/keys", issuer.tell_keys)
    app.router.add_get("/authorize", issuer.authorize)
    app.router.add_post("/token", issuer.exchange)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
