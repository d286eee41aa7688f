"""Serves a house on its port until it is told to stop: what every kind of process of Accord does alike.

A stop goes the other way round than a start: no new requests, then the loops that publish, then the readers.
"""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from services.carriers import Loop
from services.composition import House
from services.http_app import build_app
from shared.errors import AccordError
from shared.http.edge import Edge

log = structlog.get_logger(component="serving")

SHUTDOWN_SECONDS = 10
# Longer than load balancers keep an idle connection (60 s is common), so that they never write to one just closed.
KEEP_ALIVE_SECONDS = 75
FILES_MAX = 20_000
# Fewer, larger collections: the objects of the hot paths die young, by reference counting (PROBES.md 4).
YOUNG_OBJECTS = 50_000


class CannotListen(AccordError):
    """The address is taken or isn't this machine's."""


async def serve(
    house: House,
    registry: CollectorRegistry,
    listener: socket.socket,
    *,
    stopped: asyncio.Event,
    on_ready: Callable[[], None],
    beside: Sequence[Loop] = (),
) -> None:
    """Runs until `stopped` is set. `on_ready` is called once everything works; `beside` runs meanwhile."""
    _raise_file_limit()
    edge = Edge(registry)
    server = _Server(build_app(house, registry, house.services), edge)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        watching: Loop = partial(edge.watch, lambda: server.server_state.connections)
        others = [group.create_task(_run(loop)) for loop in (watching, *beside)]
        housekeeping = asyncio.Event()
        running = group.create_task(house.run(housekeeping))
        await _until_ready(house, stopped)
        if not stopped.is_set():
            on_ready()
        await stopped.wait()
        log.info("stopping")
        for service in house.services:
            service.on_stopping()
        server.should_exit = True
        await serving
        housekeeping.set()
        await running
        for other in others:
            other.cancel()


def _raise_file_limit() -> None:
    """As many connections as the edge allows need as many files; shells often allow 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stop_on_signals() -> asyncio.Event:
    """Set at SIGINT or SIGTERM. Asked for before anything is begun that a signal must not cut short."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def url_of(listener: socket.socket) -> str:
    """Where it listens, as a client writes it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket on this address. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host} port {port} ({error.strerror}); --host and --port name another"
        ) from None
    with listener:
        yield listener


async def _run(loop: Loop) -> None:
    await loop()


async def _until_ready(house: House, stopped: asyncio.Event) -> None:
    while not house.readiness()[0] and not stopped.is_set():  # noqa: ASYNC110 (what is ready sets no event)
        await asyncio.sleep(0.01)


class _Server(uvicorn.Server):
    """uvicorn, stopped by this process and not by signals of its own."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                http=edge.protocol,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
