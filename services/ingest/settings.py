"""The limits of ingest (HTTP.md "Ingest"); reaching one is counted in accord_ingest_limit_reached_total."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import Settings


class IngestSettings(Settings):
    """Read from the environment, prefix ACCORD_INGEST_."""

    model_config = SettingsConfigDict(env_prefix="ACCORD_INGEST_", env_ignore_empty=True, extra="ignore", frozen=True)

    body_bytes_max: int = Field(1024 * 1024, gt=0, description="Largest body of one request")
    event_bytes_max: int = Field(32 * 1024, gt=0, description="Largest event, as it is stored")
    batch_events_max: int = Field(1_000, gt=0, description="Most events in one request")
    rate_events_per_second: int = Field(
        50_000, gt=0, description="Events per second and key; a burst of one second is allowed"
    )
    seen_days: int = Field(30, ge=1, description="How long ids of accepted events are kept to recognise duplicates")
