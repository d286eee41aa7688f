"""Asks the issuer of tokens over HTTP, when one is set."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
from pydantic_core import from_json

from shared.http.tokens import IssuerKeys, IssuerTokens, OidcSettings

_SECONDS: Final = 5
_BYTES_MAX: Final = 262_144


async def open_tokens(settings: OidcSettings, stack: AsyncExitStack) -> IssuerTokens | None:
    """What checks tokens, None without an issuer; `stack` closes the connections again."""
    if settings.issuer is None or settings.audience is None:
        return None
    session = await stack.enter_async_context(
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), trust_env=True)
    )

    async def fetch(url: str) -> Any:
        try:
            async with session.get(url, allow_redirects=False, raise_for_status=True) as answer:
                body = await answer.content.read(_BYTES_MAX)
        except aiohttp.ClientError as error:
            raise OSError(type(error).__name__) from error
        return from_json(body)

    keys = IssuerKeys(settings.issuer, fetch, asyncio.get_running_loop().time)
    return IssuerTokens(keys, issuer=settings.issuer, audience=settings.audience, role_claim=settings.role_claim)
