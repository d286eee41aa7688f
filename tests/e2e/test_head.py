"""HEAD wherever GET is: the same answer without its body, for health checks, link checkers and caches."""

import asyncio
import re
from urllib.parse import urlsplit

from patience import within
from running_accord import ADMIN_KEY, Caller, RunningAccord

OUTSIDE_THE_API = ("/sign-in", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics")
LEAD = "head@okapi.example"


async def test_head_is_answered_as_get_is_and_has_no_body(shared_accord: RunningAccord, caller: Caller) -> None:
    """One connection for all: a body would be taken for the beginning of the next answer."""
    await caller.post("/v1/events", {"type": "page.viewed", "lead": {"email": LEAD}})
    calls = (await caller.get("/openapi.json")).json["paths"]
    paths = [re.sub(r"\{\w+\}", LEAD, path) for path, methods in calls.items() if "get" in methods]
    assert len(paths) > 20
    address = urlsplit(shared_accord.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    for path in (*OUTSIDE_THE_API, "/v1/nothing", "/v1/leads?limit=0", *paths):
        writer.write(
            f"HEAD {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n".encode()
        )
        async with within(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if path == "/v1/stream":  # GET would not end
            assert head.startswith("http/1.1 200 ")
            assert "content-type: text/event-stream" in head
        else:
            assert head.startswith(f"http/1.1 {(await caller.get(path)).status} "), path
    writer.close()
    await writer.wait_closed()


async def test_head_stands_where_get_stands_in_allow_and_nowhere_in_the_document(caller: Caller) -> None:
    refused = await caller.delete("/v1/leads")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    refused = await caller.delete("/v1/events")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")
    calls = (await caller.get("/openapi.json")).json["paths"]
    assert not [path for path, methods in calls.items() if "head" in methods]
