"""What the rivals of the benchmark compute is what Accord computes."""

from datetime import UTC, datetime
from uuid import NAMESPACE_URL

import pytest

from benchmarks.rivals.job import score
from benchmarks.traffic import Traffic
from services.scoring.model import State, apply
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.events.activity import Activity
from shared.events.envelope import named_id

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LEAD = named_id(NAMESPACE_URL, "lead")


def test_the_rivals_job_gives_the_engagement_that_accord_gives() -> None:
    accord = compile_accord(load_accord(default_accord_text()), 1)
    theirs, ours = None, State()
    engagements = []
    for event in Traffic("job", leads=1, seed=3).events(300, NOW):
        # `after` isn't part of the rivals' job.
        if event["type"] == "cta.completed":
            continue
        at = datetime.fromisoformat(event["occurred_at"])
        theirs, told = score(theirs, str(LEAD), {**event, "received_at": at, "identifiers": {}})
        activity = Activity(
            lead_id=LEAD,
            id=named_id(NAMESPACE_URL, event["id"]),
            type=event["type"],
            occurred_at=at,
            received_at=at,
            source=event["source"],
            data=event["data"],
        )
        ours = apply(ours, activity, received_at=at, accord=accord).state
        assert told["engagement"] == pytest.approx(ours.engagement)
        engagements.append(ours.engagement)
    assert 0 < min(engagements) < max(engagements) == 200
