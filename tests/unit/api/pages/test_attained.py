"""Reports on promises as a page draws them."""

from typing import Any

from services.api.pages.attained import attained, response_times


def row(key: str | None, met: int, breached: int) -> dict[str, Any]:
    decided = met + breached
    share = met / decided if decided else None
    return {"key": key, "started": decided + 1, "met": met, "breached": breached, "voided": 1, "share_met": share}


def test_owners_come_with_the_most_promises_first_and_nobody_has_a_name() -> None:
    found = attained([row("a", 1, 1), row(None, 9, 1), row("<b>", 0, 0)], "owner", is_more=True)
    assert [one["name"] for one in found.rows] == ["nobody", "a", "<b>"]
    assert (found.met, found.decided, found.share_met, found.is_more) == (10, 12, 10 / 12, True)
    assert "&lt;b&gt;" in found.chart
    assert "90 %" in found.chart


def test_weeks_stay_in_their_order_and_are_called_by_their_monday() -> None:
    found = attained([row("2026-11-16", 1, 0), row("2026-11-23", 5, 5)], "week", is_more=False)
    assert [one["name"] for one in found.rows] == ["16 Nov", "23 Nov"]


def test_of_nothing_decided_there_is_no_share() -> None:
    assert attained([], "team", is_more=False).share_met is None
    assert attained([row("a", 0, 0)], "team", is_more=False).share_met is None


def test_buckets_are_named_and_who_waits_comes_last() -> None:
    report = {
        "buckets": [{"up_to_seconds": 300, "leads": 3}, {"up_to_seconds": 86_400, "leads": 1},
                    {"up_to_seconds": None, "leads": 2}],
        "qualified": 10,
        "not_contacted": 4,
    }  # fmt: skip
    found = response_times(report)
    told = [(bucket["name"], bucket["leads"], bucket["share"]) for bucket in found.buckets]
    assert told == [
        ("within 5 min", 3, 0.3),
        ("within 1 d", 1, 0.1),
        ("after 1 d", 2, 0.2),
        ("not contacted yet", 4, 0.4),
    ]
    assert found.chart.count("<rect") == 4
    nobody = response_times({**report, "qualified": 0, "not_contacted": 0})
    assert {bucket["share"] for bucket in nobody.buckets} == {None}


def test_a_chart_of_many_owners_shows_those_with_the_most_promises_and_the_rows_show_all() -> None:
    found = attained([row(f"owner {number}", number, 1) for number in range(90)], "owner", is_more=False)
    assert len(found.rows) == 90
    assert "owner 89" in found.chart
    assert "owner 69" not in found.chart
