"""Exports spans with OpenTelemetry's SDK over OTLP/HTTP; imported only where the environment asks for it (spans.py).

The SDK without instrumentation libraries, nothing registered globally and no ambient context: what belongs to which
trace is always said.
"""

import asyncio
import threading
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from shared.clock import new_id
from shared.telemetry.spans import Attributes, Kind

CLOSE_SECONDS_MAX: Final = 3.0

_KINDS: Final = {
    "server": trace.SpanKind.SERVER,
    "consumer": trace.SpanKind.CONSUMER,
    "client": trace.SpanKind.CLIENT,
    "internal": trace.SpanKind.INTERNAL,
}


class OtelSpan:
    """Implements `Span`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def end(self, error: str | None = None) -> None:
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class OtelSpans:
    """Implements `Spans`. What goes where, how much is sampled and how long the queue is, OTEL_* variables say."""

    def __init__(self, service_name: str, exporter: SpanExporter | None = None) -> None:
        said = Resource.create(
            {"service.name": service_name, "service.version": version("accord"), "service.instance.id": str(new_id())}
        )
        # The environment has the last word.
        self._provider = TracerProvider(resource=said.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._exporter = exporter or OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("accord", version("accord"))

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        *,
        parent: str | None = None,
        links: Iterable[str] = (),
    ) -> OtelSpan:
        context = Context()
        if parent is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(_context_of(parent)), context)
        linked = [trace.Link(_context_of(link)) for link in links]
        return OtelSpan(self._tracer.start_span(name, context, kind=_KINDS[kind], attributes=attributes, links=linked))

    async def close(self) -> None:
        """Sends what is left, for a moment: a collector that is away must not hold up a stop."""
        # A thread that nobody waits for; the executor's threads would be joined at the end.
        closing = threading.Thread(target=self._provider.shutdown, name="close-spans", daemon=True)
        closing.start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLOSE_SECONDS_MAX
        while closing.is_alive() and loop.time() < deadline:  # noqa: ASYNC110 (a thread sets no event)
            await asyncio.sleep(0.01)
        if closing.is_alive():
            self._exporter.shutdown()  # ends its waiting for another try


def _context_of(traceparent: str) -> trace.SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    return trace.SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=trace.TraceFlags(int(flags, 16))
    )
