"""What Kubernetes asks: `/healthz` (does this process still turn?) and `/readyz` (can it do its work now?)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# Whether this process is ready, and what a person who looks wants to know (stopped partitions, say).
Readiness = Callable[[], Awaitable[tuple[bool, Mapping[str, Any]]]]


def health_routes(readiness: Readiness) -> list[Route]:
    """The two routes; they need no key, so `readiness` says nothing that is secret or personal."""

    async def healthz(request: Request) -> Response:
        return _json(200, {"status": "ok"})

    async def readyz(request: Request) -> Response:
        is_ready, body = await readiness()
        return _json(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", **body})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _json(status: int, body: Mapping[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(to_json(body), status, headers, "application/json")
