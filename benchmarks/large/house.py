"""A real `accord up` on the folder of the data set, and what people have configured in it."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.child import Child
from benchmarks.house import free_port, wait_until_ready
from benchmarks.large.agreement import accord_text
from benchmarks.large.line import CRM
from benchmarks.large.prospects import SOURCES
from benchmarks.large.rows import Subscribed
from benchmarks.load import Target
from services.calling import Connection, call

_HOST: Final = "127.0.0.1"
ACCORD_FILE: Final = "accord.json"
_SUBSCRIPTIONS: Final = {
    "sales tool": ("accord.lead.qualified", "accord.lead.assigned"),
    "broken promises": ("accord.clock.breached", "accord.clock.escalated"),
}


@contextmanager
def running(folder: Path, log: Path, *more: str) -> Iterator[tuple[Target, int]]:
    """All services of this folder, with a key of role admin; and the process's id."""
    target = Target(_HOST, free_port(), f"acc_bench_{secrets.token_urlsafe(24)}")
    command = [sys.executable, "-m", "services.cli", "up", "--data", str(folder), "--port", str(target.port), *more]
    with Child(command, log, {"ACCORD_ADMIN_KEY": target.key}) as accord:
        wait_until_ready(accord, target)
        yield target, accord.pid


def configure(folder: Path, log: Path) -> list[Subscribed]:
    """The first start: an accord, sources, subscriptions that are paused (nobody listens), an owner who is away."""
    accord = folder / ACCORD_FILE
    accord.write_text(accord_text())
    with running(folder, log, "--accord", str(accord)) as (target, _):
        connection = Connection(f"http://{target.host}:{target.port}", target.key)
        for name in SOURCES:
            call(connection, "POST", "/v1/sources", {"name": name, "kind": "generic", "team": "marketing"})
        call(connection, "POST", "/v1/sources", {"name": CRM, "kind": "generic", "team": "sales"})
        call(connection, "PATCH", "/v1/owners/enterprise.02@sales.example", {"paused": True})
        return [_subscribe(connection, name, types) for name, types in _SUBSCRIPTIONS.items()]


def _subscribe(connection: Connection, name: str, types: tuple[str, ...]) -> Subscribed:
    url = f"https://{name.replace(' ', '-')}.example/hook"
    made: dict[str, Any] = call(
        connection, "POST", "/v1/subscriptions", {"name": name, "url": url, "types": list(types)}
    )
    call(connection, "PATCH", f"/v1/subscriptions/{made['id']}", {"state": "paused"})
    return Subscribed(made["id"], types)
