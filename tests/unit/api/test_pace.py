"""How fast a service goes, from what it had counted at several times."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.model import Pace, Sample, pace_of


@settings(max_examples=50)
@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=13), st.floats(0.5, 10))
def test_the_pace_is_what_came_between_the_first_and_the_last_look(steps: list[int], every: float) -> None:
    totals = [sum(steps[: number + 1]) for number in range(len(steps))]
    samples = [Sample(number * every, {"scoring": (total, 2 * total)}) for number, total in enumerate(totals)]
    pace = pace_of(samples, "scoring")
    assert pace.read is not None
    assert pace.emitted == 2 * pace.read
    assert round(pace.read * every * (len(steps) - 1)) == sum(steps[1:])


def test_nothing_is_said_before_the_second_look_or_of_a_service_that_nobody_knows() -> None:
    assert pace_of([], "scoring") == pace_of([Sample(0, {"scoring": (1, 1)})], "scoring") == Pace(None, None)
    assert pace_of([Sample(0, {}), Sample(5, {})], "scoring") == Pace(None, None)


def test_a_service_counts_from_when_it_appeared_and_never_backwards() -> None:
    samples = [Sample(0, {}), Sample(5, {"api": (10, 9)}), Sample(10, {"api": (20, 4)})]
    assert pace_of(samples, "api") == Pace(2.0, 0.0)
