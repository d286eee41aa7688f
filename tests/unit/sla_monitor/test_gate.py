"""When a due announcement may go out: a stop that was in time may still be on the line."""

from datetime import timedelta

from sla_builders import clock_time

from services.sla_monitor.model.gate import Clearance, Gate

NOW = clock_time("11:00")
PATIENCE = timedelta(seconds=30)


def test_stages_must_have_read_the_sales_actions_that_were_there() -> None:
    gate = Gate(NOW, sales_end=7)
    assert not gate.has_stages_read(6)
    assert gate.has_stages_read(7)
    assert gate.clearance(position=1_000) is None


def test_then_this_service_must_have_read_what_stages_made_of_them() -> None:
    gate = Gate(NOW, sales_end=7, lifecycle_end=20)
    assert gate.clearance(position=19) is None
    assert gate.clearance(position=20) == Clearance(NOW)


def test_patience_ends_for_what_has_waited_so_long_and_is_marked() -> None:
    gate = Gate(NOW, sales_end=7)
    assert gate.out_of_patience(NOW + PATIENCE - timedelta(seconds=1), PATIENCE) is None
    assert gate.out_of_patience(NOW + PATIENCE, PATIENCE) == Clearance(NOW, is_lagging=True)
