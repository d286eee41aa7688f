"""A fault that lasts is told a few times a minute, whatever else is told meanwhile."""

from typing import Any

import pytest
import structlog

from shared.telemetry.repeats import LINES_KEPT_MAX, SECONDS, TOLD_MAX, Repeats


class Lines:
    """What is left of lines that go through the processor, at times of the test's own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._repeats = Repeats(lambda: self.now)

    def told(self, level: str = "warning", **fields: Any) -> dict[str, Any] | None:
        """The line as it is written; None for one that is left out."""
        try:
            return dict(self._repeats(None, level, {"level": level, **fields}))
        except structlog.DropEvent:
            return None


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_a_warning_that_repeats_is_told_three_times_a_minute_and_then_how_often_it_was_left_out(lines: Lines) -> None:
    told = [lines.told(event="step_retried", partition=1, failures=n, timestamp=str(n)) for n in range(10)]
    assert [line is not None for line in told] == [True] * TOLD_MAX + [False] * 7
    lines.now += SECONDS
    again = lines.told(event="step_retried", partition=1, failures=10, timestamp="10")
    assert again is not None
    assert (again["repeated"], again["failures"]) == (7, 10)
    lines.now += SECONDS
    after = lines.told(event="step_retried", partition=1, failures=11, timestamp="11")
    assert after is not None
    assert "repeated" not in after


def test_warnings_that_differ_are_all_told(lines: Lines) -> None:
    for partition in range(4):
        assert lines.told(event="step_retried", partition=partition, kind="ConnectionRefusedError") is not None
    assert lines.told(event="step_retried", partition=0, kind="DeadlockDetectedError") is not None
    assert lines.told(event="event_dead_lettered", event_id="1") != lines.told(
        event="event_dead_lettered", event_id="2"
    )


@pytest.mark.parametrize("level", ["debug", "info", "error", "critical"])
def test_other_lines_are_never_left_out(lines: Lines, level: str) -> None:
    assert all(lines.told(level, event="clock_breached", clock="first-contact") for _ in range(5))


def test_what_it_remembers_is_bounded(lines: Lines) -> None:
    def tell(number: int) -> bool:
        return lines.told(event="delivery_failed", event_id=str(number)) is not None

    assert [tell(0) for _ in range(TOLD_MAX + 1)] == [True] * TOLD_MAX + [False]
    assert all(tell(number) for number in range(1, LINES_KEPT_MAX + 1))
    assert tell(0)
