"""A receiver of webhooks that costs as little as can be: a process of its own, answering by the path it is called at.

`/good` 204, `/fails` 500, `/hangs` never; `/report` tells how long after `"at"` in its body each good one came, and
forgets. Prints its port.
"""

import asyncio
import json
import re
import sys
import time

import uvloop

_AT = re.compile(rb'"at":\s*([0-9.]+)')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
_FAILS = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"

latencies: list[float] = []


class Receiver(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if not found or len(rest) < size:
                return
            self._received = rest[size:]
            self._answer(head, rest[:size])

    def _answer(self, head: bytes, body: bytes) -> None:
        assert self._transport is not None
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/good"):
            if b"beside" not in path and (at := _AT.search(body)):
                latencies.append(time.monotonic() - float(at[1]))
            self._transport.write(_GOOD)
        elif path.startswith(b"/fails"):
            self._transport.write(_FAILS)
        elif path.startswith(b"/report"):
            report = json.dumps(latencies).encode()
            latencies.clear()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(report), report))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
