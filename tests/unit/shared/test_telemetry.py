"""Logs, metrics, health and trace context, as an operator meets them."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import structlog
from asgi_client import ask
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.errors import Unavailable
from shared.http.health import health_routes
from shared.http.trace import Traceparent
from shared.telemetry.logging import configure_logging
from shared.telemetry.metrics import create_registry, metrics_route
from shared.telemetry.tracing import valid_traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as text; the settings of before come back afterwards."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure_logging("info", "json", stream=stream)
    yield stream
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def _lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_line_is_an_action_and_fields(log: io.StringIO) -> None:
    structlog.get_logger(component="sla").info("clock_breached", clock_id="7")
    (line,) = _lines(log)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"action": "clock_breached", "level": "info", "component": "sla", "clock_id": "7"}


def test_a_fault_that_lasts_does_not_fill_the_log(log: io.StringIO) -> None:
    for failures in range(100):
        structlog.get_logger().warning("step_retried", service="scoring", failures=failures)
    assert len(_lines(log)) < 10


def test_lines_of_libraries_come_the_same_way_and_only_their_warnings(log: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.access").warning("GET /v1/leads/ada@example.com")
    logging.getLogger("aiohttp.client").warning("Unclosed %s", "session")
    (line,) = _lines(log)
    assert (line["action"], line["logger"], line["level"]) == ("Unclosed session", "aiohttp.client", "warning")


@pytest.mark.parametrize(
    ("error", "message"), [(KeyError("ada@example.com"), None), (Unavailable("log full"), "log full")]
)
def test_an_exception_is_named_and_placed_and_its_message_kept_back_unless_it_is_ours(
    log: io.StringIO, error: Exception, message: str | None
) -> None:
    try:
        raise error
    except type(error):
        structlog.get_logger().exception("step_failed")
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    for line in _lines(log):
        assert line["error"] == type(error).__qualname__
        assert "test_telemetry.py" in line["where"]
        assert line.get("message") == message
    assert "ada@" not in log.getvalue()


async def test_metrics_are_served_with_those_of_the_process() -> None:
    registry = create_registry()
    Counter("accord_test_things_total", "Things.", registry=registry).inc()
    answer = await ask(Starlette(routes=[metrics_route(registry)]), "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert b"accord_test_things_total 1.0" in answer.body
    assert b"process_resident_memory_bytes" in answer.body
    assert b"python_gc_collections_total" in answer.body
    assert b"_created" not in answer.body


@pytest.mark.parametrize(("is_ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_asked_and_health_is_not(is_ready: bool, status: int) -> None:
    async def readiness() -> tuple[bool, Mapping[str, Any]]:
        return is_ready, {"stopped": ["scoring/3"]}

    app = Starlette(routes=health_routes(readiness))
    answer = await ask(app, "/readyz")
    assert (answer.status, answer.json["stopped"]) == (status, ["scoring/3"])
    assert (await ask(app, "/healthz")).status == 200


@pytest.mark.parametrize(
    ("sent", "valid"),
    [
        (TRACE, True),
        ("cc" + TRACE[2:] + "-later", True),
        (TRACE + "-later", False),
        ("ff" + TRACE[2:], False),
        (TRACE.upper(), False),
        ("00-" + "0" * 32 + TRACE[35:], False),
        (TRACE[:36] + "0" * 16 + "-01", False),
        ("", False),
        (None, False),
    ],
)
def test_a_traceparent_is_honoured_only_if_it_is_valid(sent: str | None, valid: bool) -> None:
    assert valid_traceparent(sent) == (sent if valid else None)


async def test_a_traceparent_comes_back_and_is_on_the_log_lines_of_its_request(log: io.StringIO) -> None:
    async def endpoint(request: Request) -> Response:
        structlog.get_logger().info("asked")
        return Response()

    app = Traceparent(Starlette(routes=[Route("/", endpoint)]))
    assert (await ask(app, "/", headers={"traceparent": TRACE})).headers["traceparent"] == TRACE
    assert "traceparent" not in (await ask(app, "/", headers={"traceparent": "junk"})).headers
    assert [line.get("trace_id") for line in _lines(log)] == [TRACE.split("-")[1], None]
