"""How the line is, as it is shown."""

from typing import Any

from pydantic import BaseModel, Field

from services.api.schemas.fields import Instant


class StoppedPartition(BaseModel):
    """Held by the breaker: too many events in a row could not be applied."""

    partition: int
    release: str | None = Field(description="The release that ran then.")


class WaitingPartition(BaseModel):
    """Waits for events whose numbers are missing."""

    partition: int
    topic: str
    emitter: str
    first_missing: int
    last_missing: int
    since: Instant


class ServiceState(BaseModel):
    """One service over all its processes. `partitions` are those it reads by, of which `owned` have a process at work;
    `lanes` are its processes that publish. Rates are those of the last minute, null until they are known."""

    service: str
    partitions: int
    owned: int
    lanes: int
    read: int = Field(description="Events that it has read, since the installation was made.")
    unread: int
    oldest_unread_seconds: float | None = Field(
        description="How long the oldest of them has waited. Null if none waits, and on Kafka, where the metric "
        "accord_stream_lag_seconds tells it."
    )
    emitted: int
    read_per_second: float | None
    emitted_per_second: float | None
    dead_letters: int = Field(description="Those that are open.")
    stopped: list[StoppedPartition]
    waiting: list[WaitingPartition]


class AuditCheck(BaseModel):
    """One thing that must always hold, how many of its units were looked at, and how many differ."""

    check: str
    must_hold: str
    unit: str
    looked_at: int
    differences: int


class AuditVerdict(BaseModel):
    """What the last `accord audit` found."""

    taken_at: Instant
    seconds: float
    clean: bool
    differences: int
    checks: list[AuditCheck]
    first: list[dict[str, str]] = Field(description="The first differences, in words.")
    in_flight: dict[str, int] = Field(description="By service, what was not read yet then; that is no difference.")
    skipped: dict[str, int] = Field(description="By service, what operators had it go on without.")
    counts: dict[str, int]


class Operations(BaseModel):
    """The line and its last audit (null: none was recorded yet)."""

    as_of: Instant
    services: list[ServiceState]
    audit: AuditVerdict | None


def verdict_of(row: dict[str, Any]) -> AuditVerdict:
    """From a row that `accord audit` has left."""
    checks = [AuditCheck(**check) for check in row["checks"]]
    differences = sum(check.differences for check in checks)
    return AuditVerdict(**{**row, "clean": row["is_clean"], "checks": checks, "differences": differences})
