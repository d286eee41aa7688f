"""Asks the issuer of tokens over HTTP, when one is set."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from pydantic_core import from_json

from shared.http.entrance import Client, Entrance
from shared.http.tokens import IssuerKeys, IssuerTokens, OidcSettings

CALLBACK: Final = "/sign-in/callback"
_SECONDS: Final = 5
_BYTES_MAX: Final = 262_144


@dataclass(frozen=True)
class Issuer:
    """Checks tokens; `entrance` is there when people can sign in at it."""

    tokens: IssuerTokens
    entrance: Entrance | None


async def open_issuer(settings: OidcSettings, public_url: str, stack: AsyncExitStack) -> Issuer | None:
    """None where no issuer is set; `stack` closes the connections again."""
    if settings.issuer is None or settings.audience is None:
        return None
    line = _Line(
        await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=True)
        )
    )
    keys = IssuerKeys(settings.issuer, line.fetch, asyncio.get_running_loop().time)

    def made_for(audience: str) -> IssuerTokens:
        return IssuerTokens(keys, issuer=str(settings.issuer), audience=audience, role_claim=settings.role_claim)

    tokens = made_for(settings.audience)
    if settings.client_id is None:
        return Issuer(tokens, None)
    client = Client(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value() if settings.client_secret else None,
        redirect_uri=public_url.rstrip("/") + CALLBACK,
    )
    return Issuer(tokens, Entrance(client, made_for(settings.client_id), line.fetch, line.post))


class _Line:
    """Requests to the issuer. An OSError: it can't be asked just now; a ValueError: its answer is of no use."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def fetch(self, url: str) -> Any:
        return await self._json("GET", url)

    async def post(self, url: str, form: Mapping[str, str], authorization: str | None) -> Any:
        headers = {"Accept": "application/json"} | ({"Authorization": authorization} if authorization else {})
        return await self._json("POST", url, data=dict(form), headers=headers)

    async def _json(self, method: str, url: str, **options: Any) -> Any:
        try:
            async with self._session.request(
                method, url, allow_redirects=False, raise_for_status=True, **options
            ) as answer:
                body = await _bounded(answer.content)
        except aiohttp.ClientResponseError as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ValueError(f"the issuer answered {error.status}") from error
            raise OSError(f"the issuer answered {error.status}") from error
        except aiohttp.ClientError as error:
            raise OSError(type(error).__name__) from error
        return from_json(body)


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """One read gives what has come so far, not all of it. Raises ValueError when it is too much."""
    parts, size = [], 0
    async for part in content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _BYTES_MAX:
            raise ValueError("the issuer's answer is too long")
    return b"".join(parts)
