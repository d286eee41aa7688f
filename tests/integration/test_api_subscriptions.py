"""Subscriptions over HTTP: what may be asked for, changed and taken back, and what delivery then does about it."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import SECRET_KEY, Caller, running_line
from builders import NOON, eventually
from delivery_builders import Receiver, listening
from standardwebhooks import Webhook

from shared.secret_box import SecretBox
from shared.webhook_secrets import read

SUBSCRIPTION = {"name": "CRM", "url": "https://crm.example/hook", "types": ["accord.lead.qualified"]}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "scoring", "api") as caller:
        yield caller


async def created(caller: Caller, **changes: Any) -> dict[str, Any]:
    answer = await caller.post("/v1/subscriptions", {**SUBSCRIPTION, **changes})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


async def test_a_secret_is_shown_once_and_lies_sealed(caller: Caller, pool: asyncpg.Pool) -> None:
    made = await created(caller, condition={"grade": {"in": ["A"]}})
    assert (made["state"], made["format"], made["signatures"]) == ("active", "standard", ["v1"])
    Webhook(made["secret"]).sign("msg_1", NOON, "{}")
    own = await created(caller, secret="whsec_" + "QUJD" * 8)
    assert own["secret"] == "whsec_" + "QUJD" * 8
    stored = await pool.fetchval("SELECT secret FROM api.subscriptions WHERE name = 'CRM' LIMIT 1")
    assert "whsec_" not in stored
    assert read(SecretBox(SECRET_KEY).open(stored))[0].text.startswith("whsec_")
    assert "secret" not in (await caller.get(f"/v1/subscriptions/{made['id']}")).json
    assert all("secret" not in item for item in (await caller.get("/v1/subscriptions")).json["items"])


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"url": "ftp://x"}, "url"),
    ({"url": "http:///hook"}, "url"),
    ({"url": "//x"}, "url"),
    ({"url": "https://ann:secret@crm.example/"}, "url"),
    ({"url": "https://crm.example/#here"}, "url"),
    ({"url": "mailto:ann@example.com"}, "url"),
    ({"format": "email"}, "url"),
    ({"format": "email", "url": "mailto:"}, "url"),
    ({"format": "email", "url": "mailto:ann"}, "url"),
    ({"format": "email", "url": "mailto:ann@example.com?bcc=eve@example.com"}, "url"),
    ({"format": "fax"}, "format"),
    ({"types": ["nope"]}, "types.0"),
    ({"types": []}, "types"),
    ({"types": ["accord.lead"]}, "types.0"),
    ({"secret": "short"}, "secret"),
    ({"signatures": ["v2"]}, "signatures.0"),
    ({"condition": {"a": {"near": 1}}}, "condition.a.near"),
    ({"condition": {"all": {"a": 1}}}, "condition.all"),
    ({"in_flight_max": 0}, "in_flight_max"),
    ({"rate_per_second": 0}, "rate_per_second"),
    ({"timeout_seconds": 3600}, "timeout_seconds"),
    ({"quiet_hours": {"timezone": "Europe/Paris", "from": "20:00", "to": "07:00"}}, "quiet_hours"),
    ({"group_seconds": 60}, "group_seconds"),
    ({"format": "slack", "quiet_hours": {"timezone": "Mars/Olympus", "from": "20:00", "to": "07:00"}}, "quiet_hours"),
    ({"format": "slack", "quiet_hours": {"timezone": "UTC", "from": "8pm", "to": "07:00"}}, "quiet_hours"),
    ({"format": "slack", "quiet_hours": {"timezone": "UTC", "from": "07:00", "to": "07:00"}}, "quiet_hours"),
    ({"colour": "red"}, "colour"),
)


async def test_what_can_not_be_is_refused_with_the_field_that_is_wrong(caller: Caller) -> None:
    for wrong, path in REFUSED:
        answer = await caller.post("/v1/subscriptions", {**SUBSCRIPTION, **wrong})
        assert answer.status == 422, (wrong, answer.body)
        assert answer.json["errors"][0]["path"].startswith(path), (wrong, answer.json["errors"])


async def test_a_subscription_is_changed_paused_resumed_and_ended(caller: Caller) -> None:
    made = await created(caller, format="slack", url="https://hooks.example/T0")
    where = f"/v1/subscriptions/{made['id']}"
    quiet = {"timezone": "Europe/Paris", "from": "20:00", "to": "07:30"}
    changed = await caller.patch(
        where, {"state": "paused", "quiet_hours": quiet, "group_seconds": 0, "in_flight_max": 2}
    )
    assert changed.status == 200, changed.body
    assert (changed.json["state"], changed.json["quiet_hours"], changed.json["in_flight_max"]) == ("paused", quiet, 2)
    assert changed.json["types"] == made["types"]
    changed = await caller.patch(where, {"quiet_hours": None, "in_flight_max": None, "state": "active"})
    assert (changed.json["state"], changed.json["quiet_hours"], changed.json["in_flight_max"]) == ("active", None, None)
    for wrong in ({"name": None}, {"format": "teams"}, {"secret": "whsec_" + "QUJD" * 8}, {"state": "disabled"}):
        assert (await caller.patch(where, wrong)).status == 422, wrong
    assert (await caller.delete(where)).status == 204
    for answer in (
        await caller.get(where),
        await caller.delete(where),
        await caller.patch(where, {"name": "x"}),
        await caller.post(f"{where}/test", {}),
        await caller.post(f"{where}/replays", {"event_id": made["id"]}),
        await caller.get(f"{where}/deliveries"),
    ):
        assert answer.status == 404
    assert (await caller.get("/v1/subscriptions/none")).status == 422


async def test_a_rotation_keeps_the_former_secret_for_its_overlap(caller: Caller, pool: asyncpg.Pool) -> None:
    made = await created(caller, signatures=["v1", "v1a"])
    assert made["public_key"].startswith("whpk_")
    rotated = await caller.post(f"/v1/subscriptions/{made['id']}/rotation", {"overlap_seconds": 60})
    assert rotated.status == 200, rotated.body
    assert rotated.json["public_key"] != made["public_key"]
    keys = read(SecretBox(SECRET_KEY).open(await pool.fetchval("SELECT secret FROM api.subscriptions")))
    assert [(key.text[:5], key.until is None) for key in keys] == [
        *(("whsec", True), ("whsk_", True)),
        *(("whsec", False), ("whsk_", False)),
    ]
    assert (keys[0].text, keys[2].text) == (rotated.json["secret"], made["secret"])


NO_REPLAYS: tuple[dict[str, Any], ...] = (
    {},
    {"to": "2026-01-01T00:00:00Z"},
    {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
    {"from": "2026-01-02T00:00:00Z", "event_ids": ["00000000-0000-4000-8000-000000000001"]},
    {"event_ids": []},
)


async def test_a_replay_names_either_a_time_or_events(caller: Caller) -> None:
    made = await created(caller)
    for wrong in NO_REPLAYS:
        answer = await caller.post(f"/v1/subscriptions/{made['id']}/replays", wrong)
        assert (answer.status, bool(answer.json["errors"])) == (422, True), wrong


async def test_what_was_asked_for_is_carried_out_and_its_tries_are_shown(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8")
    async with running_line(database_url, "api", "delivery") as caller, listening(Receiver()) as receiver:
        receiver.secret = None
        receiver.statuses = [(410, {}), (200, {})]
        made = await created(caller, url=receiver.url, types=["accord.subscription.*"])
        where = f"/v1/subscriptions/{made['id']}"
        asked = await caller.post(f"{where}/test", {})
        assert asked.status == 202, asked.body

        async def is_disabled() -> bool:
            return bool((await caller.get(where)).json["state"] == "disabled")

        await eventually(is_disabled, within=10)
        shown = (await caller.get(where)).json
        assert shown["disabled_because"] == "its endpoint answered 410 Gone"
        (delivery,) = (await caller.get(f"{where}/deliveries")).json["items"]
        assert (delivery["id"], delivery["state"], delivery["status"]) == (asked.json["delivery_id"], "dead", 410)
        assert (delivery["attempts"][0]["status"], len(delivery["attempts"][0]["answer"])) == (410, 1024)
        assert (await caller.post(f"{where}/test", {})).status == 409
        assert (await caller.patch(where, {"state": "active"})).json["state"] == "active"
        again = await caller.post(f"{where}/test", {})

        async def is_delivered() -> bool:
            items = (await caller.get(f"{where}/deliveries?state=delivered")).json["items"]
            return [item["id"] for item in items] == [again.json["delivery_id"]]

        await eventually(is_delivered, within=10)
