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
    source_rate_requests_per_second: int = Field(
        10_000, gt=0, description="Requests per second and source; a burst of one second is allowed"
    )
    in_flight_bytes_max: int = Field(
        128 * 1024 * 1024, gt=0, description="Bytes of all bodies being received or committed; 503 above it"
    )
    segment_body_bytes_max: int = Field(500 * 1024, gt=0, description="Largest body on Segment's paths")
    segment_batch_events_max: int = Field(2_500, gt=0, description="Most events in one request on Segment's paths")
    kept_days: int = Field(14, ge=1, description="How long requests are kept of which something could not be used")
    kept_per_source: int = Field(1_000, ge=1, description="How many of those, of one source")
    kept_bytes_max: int = Field(256 * 1024 * 1024, gt=0, description="Bytes of all of those together")
    kept_body_bytes_max: int = Field(256 * 1024, gt=0, description="A larger body is listed, not kept")
    seen_days: int = Field(30, ge=1, description="How long ids of accepted events are kept to recognise duplicates")
    import_bytes_max: int = Field(1024 * 1024 * 1024, gt=0, description="Largest file of an import, inflated")
    imports_pending_max: int = Field(
        10, ge=1, description="Files being uploaded, waiting or read, of all processes; 429 above it"
    )
    import_rows_per_second: int = Field(
        2_000, ge=1, description="Rows that a process reads a second at most; it rests as long as it works in any case"
    )
    import_rejected_max: int = Field(100_000, ge=1, description="Refused rows at which an import ends as failed")
    import_kept_bytes_max: int = Field(
        256 * 1024 * 1024, gt=0, description="Bytes of refused rows of all imports, as they are kept; the oldest go"
    )
    import_kept_days: int = Field(30, ge=1, description="How long ended imports and their refused rows are kept")
