"""How the line is: every service with what it has yet to read, what holds it up, and what the last audit found."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.api.model import Pace
from services.api.routes.parts import Parts, Registrar
from services.api.schemas.operations import (
    Operations,
    ServiceState,
    StoppedPartition,
    WaitingPartition,
    verdict_of,
)
from services.api.store.operations import OperationStore

Row = Mapping[str, Any]


class OperationRoutes:
    """For operators. Nothing in it is about a person."""

    def __init__(self, parts: Parts, store: OperationStore, pace: Callable[[str], Pace]) -> None:
        self._parts = parts
        self._store = store
        self._pace = pace

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/operations", self.show, summary="How the line is, and its last audit", answer=Operations)

    async def show(self) -> Operations:
        services, held_up, audit = await asyncio.gather(
            self._store.services(), self._store.held_up(), self._store.last_audit()
        )
        return Operations(
            as_of=self._parts.clock.now(),
            services=[
                self._state(row, [one for one in held_up if one["service"] == row["service"]]) for row in services
            ],
            audit=verdict_of(audit) if audit else None,
        )

    def _state(self, row: Row, held_up: Sequence[Row]) -> ServiceState:
        pace = self._pace(row["service"])
        return ServiceState(
            **row,
            read_per_second=pace.read,
            emitted_per_second=pace.emitted,
            stopped=[_stopped(one) for one in held_up if one["is_stopped"]],
            waiting=[_waiting(one) for one in held_up if one["missing_topic"] is not None],
        )


def _stopped(row: Row) -> StoppedPartition:
    return StoppedPartition(partition=row["partition"], release=row["stopped_by"])


def _waiting(row: Row) -> WaitingPartition:
    return WaitingPartition(
        partition=row["partition"],
        topic=row["missing_topic"],
        emitter=row["missing_of"],
        first_missing=row["first_missing"],
        last_missing=row["last_missing"],
        since=row["missing_since"],
    )
