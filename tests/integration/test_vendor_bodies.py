"""Bodies of every vendor with anything in any place, signed as the vendor signs, over HTTP and a real Postgres: never a
5xx, and what is kept of them can be listed and tried again."""

import json
import random
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, Final

import pytest
from api_builders import PUBLIC_URL, Caller, running_line
from asgi_client import Answer, ask
from builders import eventually
from hook_builders import Sender, a_source
from vendor_goldens import body_of, fixtures
from vendor_signers import SIGNERS

from services.ingest.vendors.registry import VENDORS
from shared.clock import SystemClock

TRIES: Final = 4  # of each fixture
NASTY: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    10**40,
    1e308,
    "",
    " ",
    "\x00",
    "\ud800",
    "x" * 40_000,
    [],
    {},
    [[[]]],
    {"a": {"b": None}},
    "9999-12-31T23:59:59Z",
    "sales.won",
    "ada@example.com",
)


BITS: Final = (b"", b"\x00", b"\xff", b"%00", b"<", b"&")


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        yield one


@pytest.mark.parametrize("kind", VENDORS)
async def test_no_body_of_a_vendor_yields_a_5xx_and_what_is_kept_can_be_tried_again(caller: Caller, kind: str) -> None:
    chance = random.Random(kind)  # the same bodies in every run
    senders = []
    for path in (path for path in fixtures() if path.parent.name == kind):
        fixture = json.loads(path.read_text())
        team = fixture.get("team", "marketing")
        sender = await a_source(caller, kind=kind, team=team, settings=fixture.get("settings", {}))
        senders.append(sender)
        for body in bodies(fixture, chance):
            answer = await post(sender, kind, body, fixture.get("headers", {}))
            assert answer.status in (200, 400, 413, 415, 422), (path.name, body[:500], answer)
    for sender in senders:
        assert (await caller.post(f"/v1/sources/{sender.id}/replays", {})).status == 202
    for sender in senders:
        await eventually(partial(were_tried_again, sender))


async def were_tried_again(sender: Sender) -> bool:
    return all(event["replayed_at"] for event in await sender.events() if event["is_kept"])


def bodies(fixture: dict[str, Any], chance: random.Random) -> Iterator[bytes]:
    """The fixture's body with something else in some places, or with some bytes of it gone."""
    whole = fixture["body"]
    for _ in range(TRIES):
        if isinstance(whole, str):
            raw = body_of(fixture)
            at = chance.randrange(len(raw))
            yield (
                raw[:at] + chance.choice([b"", b"\x00", b"\xff", b"%00", b"<", b"&"]) + raw[at + chance.randrange(9) :]
            )
            continue
        changed = whole
        for _ in range(chance.randint(1, 3)):
            changed = put(changed, chance.choice(list(places(changed))), chance.choice(NASTY))
        yield json.dumps(changed).encode()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


async def post(sender: Sender, kind: str, body: bytes, headers: dict[str, str]) -> Answer:
    """To its hook; a call of Segment's Tracking API goes there as well, where the secret is as good as a signature."""
    path = f"/v1/hooks/{sender.id}"
    try:
        proof = SIGNERS[kind](body, sender.secret, PUBLIC_URL + path, SystemClock().now())
    except UnicodeDecodeError:  # Standard Webhooks' library signs text only
        proof = SIGNERS["marketo"](body, sender.secret, PUBLIC_URL + path, SystemClock().now())
    sent = {name.lower(): value for name, value in {**proof.headers, **headers}.items()}
    return await ask(sender.caller.app, proof.url.removeprefix(PUBLIC_URL), method="POST", headers=sent, chunks=[body])
