"""When a due announcement may go out: a stop that was in time may still be on the line."""

from datetime import timedelta

from sla_builders import clock_time

from services.sla_monitor.model.gate import Clearance, Gate

NOW = clock_time("11:00")
PATIENCE = timedelta(seconds=30)


def test_a_clearance_covers_what_was_due_when_the_wait_began() -> None:
    gate = Gate(NOW, sales_end={"api/0": 7}, lifecycle_end={"stages/0": 20})
    assert gate.clearance() == Clearance(NOW)


def test_patience_ends_for_what_has_waited_so_long_and_is_marked() -> None:
    gate = Gate(NOW, sales_end={"api/0": 7})
    assert gate.out_of_patience(NOW + PATIENCE - timedelta(seconds=1), PATIENCE) is None
    assert gate.out_of_patience(NOW + PATIENCE, PATIENCE) == Clearance(NOW, is_lagging=True)
