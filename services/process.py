"""`accord run SERVICE`: one service in a process of its own, as many processes of each as one likes, on one database.

They share the partitions (docs/adr/0009). Each serves its routes, health and metrics on its own port.
"""

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import uvloop

from services import composition
from services.carriers import Site
from services.sealing import box_of, check_key_of
from services.serving import listening, serve, stop_on_signals, url_of
from shared.db.migrate import require_migrated
from shared.errors import AccordError
from shared.settings import ProcessSettings, WebAddress
from shared.telemetry.metrics import create_registry


class NoDatabase(AccordError):
    """Set ACCORD_DATABASE_URL: processes that run apart share one Postgres; `accord up` brings one of its own."""


class ApartSettings(ProcessSettings):
    """What `accord run` reads beside what every process reads."""

    public_url: WebAddress | None = None


def run(name: str, listener_at: tuple[str, int], settings: ApartSettings, announce: Callable[[str], None]) -> None:
    """Runs one service until SIGINT or SIGTERM. `announce` is told its address once it is ready.

    Raises AccordError or OSError when it can't start.
    """
    if settings.database_url is None:
        raise NoDatabase
    with listening(*listener_at) as listener:
        uvloop.run(_run(name, settings.database_url.get_secret_value(), settings, listener, announce))


async def _run(
    name: str, database_url: str, settings: ApartSettings, listener: socket.socket, announce: Callable[[str], None]
) -> None:
    stopped = stop_on_signals()
    await require_migrated(database_url)
    box = box_of(settings.secret_key)
    if box is not None:
        await check_key_of(database_url, box)
    url = url_of(listener)
    registry = create_registry()
    async with AsyncExitStack() as stack:
        public_url = settings.public_url or url
        site = Site(database_url, public_url, settings.database_pool_size, is_shared=True, secrets=box)
        house = await composition.build((name,), site, registry=registry, stack=stack)
        await serve(house, registry, listener, stopped=stopped, on_ready=lambda: announce(url))
