"""A score as a waterfall: it begins at nothing, ends at the engagement, and hides nothing that was withheld."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.pages.waterfall import WIDTH, waterfall


def grant(rule: str, points: int, worth: float, withheld: int = 0, why: str | None = None) -> dict[str, Any]:
    return {"rule": rule, "points": points, "worth": worth, "withheld": withheld, "why": why}


def test_rules_stand_in_the_order_of_what_they_gave_and_each_begins_where_the_one_before_ended() -> None:
    grants = [grant("demo", 60, 30.0), grant("page", 1, 0.5), grant("page", 1, 0.25), grant("left", -30, -30.0)]
    found = waterfall({"grants": grants, "adjustments": []}, [40])
    assert [(step.name, step.times, step.granted) for step in found.steps] == [
        ("demo", 1, 60),
        ("page", 2, 2),
        ("left", 1, -30),
    ]
    assert [step.begins for step in found.steps] == [0, 30.0, 30.75]
    assert found.steps[0].decayed == -30.0
    assert found.steps[-1].ends == pytest.approx(0.75)
    assert (found.low, found.high) == (0, 60)


def test_what_was_withheld_is_told_with_every_reason_and_counts_for_nothing() -> None:
    grants = [
        grant("cta", 0, 0.0, 20, "limit reached"),
        grant("cta", 5, 4.0, 15, "granted before"),
        grant("cta", 0, 0.0, 20, "limit reached"),
    ]
    (step,) = waterfall({"grants": grants, "adjustments": []}, ()).steps
    assert (step.times, step.granted, step.withheld) == (1, 5, 55)
    assert step.why == ("granted before", "limit reached")


def test_the_cap_is_a_step_of_its_own() -> None:
    found = waterfall({"grants": [grant("demo", 300, 250.0)], "adjustments": [{"kind": "cap", "points": -50.0}]}, ())
    assert [(step.is_rule, step.ends) for step in found.steps] == [(True, 250.0), (False, 200.0)]
    assert 'class="adjustment" x="666.7" width="166.6"' in found.bar(found.steps[1])


def test_a_bar_is_drawn_between_where_the_step_begins_and_ends_with_the_grants_pale_behind_it() -> None:
    found = waterfall({"grants": [grant("demo", 60, 30.0), grant("left", -30, -15.0)], "adjustments": []}, [45])
    demo, left = (found.bar(step) for step in found.steps)
    assert 'class="granted" x="0.0" width="1000.0"' in demo
    assert 'class="gain" x="0.0" width="500.0"' in demo
    assert '<line class="threshold" x1="750.0" x2="750.0"' in demo
    assert 'class="granted" x="0.0" width="500.0"' in left
    assert 'class="loss" x="250.0" width="250.0"' in left


worths = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(-100, 100), st.floats(0, 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(worths, max_size=8), st.lists(st.integers(0, 200), max_size=2))
def test_every_step_and_line_lies_within_the_drawing_and_the_last_ends_at_the_sum(
    given_: list[tuple[str, int, float]], lines: list[int]
) -> None:
    grants = [grant(rule, points, points * share) for rule, points, share in given_]
    found = waterfall({"grants": grants, "adjustments": []}, lines)
    ends = [0.0, *(step.ends for step in found.steps)]
    assert [step.begins for step in found.steps] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(sum(one["worth"] for one in grants))
    assert all(found.low - 1e-9 <= at <= found.high + 1e-9 for at in (*ends, *lines))
    assert all("nan" not in found.bar(step) and f'x="{WIDTH + 1}' not in found.bar(step) for step in found.steps)


def test_a_score_of_nothing_is_no_division_by_it() -> None:
    (step,) = waterfall({"grants": [grant("cta", 0, 0.0, 8, "granted before")], "adjustments": []}, ()).steps
    assert 'width="0.0"' in waterfall({"grants": [grant("cta", 0, 0.0)], "adjustments": []}, ()).bar(step)
