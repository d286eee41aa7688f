"""How a service, a subscription and a delivery are doing: the worst that there is to say."""

from typing import Any

import pytest

from services.api.pages.condition import along_the_line, of_delivery, of_service, of_subscription

IDLE: dict[str, Any] = {
    **{"service": "stages", "partitions": 4, "owned": 4, "lanes": 0, "unread": 0, "oldest_unread_seconds": None},
    **{"stopped": [], "waiting": []},
}
GAP = {"partition": 2, "topic": "accord.score.v1", "emitter": "scoring/2", "first_missing": 7, "last_missing": 9}


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({}, "at work"),
        ({"unread": 900, "oldest_unread_seconds": 0.4}, "at work"),
        ({"unread": 1_001, "oldest_unread_seconds": 0.4}, "behind"),
        ({"unread": 1, "oldest_unread_seconds": 11.0}, "behind"),
        ({"owned": 3, "unread": 5_000}, "not run"),
        ({"partitions": 0, "owned": 0}, "not run"),
        ({"partitions": 0, "owned": 0, "lanes": 1}, "at work"),
        ({"owned": 3, "waiting": [GAP]}, "waiting"),
        ({"waiting": [GAP], "stopped": [{"partition": 1, "release": "1.2"}]}, "stopped"),
    ],
)
def test_a_service_is_as_well_as_its_worst_trouble(state: dict[str, Any], word: str) -> None:
    assert of_service({**IDLE, **state}).word == word


def test_trouble_comes_with_the_command_that_ends_it() -> None:
    stopped = of_service({**IDLE, "stopped": [{"partition": number, "release": "1.2"} for number in (1, 3)]})
    assert stopped.why.endswith("then: accord resume stages 1; accord resume stages 3")
    waiting = of_service({**IDLE, "waiting": [GAP]})
    assert "scoring/2 7 to 9" in waiting.why
    assert waiting.why.endswith("accord skip stages 2")
    assert of_service({**IDLE, "owned": 1}).why.startswith("Nobody runs 3 of its partitions")


def test_services_stand_in_the_order_of_the_line() -> None:
    states = [{"service": name} for name in ("api", "delivery", "elsewhere", "ingest", "scoring")]
    assert [one["service"] for one in along_the_line(states)] == ["ingest", "scoring", "delivery", "api", "elsewhere"]


@pytest.mark.parametrize(
    ("one", "word", "why"),
    [
        ({"state": "active", "failing_since": None}, "active", ""),
        ({"state": "active", "failing_since": "2026-11-02T15:00:00Z"}, "failing", "Every try since then has failed"),
        ({"state": "paused", "failing_since": None}, "paused", "What comes waits"),
        ({"state": "disabled", "disabled_because": "it answered 410"}, "disabled", "it answered 410"),
        ({"state": "unconfirmed", "refusal": None}, "unconfirmed", "has not agreed yet"),
    ],
)
def test_a_subscription_says_why_nothing_is_told(one: dict[str, Any], word: str, why: str) -> None:
    assert of_subscription(one).word == word
    assert why in of_subscription(one).why


def test_a_delivery_is_delivered_given_up_or_on_its_way() -> None:
    assert of_delivery({"state": "delivered"}).word == "delivered"
    assert of_delivery({"state": "dead", "outcome": "timed out"})[1:] == ("bad", "timed out")
    assert of_delivery({"state": "pending", "attempts": []})[1:] == ("", "")
    assert of_delivery({"state": "pending", "attempts": [{}]}).why == "one try so far"
    assert of_delivery({"state": "pending", "attempts": [{}, {}]}).why == "2 tries so far"
