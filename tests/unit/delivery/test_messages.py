"""Who is told, and what they get."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sla_builders import LEAD_ID, NAMES, clock_time, sales_recorded, stage_changed

from services.delivery.model.messages import body_of, delivery_id, event_facts, receivers, standing_of
from services.delivery.model.subscriptions import State, Subscription
from shared.agreement.condition_parsing import parse_condition
from shared.agreement.conditions import compile_condition
from shared.events import codec
from shared.events.envelope import Event

EVENT: Event = codec.event(
    stage_changed(clock_time("10:00")),
    id=NAMES,
    time=clock_time("10:00"),
    received_at=datetime(2026, 3, 2, 10, 0, 1, 500, tzinfo=UTC),
    accord=3,
    cause=LEAD_ID,
)


def subscription(types: tuple[str, ...] = ("*",), condition: Any = None, state: State = State.ACTIVE) -> Subscription:
    matches = None if condition is None else compile_condition(parse_condition(condition))
    return Subscription(UUID(int=1), "https://example.com/hook", types, matches, (), state)


@pytest.mark.parametrize(
    ("types", "is_told"),
    [
        (("*",), True),
        (("accord.stage.changed",), True),
        (("accord.stage.*",), True),
        (("accord.clock.*", "accord.stage.changed"), True),
        (("accord.clock.*",), False),
        (("accord.stage",), False),
        ((), False),
    ],
)
def test_types_are_exact_or_end_in_a_star(types: tuple[str, ...], is_told: bool) -> None:
    assert bool(receivers(EVENT, [subscription(types)])) is is_told


@pytest.mark.parametrize(
    ("condition", "is_told"),
    [
        ({"title": "cto"}, True),
        ({"title": "intern"}, False),
        ({"grade": "B", "stage": "mql", "engagement": {"gte": 50}}, True),
        ({"owner": {"exists": True}}, False),
    ],
)
def test_a_condition_sees_the_profile_and_what_the_event_says_of_the_lead(condition: Any, is_told: bool) -> None:
    assert bool(receivers(EVENT, [subscription(condition=condition)])) is is_told


@pytest.mark.parametrize(
    ("condition", "is_told"),
    [
        ({"grade": {"in": ["A", "B", "C", "D"]}}, False),
        ({"owner": "ada@sales.example"}, False),
        ({"owner": {"ne": "ada@sales.example"}}, True),
        ({"promise": "leads-per-week", "of": "marketing", "state": "breached"}, True),
        ({"any": [{"owner": "ada@sales.example"}, {"reached": {"lt": 40}}]}, True),
    ],
)
def test_a_condition_finds_no_lead_in_an_event_about_a_promise_on_many_leads(condition: Any, is_told: bool) -> None:
    recorded = Path(__file__).parents[2] / "events_recorded" / "promise.breached.1.json"
    value = json.dumps(json.loads(recorded.read_text())["data"]).encode()
    event = EVENT._replace(type="accord.promise.breached", value=value)
    assert bool(receivers(event, [subscription(condition=condition)])) is is_told


@pytest.mark.parametrize(
    ("state", "is_told"),
    [(State.ACTIVE, True), (State.PAUSED, True), (State.UNCONFIRMED, True), (State.DISABLED, False)],
)
def test_what_comes_while_a_subscription_is_paused_waits_and_a_disabled_one_is_not_told(
    state: State, is_told: bool
) -> None:
    assert bool(receivers(EVENT, [subscription(state=state)])) is is_told


def test_the_body_is_a_structured_cloud_event_with_the_data_as_they_were() -> None:
    body = json.loads(body_of(EVENT, "stages/2"))
    assert body["data"] == json.loads(EVENT.value)
    del body["data"]
    assert body == {
        "specversion": "1.0",
        "id": str(NAMES),
        "source": "/accord/stages",
        "type": "accord.stage.changed",
        "subject": str(LEAD_ID),
        "time": "2026-03-02T10:00:00Z",
        "datacontenttype": "application/json",
        "receivedat": "2026-03-02T10:00:01.000500Z",
        "accord": 3,
        "cause": str(LEAD_ID),
    }


def test_a_delivery_has_one_id_per_event_and_subscription() -> None:
    assert delivery_id(NAMES, LEAD_ID) == delivery_id(NAMES, LEAD_ID)
    assert delivery_id(NAMES, LEAD_ID) != delivery_id(LEAD_ID, NAMES)


def test_what_an_event_does_not_say_of_the_lead_is_as_it_was_last_told() -> None:
    standing = standing_of(json.loads(EVENT.value))
    said = json.loads(codec.encode(sales_recorded(clock_time("11:00"), owner="ada@sales.example")))
    facts = event_facts("accord.sales.recorded", {**said, "lead": {"email": "cto@acme.example"}}, standing)
    assert {"grade": "B", "stage": "mql", "email_domain": "acme.example"}.items() <= facts.items()
    assert facts["owner"] == "ada@sales.example"
    assert event_facts("accord.sales.recorded", said, {})["grade"] is None
