"""Spans of requests, and when spans are exported at all."""

import subprocess
import sys
import threading
from contextlib import AsyncExitStack

import pytest
from asgi_client import Answer, ask
from builders import eventually
from fastapi import FastAPI
from fastapi.routing import APIRoute
from patience import within
from spans import TRACE, TRACE_ID, LocalSpans, SeenSpan, collecting
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from shared.http.direct import Direct
from shared.http.spans import ServerSpans
from shared.http.trace import Traceparent, traceparent_of
from shared.telemetry.spans import open_spans

IMPORTS = """
import sys, services.composition, services.http_app
from contextlib import AsyncExitStack
from shared.telemetry.spans import open_spans
assert open_spans("accord", AsyncExitStack()) is None
print(*(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "requests"))))
"""
VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_TRACES_EXPORTER",
    "OTEL_SDK_DISABLED",
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


async def _answer(request: Request) -> Response:
    if (await request.body()) == b"fail":
        raise RuntimeError("ada@maker.example")
    return PlainTextResponse(traceparent_of(request.scope) or "none")


async def _posted(path: str, body: bytes = b"", method: str = "POST", **headers: str) -> tuple[Answer, list[SeenSpan]]:
    """Through what services/http_app.py builds around its routes."""
    local = LocalSpans()
    direct = Route("/v1/busy", _answer, methods=["POST"])
    acting = APIRoute("/v1/leads/{lead}/actions", _answer, methods=["POST", "GET"])
    app = FastAPI(routes=[direct, acting])
    app.add_middleware(Traceparent)
    traced = ServerSpans(Direct(app, [direct]), local.spans, {"/v1/busy"})
    answer = await ask(traced, path, method=method, headers=headers, chunks=[body])
    return answer, await local.ended()


@pytest.mark.parametrize(
    ("path", "route"),
    [("/v1/busy", "/v1/busy"), ("/v1/leads/ada@maker.example/actions", "/v1/leads/{lead}/actions")],
)
async def test_a_post_continues_the_callers_trace_and_what_follows_continues_its_span(path: str, route: str) -> None:
    answer, (span,) = await _posted(path, traceparent=TRACE)
    assert (span.name, span.kind, span.trace_id, span.parent_id) == (
        f"POST {route}",
        "SERVER",
        TRACE_ID,
        "00f067aa0ba902b7",
    )
    assert answer.body.decode() == answer.headers["traceparent"] == f"00-{TRACE_ID}-{span.span_id}-01"
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": route,
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert "maker" not in repr(span)


async def test_a_post_without_a_trace_begins_one() -> None:
    answer, (span,) = await _posted("/v1/busy", traceparent="junk")
    assert (answer.body.decode(), span.parent_id) == (f"00-{span.trace_id}-{span.span_id}-03", "")


async def test_only_posts_have_spans_and_one_that_nobody_answers_names_no_path() -> None:
    answer, spans = await _posted("/v1/leads/ada@maker.example/actions", method="GET", traceparent=TRACE)
    assert (answer.body.decode(), spans) == (TRACE, [])
    _, (missed,) = await _posted("/v1/ada@maker.example")
    assert (missed.name, missed.attributes["http.response.status_code"], missed.is_error) == ("POST", 404, False)
    assert "maker" not in repr(missed)


async def test_a_failure_of_ours_is_an_error_without_its_message() -> None:
    with capture_logs():
        _, (span,) = await _posted("/v1/busy", b"fail")
    assert (span.is_error, span.attributes["error.type"]) == (True, "500")
    assert "maker" not in repr(span)


def test_without_a_collector_nothing_of_opentelemetrys_sdk_is_even_imported() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_the_environment_forbids_or_cannot_have_here_is_not_exported(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **environment}.items():
        monkeypatch.setenv(name, value)
    with capture_logs() as logs:
        assert open_spans("accord", AsyncExitStack()) is None
    assert [line["action" if "action" in line else "event"] for line in logs] == (
        ["spans_not_exported"] if "grpc" in environment.values() else []
    )


def test_without_the_extra_a_warning_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "shared.telemetry.otel", None)
    with capture_logs() as logs:
        assert open_spans("accord", AsyncExitStack()) is None
    assert "accord[otel]" in logs[0]["why"]


async def test_the_environment_names_the_service_and_what_is_left_is_sent_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        for number, name in enumerate(("accord-scoring", "scorer")):
            async with AsyncExitStack() as stack:
                spans = open_spans("accord-scoring", stack)
                assert spans is not None
                spans.begin("first", "internal", {}).end()
            assert [span.service for span in collector.spans] == ["accord-scoring", name][: number + 1]
            monkeypatch.setenv("OTEL_SERVICE_NAME", "scorer")


async def test_a_collector_that_is_away_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("shared.telemetry.otel.CLOSE_SECONDS_MAX", 0.2)
    stack, before = AsyncExitStack(), set(threading.enumerate())
    spans = open_spans("accord", stack)
    assert spans is not None
    spans.begin("lost", "internal", {}).end()
    async with within(2):
        await stack.aclose()
    await eventually(lambda: set(threading.enumerate()) == before)
