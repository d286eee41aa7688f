"""Who reads: a session is a sealed cookie (encrypted and authenticated) that neither scripts nor other sites can use.

It holds no key, only the SHA-256 of a key's secret, so a key that is revoked, expired or rotated ends its sessions too.
People whom an issuer vouched for keep the role they had then, until the session ends.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import pydantic
from starlette.requests import Request
from starlette.responses import Response

from shared.clock import Clock
from shared.http.auth import Authenticate, KeyRing, Principal, parse_key
from shared.http.problems import Problem
from shared.http.scopes import ROLE_SCOPES
from shared.secret_box import SecretBox, WrongSecretKey

COOKIE: Final = "accord_session"
HOURS: Final = 12
_TOKEN_BYTES: Final = 18
_OUR_OWN: Final = ("same-origin", "none")


class Session(pydantic.BaseModel):
    """What the cookie says. Of `secret_sha256` (of a key, in hex) and `role` (of a person) one is set."""

    key_id: str
    name: str
    csrf: str
    ends_at: datetime
    secret_sha256: str | None = None
    role: str | None = None


class Sessions:
    """Begins, reads and ends sessions."""

    def __init__(self, keys: KeyRing, box: SecretBox, clock: Clock, public_url: str) -> None:
        self._keys = keys
        self._box = box
        self._clock = clock
        self._is_https = public_url.startswith("https://")

    async def of_key(self, key: str) -> Session:
        """A session for the holder of this key. Raises Problem 401."""
        principal = await self._keys.authenticate_key(key)
        parsed = parse_key(key)
        assert parsed is not None
        return self._new(principal.key_id, principal.name, secret_sha256=parsed[1].hex())

    def of_person(self, person: Principal) -> Session:
        """A session for somebody whom the issuer vouched for just now."""
        return self._new(person.key_id, person.name, role=person.role)

    def of(self, request: Request) -> Session | None:
        """The session that this request belongs to, if it is whole and not over. Its key may be revoked by now."""
        sealed = request.cookies.get(COOKIE)
        if not sealed:
            return None
        try:
            session = Session.model_validate_json(self._box.open(sealed))
        except (WrongSecretKey, pydantic.ValidationError):
            return None
        return session if self._clock.now() < session.ends_at else None

    def caller(self, session: Session) -> Authenticate:
        """What calls of the api ask for who makes them. It raises Problem 401 when the key works no more."""
        if session.secret_sha256 is not None:
            return partial(self._keys.authenticate_digest, session.key_id, bytes.fromhex(session.secret_sha256))
        return partial(self._person, session)

    def begin(self, response: Response, session: Session) -> None:
        sealed = self._box.seal(session.model_dump_json(exclude_none=True))
        self.keep(response, COOKIE, sealed, HOURS * 3600)

    def end(self, response: Response) -> None:
        self.drop(response, COOKIE)

    def keep(self, response: Response, name: str, value: str, seconds: int) -> None:
        """A cookie that scripts can't read and other sites can't send."""
        response.set_cookie(
            name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._is_https
        )

    def drop(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", httponly=True, samesite="lax", secure=self._is_https)

    async def _person(self, session: Session) -> Principal:
        if session.role is None or self._clock.now() >= session.ends_at:
            raise Problem(401, "Signed out", "The session is over.")
        return Principal(session.key_id, session.name, session.role, ROLE_SCOPES[session.role])

    def _new(self, key_id: str, name: str, *, secret_sha256: str | None = None, role: str | None = None) -> Session:
        return Session(
            key_id=key_id,
            name=name,
            csrf=secrets.token_urlsafe(_TOKEN_BYTES),
            ends_at=self._clock.now() + timedelta(hours=HOURS),
            secret_sha256=secret_sha256,
            role=role,
        )


def require_own_site(request: Request) -> None:
    """Browsers say where a request comes from. Raises Problem 403 for one that another site made."""
    if request.headers.get("sec-fetch-site", "none") not in _OUR_OWN:
        raise Problem(403, "Not allowed", "Another site sent this form.")


def require_token(session: Session, given: str) -> None:
    """Raises Problem 403 for a form that wasn't made for this session."""
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise Problem(403, "Not allowed", "This form is from another session. Go back, reload the page and try again.")


def local_path(asked: str | None) -> str:
    """Where to go after signing in: a page of ours, whatever was asked for."""
    if not asked or not asked.startswith("/") or "\\" in asked or not asked.isprintable():
        return "/"
    parts = urlsplit(asked)
    return "/" if parts.scheme or parts.netloc or asked.startswith("//") else asked
