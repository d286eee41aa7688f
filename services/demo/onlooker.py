"""Asks the API how things stand, and says whether that agrees with what the webhooks told and ingest answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from services.demo.alertmanager import Alertmanager
from services.demo.board import Board, RunningClock
from services.demo.client import AccordClient
from services.demo.receiver import Receiver

RUNNING = "open,warned,paused"
# What must be nothing on a line in good order, once it has come to rest.
TROUBLES = (
    "accord_stream_dead_letters_total",
    "accord_stream_gaps",
    "accord_stream_stopped",
    "accord_stream_lag_events",
    "accord_delivery_dead_total",
)


class Onlooker:
    """Reads with a key that may do nothing else."""

    def __init__(
        self, client: AccordClient, receiver: Receiver, board: Board, *, alertmanager: Alertmanager | None = None
    ) -> None:
        self._client = client
        self._alertmanager = alertmanager
        self._receiver = receiver
        self._board = board
        self._standing = 0
        self._troubles: dict[str, float] = {}

    async def look(self) -> None:
        """Brings the board up to date."""
        clocks = await self._client.all("/v1/clocks", state=RUNNING, sort="deadline")
        self._board.clocks = [_running(clock) for clock in clocks]
        self._board.counts.delivered = self._receiver.delivered
        if self._alertmanager is not None:
            firing = await self._alertmanager.firing()
            self._board.tell_alerts({alert["fingerprint"]: alert["annotations"]["summary"] for alert in firing})

    async def count(self) -> None:
        """Counts everything, page by page. Nobody in a season is qualified twice, or leaves before being qualified."""
        counts = self._board.counts
        leads = await self._client.all("/v1/leads", sort="updated")
        counts.leads = len(leads)
        counts.qualified = sum(1 for lead in leads if lead["stage"] != "lead")
        counts.met = len(await self._client.all("/v1/clocks", state="met"))
        counts.breached = len(await self._client.all("/v1/breaches"))
        self._standing = len(await self._client.all("/v1/clocks", state="breached"))
        self._troubles = _sums(await self._client.metrics(), TROUBLES)

    def differences(self, *, people: int, duplicates: int, bad: int) -> list[str]:
        """What doesn't add up, in sentences; empty when everything does."""
        counts, receiver = self._board.counts, self._receiver
        answered = counts.accepted + counts.duplicates + counts.rejected
        pairs = [
            ("events posted and answered", counts.posted, answered),
            ("duplicates made and found", duplicates, counts.duplicates),
            ("bad events made and rejected", bad, counts.rejected),
            ("people and leads", people, counts.leads),
            ("leads qualified by the API and by webhook", counts.qualified, receiver.qualified),
            ("clocks met by the API and by webhook", counts.met, receiver.met),
            ("breaches by the API and by webhook", counts.breached, receiver.breached),
            ("running clocks and none", len(self._board.clocks), 0),
            ("signatures refused and none", receiver.failed, 0),
        ]
        if self._alertmanager is not None:
            pairs.append(("broken promises that stand and alerts that fire", self._standing, len(self._board.alerts)))
        found = [f"{what}: {one} and {other}" for what, one, other in pairs if one != other]
        happened = {"qualified": counts.qualified, "met": counts.met, "breached": counts.breached}
        found += [f"nothing was {what}" for what, count in happened.items() if not count]
        return found + [f"{name} is {value:g}" for name, value in self._troubles.items() if value]


def _running(clock: dict[str, Any]) -> RunningClock:
    deadline = datetime.fromisoformat(clock["deadline"])
    return RunningClock(clock["rule"], clock["lead_id"], clock["owner"], clock["state"], deadline)


def _sums(text: str, names: Sequence[str]) -> dict[str, float]:
    """The sum of each of these metrics over its labels."""
    sums = dict.fromkeys(names, 0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in sums:
                sums[sample.name] += sample.value
    return sums
