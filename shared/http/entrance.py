"""The way in for people, at the issuer: the authorization code flow with PKCE.

Sources: RFC 6749 4.1 (the code), RFC 7636 (PKCE, S256), OpenID Connect Core 1.0 3.1 (nonce, ID token), RFC 9207 (iss).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import structlog
from pydantic import BaseModel

from shared.errors import Unavailable
from shared.http.auth import Principal
from shared.http.problems import Problem
from shared.http.tokens import Fetch, IssuerTokens, is_safe

_SECRET_BYTES: Final = 32
_SCOPE: Final = "openid email profile"

log = structlog.get_logger(component="entrance")

# Posts a form with an Authorization header (or none), and gives the JSON of the answer. Raises as Fetch does.
Post = Callable[[str, Mapping[str, str], str | None], Awaitable[Any]]


class Attempt(BaseModel):
    """One way in, from its beginning to its end. The browser keeps it in between, sealed."""

    state: str
    nonce: str
    verifier: str
    following: str


class Client(BaseModel):
    """Who Accord is to the issuer."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect_uri: str


class Entrance:
    """Sends people to the issuer, and takes what they come back with. `tokens` checks those made for this client."""

    def __init__(self, client: Client, tokens: IssuerTokens, fetch: Fetch, post: Post) -> None:
        self._client = client
        self._tokens = tokens
        self._fetch = fetch
        self._post = post

    async def begin(self, following: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what it must bring back. Raises Unavailable."""
        attempt = Attempt(
            state=secrets.token_urlsafe(_SECRET_BYTES),
            nonce=secrets.token_urlsafe(_SECRET_BYTES),
            verifier=secrets.token_urlsafe(_SECRET_BYTES),
            following=following,
        )
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": _SCOPE,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        address = await self._endpoint("authorization_endpoint")
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", attempt

    async def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> Principal:
        """Who came back. `answer` is the query of the address that the issuer sent the browser to.

        Raises Problem 401 when it isn't the answer to this attempt or the issuer refused, 403 without a role of
        Accord's; Unavailable when the issuer can't be asked.
        """
        is_ours = hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode())
        if not is_ours or answer.get("iss", self._client.issuer) != self._client.issuer:
            raise _refused("This is not the answer to your signing in. Begin again.")
        if "code" not in answer:
            raise _refused("The issuer did not let you in.")
        token = await self._token(answer["code"], attempt.verifier)
        person = await self._tokens.authenticate_entry(token, attempt.nonce)
        if person is None:
            raise _refused("The issuer's token is not valid for Accord.")
        return person

    async def _token(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "client_id": self._client.client_id,
            "code_verifier": verifier,
        }
        address = await self._endpoint("token_endpoint")
        try:
            given = await self._post(address, form, self._basic())
            return str(given["id_token"])
        except (OSError, TimeoutError) as error:
            log.warning("issuer_not_asked", issuer=self._client.issuer, reason=type(error).__name__)
            raise Unavailable from None
        except (ValueError, TypeError, KeyError) as error:
            log.warning("code_not_exchanged", issuer=self._client.issuer, reason=type(error).__name__)
            raise _refused("The issuer gave no token for this. Begin again.") from None

    def _basic(self) -> str | None:
        """RFC 6749 2.3.1: both parts are form-encoded first."""
        if self._client.client_secret is None:
            return None
        pair = f"{quote_plus(self._client.client_id)}:{quote_plus(self._client.client_secret)}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    async def _endpoint(self, name: str) -> str:
        try:
            found = await self._fetch(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found["issuer"] != self._client.issuer or not is_safe(found[name]):
                raise ValueError("the issuer describes another one, or an unsafe address")
        except (OSError, ValueError, TypeError, KeyError, AttributeError, TimeoutError) as error:
            log.warning("issuer_not_asked", issuer=self._client.issuer, reason=type(error).__name__)
            raise Unavailable from None
        return str(found[name])


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _refused(detail: str) -> Problem:
    return Problem(401, "Not signed in", detail)
