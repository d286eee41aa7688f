"""What FastAPI must not tell by itself."""

from typing import Final

from fastapi.telemetry import TelemetryConfig

# Its own spans and logs would hold paths with addresses of leads, and messages of exceptions.
NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
