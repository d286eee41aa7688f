"""Spans, as those see them who make them: a port, so that only shared/telemetry/otel.py knows OpenTelemetry.

Whoever composes a process asks `open_spans` once. Where spans aren't exported the answer is None: then nothing is
wrapped, nothing imported, and the line pays nothing.
"""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Literal, Protocol

import structlog
from pydantic_settings import BaseSettings, SettingsConfigDict

log = structlog.get_logger(component="spans")

Attribute = str | int
Attributes = Mapping[str, Attribute]
Kind = Literal["server", "consumer", "client", "internal"]


class Span(Protocol):
    """Something that is under way. It is exported once it was ended; one that is never ended leaves nothing behind.

    Attributes hold nothing personal: no lead, no address of a request, no message of an exception.
    """

    @property
    def traceparent(self) -> str:
        """What follows from this span continues this."""

    def rename(self, name: str) -> None: ...

    def set(self, attributes: Attributes) -> None: ...

    def end(self, error: str | None = None) -> None:
        """`error` names what went wrong, from a closed set."""


class Spans(Protocol):
    """Where spans go."""

    def begin(
        self,
        name: str,
        kind: Kind,
        attributes: Attributes,
        *,
        parent: str | None = None,
        links: Iterable[str] = (),
    ) -> Span:
        """`parent` and `links` are valid `traceparent`s. Without a parent a new trace begins."""


class OtelSettings(BaseSettings):
    """OpenTelemetry's own variables, as far as they say whether there is anything to export; its SDK reads the rest."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", env_ignore_empty=True, extra="ignore", frozen=True)

    exporter_otlp_endpoint: str | None = None
    exporter_otlp_traces_endpoint: str | None = None
    exporter_otlp_protocol: str = "http/protobuf"
    exporter_otlp_traces_protocol: str | None = None
    traces_exporter: str = "otlp"
    sdk_disabled: str = "false"

    @property
    def exports_spans(self) -> bool:
        has_endpoint = self.exporter_otlp_traces_endpoint or self.exporter_otlp_endpoint
        return bool(has_endpoint) and self.traces_exporter == "otlp" and self.sdk_disabled.lower() != "true"


def open_spans(service_name: str, stack: AsyncExitStack) -> Spans | None:
    """None unless the environment names a collector. What can't be exported stops nothing: many platforms give these
    variables to every process they start."""
    settings = OtelSettings()
    if not settings.exports_spans:
        return None
    protocol = settings.exporter_otlp_traces_protocol or settings.exporter_otlp_protocol
    if protocol != "http/protobuf":
        log.warning("spans_not_exported", why=f"the protocol {protocol} is not spoken here, http/protobuf is")
        return None
    try:
        from shared.telemetry.otel import OtelSpans
    except ImportError:
        log.warning("spans_not_exported", why="OpenTelemetry is not installed: pip install 'accord[otel]'")
        return None
    spans = OtelSpans(service_name)
    stack.push_async_callback(spans.close)
    log.info("spans_exported", service_name=service_name)
    return spans
