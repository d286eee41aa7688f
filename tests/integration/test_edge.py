"""What a connection may do before any request of it reaches our code, against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from builders import eventually
from patience import within
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from services.serving import listening
from shared.http import edge as module
from shared.http.edge import Edge


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


class Served:
    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        self.port = port
        self._registry = registry

    def reached(self, limit: str) -> float:
        return self._registry.get_sample_value("accord_http_limit_reached_total", {"limit": limit}) or 0.0

    async def sent(self, *parts: bytes) -> bytes:
        """What comes back until the server ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)
            async with within(15):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as one:
        yield one


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    registry = CollectorRegistry()
    edge = Edge(registry)
    config = uvicorn.Config(app, log_config=None, lifespan="off", http=edge.protocol)
    server = uvicorn.Server(config)
    with listening("127.0.0.1", 0) as listener:
        # Not `serve`, which takes the process's signals.
        running = asyncio.create_task(server._serve(sockets=[listener]))
        watching = asyncio.create_task(edge.watch(lambda: server.server_state.connections))
        await eventually(lambda: server.started, within=10)
        try:
            yield Served(listener.getsockname()[1], registry)
        finally:
            watching.cancel()
            server.should_exit = True
            await running


async def test_an_ordinary_request_passes_and_so_does_a_second_one_on_its_connection(served: Served) -> None:
    one = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n%s\r\nabc"
    answer = await served.sent(one % b"", one % b"connection: close\r\n")
    assert answer.count(b"200 OK") == 2


async def test_a_body_that_comes_with_its_head_may_be_larger_than_a_head(served: Served) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 200000\r\n\r\n"
    assert (await served.sent(head + b"x" * 200_000)).endswith(b"200000")


@pytest.mark.parametrize("wish", [b"Upgrade: h2c", b"upgrade:websocket", b"UpGrade : h2c"])
async def test_who_wishes_to_upgrade_keeps_the_body(served: Served, wish: bytes) -> None:
    """As Java's client does with its first request over plain HTTP."""
    head = (
        b"POST / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings, close\r\n"
        + wish
        + b"\r\nHTTP2-Settings: AA"
    )
    body = b"\r\nupgrade: this is what was said"
    end = b"\r\ncontent-length: %d\r\n\r\n" % len(body)
    for parts in ((head + end + body,), (head + end, body)):
        assert (await served.sent(*parts)).endswith(b"\r\n\r\n%d" % len(body))


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"GET /" + b"a" * 50_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
    ids=["one large header", "many headers", "a long address"],
)
@pytest.mark.parametrize("before", [(), (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",)], ids=["first", "second"])
async def test_a_large_head_is_refused(served: Served, head: bytes, before: tuple[bytes, ...]) -> None:
    answer = await served.sent(*before, head)
    assert not answer or answer.count(b"HTTP/1.1 200 ") == len(before)
    assert not answer or answer.count(b"HTTP/1.1 431 ") == 1
    assert served.reached("head_bytes") == 1


async def test_a_head_that_never_ends_is_refused_before_it_fills_the_memory(served: Served) -> None:
    await served.sent(b"GET / HTTP/1.1\r\nx: ", *[b"y" * 10_000] * 20)
    assert served.reached("head_bytes") == 1


CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("line", [b"y" * 10_000, b"\r\nx: y" * 100, b"\r\nx:" + b"y" * 10_000])
async def test_a_trailer_that_never_ends_is_refused_too(served: Served, line: bytes) -> None:
    await served.sent(CHUNKED + b"1\r\na\r\n0\r\nx: y", *[line] * 20)
    assert served.reached("head_bytes") == 1


@pytest.mark.parametrize("chunk", [b"a" * 50_000, b"a"], ids=["large chunks", "small chunks"])
async def test_a_body_in_chunks_is_no_head_however_it_comes(served: Served, chunk: bytes) -> None:
    piece = (b"%x\r\n%b\r\n" % (len(chunk), chunk)) * (200_000 // (len(chunk) + 10))
    answer = await served.sent(CHUNKED, piece, piece, b"0\r\nx: y\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n%d" % (2 * piece.count(b"a" * len(chunk)) * len(chunk)))
    assert served.reached("head_bytes") == 0


async def test_a_head_that_follows_a_large_body_at_once_is_no_part_of_it(served: Served) -> None:
    one = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000\r\n%s\r\n" + b"x" * 50_000
    answer = await served.sent(one % b"" + one % b"connection: close\r\n")
    assert answer.count(b"200 OK") == 2


async def test_who_sends_a_head_drop_by_drop_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS_MAX", 0.2)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    assert (await served.sent(b"GET / HT")).startswith(b"HTTP/1.1 408 ")
    assert served.reached("head_seconds") == 1


async def test_who_connects_and_says_nothing_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_SECONDS_MAX", 0.2)
    await served.sent(b"")
    assert served.reached("head_seconds") == 1


async def test_who_sends_a_body_drop_by_drop_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_GRACE_SECONDS", 0.2)
    answer = await served.sent(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n", b"a", b"b")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert served.reached("body_seconds") == 1


async def test_past_so_many_connections_the_next_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 1)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        # It was answered, so it has its place.
        async with within(15):
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        answer = await served.sent()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
        assert served.reached("connections") == 1
        writer.close()


class Wire(asyncio.Transport):
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...


async def test_an_answer_is_one_write() -> None:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    protocol = Edge(CollectorRegistry()).protocol(config, ServerState(), {})
    wire = Wire()
    protocol.connection_made(wire)
    protocol.data_received(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
    await eventually(lambda: b"".join(wire.written).endswith(b"\r\n\r\n3"), within=5)
    assert len(wire.written) == 1
    protocol.connection_lost(None)
