"""What callers may send, and with which words the rest is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from services.api.schemas.leads import ActionBody, TimelineItem
from services.api.schemas.subscriptions import SubscriptionBody
from shared.http.problems import FieldError, field_errors

SUBSCRIPTION = {"name": "CRM", "url": "https://crm.example/hook"}


def refusal(model: type[ActionBody] | type[SubscriptionBody], value: dict[str, Any]) -> list[FieldError]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return field_errors(caught.value)


@pytest.mark.parametrize("type_", ["*", "accord.clock.*", "accord.*", "accord.lead.qualified", "accord.clock.breached"])
def test_a_subscription_asks_for_what_is_told(type_: str) -> None:
    assert SubscriptionBody.model_validate({**SUBSCRIPTION, "types": [type_]}).types == [type_]


@pytest.mark.parametrize(
    "type_", ["accord.activity", "accord.score.changed", "accord.nothing.*", "accord.cl*", "x", ""]
)
def test_a_type_that_is_never_told_is_refused_with_those_that_are(type_: str) -> None:
    ((path, message),) = refusal(SubscriptionBody, {**SUBSCRIPTION, "types": [type_]})
    assert path == "types.0"
    assert message.startswith("is not a type of event that is told; allowed: *, accord.clock.*, accord.stage.changed,")


def test_a_row_of_postgres_shows_its_times_as_every_answer_does_and_what_a_sender_wrote_as_it_was() -> None:
    detail = {
        "occurred_at": "2026-11-22T10:00:00.5+00:00",
        "until": "2026-11-22T10:00:00+00:00",
        "closed_at": None,
        "note": "2026-11-22T10:00:00+00:00",
        "data": {"seen_at": "2026-11-22T10:00:00.5+00:00"},
    }
    item = TimelineItem(at=datetime(2026, 11, 22, 10, tzinfo=UTC), kind="action", id="1", detail=detail)
    times = {"occurred_at": "2026-11-22T10:00:00.500000Z", "until": "2026-11-22T10:00:00Z"}
    assert item.detail == {**detail, **times}


def test_a_time_is_rfc_3339_with_an_offset() -> None:
    body = ActionBody.model_validate({"action": "contacted", "occurred_at": "2026-11-22T10:00:00.5+02:00"})
    assert body.occurred_at == datetime(2026, 11, 22, 8, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    [1_800_000_000, "1800000000", "2026-11-22", "2026-11-22T10:00:00", "9999-12-31T23:59:59-14:00", True, [], "soon"],
)
def test_any_other_time_is_refused_in_plain_words(at: Any) -> None:
    found = refusal(ActionBody, {"action": "contacted", "occurred_at": at})
    assert found == [("occurred_at", "must be an RFC 3339 time with an offset, like 2026-11-22T09:30:00Z")]


def test_unknown_and_missing_fields_are_named_in_plain_words() -> None:
    assert refusal(ActionBody, {"shoe_size": 1}) == [("action", "is required"), ("shoe_size", "is not a known field")]
