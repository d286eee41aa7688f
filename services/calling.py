"""Calls of a running Accord's API, for the terminal. A refusal is an AccordError that says why and what is allowed."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiohttp

from shared.errors import AccordError

TIMEOUT_SECONDS: Final = 60.0
# The most that the API gives at once.
PAGE: Final = 500

Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Connection(NamedTuple):
    """Where Accord is, and the key to call it with."""

    url: str
    key: str


def call(connection: Connection, method: str, path: str, body: Any = None, query: Query = ()) -> Any:
    """The answer's JSON. Raises AccordError when it is refused or Accord can't be reached."""
    return asyncio.run(_call(connection, method, path, body, query))


def every(connection: Connection, path: str) -> list[dict[str, Any]]:
    """All items of a list, page after page. Raises as `call` does."""
    items: list[dict[str, Any]] = []
    query = {"limit": str(PAGE)}
    while True:
        page = call(connection, "GET", path, query=query)
        items += page["items"]
        if not page["next"]:
            return items
        query["cursor"] = page["next"]


async def _call(connection: Connection, method: str, path: str, body: Any, query: Query) -> Any:
    headers = {"Authorization": f"Bearer {connection.key}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    url = connection.url.rstrip("/") + path
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json=body, params=query or None, headers=headers) as response,
        ):
            answer = await response.json(content_type=None)
            if response.status >= 400:
                raise AccordError(_refusal(response.status, answer))
            return answer
    except aiohttp.InvalidURL:
        raise AccordError(f"{connection.url} is no address: give one like http://127.0.0.1:8080") from None
    except TimeoutError:
        raise AccordError(f"Accord at {connection.url} did not answer within {TIMEOUT_SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise AccordError(f"Accord can't be reached at {connection.url}: {why}") from None
    except ValueError:
        raise AccordError(f"what answers at {connection.url} is no Accord: its answer is no JSON") from None


def _refusal(status: int, problem: Any) -> str:
    """A problem document as people read it: each error on a line of its own."""
    if not isinstance(problem, dict) or "title" not in problem:
        return f"Accord answered {status} without saying why"
    errors = problem.get("errors")
    if not errors:
        return f"{problem['title']}: {problem.get('detail', '')}"
    lines = [f"  {error['path'] or 'the body'}: {error['message']}" for error in errors]
    return "\n".join([f"{problem['title']}:", *lines])
