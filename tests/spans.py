"""Spans as a collector gets them: over OTLP/HTTP from another process, or from this one without a socket."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry.otel import OtelSpans

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


class SeenSpan(NamedTuple):
    """One span as it was exported; ids as they stand in a `traceparent`."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: Sequence[str]
    attributes: Mapping[str, Any]
    is_error: bool
    service: str
    seconds: float


def read_spans(exported: bytes) -> list[SeenSpan]:
    """Decodes the body of one export."""
    request = ExportTraceServiceRequest.FromString(exported)
    return [
        _seen(span, resource_spans.resource.attributes)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _seen(span: ProtoSpan, resource: Any) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=[link.trace_id.hex() for link in span.links],
        attributes=_read_attributes(span.attributes),
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        service=_read_attributes(resource)["service.name"],
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _read_attributes(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class LocalSpans:
    """Real `Spans` without a collector: `ended` gives what was exported, and ends the export."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans = OtelSpans("test", self._exporter)

    async def ended(self) -> list[SeenSpan]:
        await self.spans.close()
        return read_spans(encode_spans(self._exporter.get_finished_spans()).SerializeToString())


@dataclass
class Collector:
    """What an OTLP receiver has got so far."""

    url: str = ""
    spans: list[SeenSpan] = field(default_factory=list)

    def named(self, name: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.name == name]

    async def receive(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        self.spans += read_spans(await request.read())
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """An OTLP/HTTP receiver on a free port."""
    collector, application = Collector(), web.Application()
    application.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()
