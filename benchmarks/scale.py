"""How much of everything is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """One field per quantity; the command line can change each."""

    activities: int
    leads: int
    rounds: int
    ordinary_events: int
    per_second: float
    seconds: float
    warm_up_seconds: float
    told_per_second: float
    burst_events: int
    recovery_per_second: float
    session_timeout: int
    contest_activities: int
    open_clocks: int
    due_per_second: float
    due_seconds: float
    webhooks: int


FULL = Scale(
    activities=60_000,
    leads=5_000,
    rounds=3,
    ordinary_events=1_000,
    per_second=300,
    seconds=20,
    warm_up_seconds=4,
    told_per_second=100,
    burst_events=100_000,
    recovery_per_second=1_000,
    session_timeout=10,
    contest_activities=60_000,
    open_clocks=50_000,
    due_per_second=200,
    due_seconds=20,
    webhooks=30_000,
)
QUICK = Scale(
    activities=4_000,
    leads=330,
    rounds=1,
    ordinary_events=200,
    per_second=100,
    seconds=4,
    warm_up_seconds=1,
    told_per_second=20,
    burst_events=5_000,
    recovery_per_second=200,
    session_timeout=6,
    contest_activities=5_000,
    open_clocks=2_000,
    due_per_second=50,
    due_seconds=4,
    webhooks=3_000,
)
