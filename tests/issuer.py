"""An issuer of OpenID Connect tokens: a real HTTP server with keys that tests rotate."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "accord"


@dataclass
class Issuer:
    """Signs tokens; `asked` counts the requests for its keys."""

    url: str = ""
    kid: str = "first"
    algorithm: str = "RS256"
    key: Any = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    asked: int = 0
    is_away: bool = False

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
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

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
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
