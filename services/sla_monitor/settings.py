"""Settings of sla_monitor, from ACCORD_* environment variables."""

from pydantic import Field

from shared.settings import Settings as AccordSettings


class Settings(AccordSettings):
    """`announce_patience_seconds` bounds how long a due announcement waits for a lagging line."""

    announce_patience_seconds: float = Field(default=30.0, ge=0, le=3600)
    sweep_clocks_max: int = Field(default=500, ge=1, le=5000)
    open_clocks_interval_seconds: float = Field(default=10.0, gt=0)
