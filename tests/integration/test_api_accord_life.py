"""The life of a version over HTTP: proposed, signed by both, in effect, superseded; what is shown, and to whom."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import pytest
from accord_builders import HOUR, OTHER, SURVEY, Sides, changed, make_sides, now, refusal
from api_builders import running_line

from shared.agreement.canonical import canonical_json
from shared.agreement.loading import default_accord_text
from shared.db.accord_book import AccordBook


@pytest.fixture
async def sides(database_url: str) -> AsyncIterator[Sides]:
    async with running_line(database_url, "api") as caller:
        yield await make_sides(caller)


async def test_a_version_is_proposed_signed_by_both_sides_and_scheduled(sides: Sides) -> None:
    proposed = await sides.propose(SURVEY)
    assert (proposed.status, proposed.json["version"], proposed.json["state"]) == (201, 2, "proposed")
    assert (proposed.json["effective_at"], proposed.json["proposed_by"]) == (None, "Mary")
    first = await sides.marketing.post("/v1/accords/2/signatures", {})
    assert (first.status, first.json["state"], first.json["effective_at"]) == (201, "proposed", None)
    second = await sides.sales.post("/v1/accords/2/signatures", b"")
    assert (second.status, second.json["state"]) == (201, "scheduled")
    signed = second.json["signatures"]
    assert [(s["role"], s["signed_by"], s["is_person"]) for s in signed] == [
        ("marketing", "Mary", True),
        ("sales", "Sam", True),
    ]
    times = [datetime.fromisoformat(at) for at in (signed[1]["signed_at"], second.json["effective_at"])]
    assert times[1] - times[0] == timedelta(seconds=10)
    shown = (await sides.caller.get("/v1/accords/2")).json
    assert {s["sha256"] for s in shown["signatures"]} == {shown["sha256"]}
    assert shown["sha256"] == sha256(canonical_json(shown["document"]).encode()).hexdigest()
    assert shown["source_text"] == SURVEY
    assert [item["version"] for item in (await sides.caller.get("/v1/accords")).json["items"]] == [2, 1]


async def test_its_state_follows_the_time_without_anybody_doing_anything(sides: Sides, pool: asyncpg.Pool) -> None:
    await sides.agree(SURVEY)
    assert await states(sides) == {1: "effective", 2: "scheduled"}
    await pool.execute("UPDATE api.accords SET effective_at = now() WHERE version = 2")
    assert await states(sides) == {1: "superseded", 2: "effective"}
    async with pool.acquire() as connection:
        accords = await AccordBook().refresh(connection)
    assert accords.at(now()).version == 2
    assert accords.at(now() - HOUR).version == 1
    await sides.agree(OTHER)
    await pool.execute("UPDATE api.accords SET effective_at = now() WHERE version = 3")
    assert await states(sides) == {1: "superseded", 2: "superseded", 3: "effective"}


async def states(sides: Sides) -> dict[int, str]:
    return {item["version"]: item["state"] for item in (await sides.caller.get("/v1/accords")).json["items"]}


async def test_a_document_may_be_an_object_or_bare_yaml_and_means_the_same(sides: Sides) -> None:
    first = await sides.propose(SURVEY)
    shown = (await sides.caller.get("/v1/accords/2")).json
    await sides.sales.post("/v1/accords/2/withdrawal", {})
    as_object = await sides.propose(shown["document"])
    await sides.sales.post("/v1/accords/3/withdrawal", {})
    as_yaml = await sides.marketing.post("/v1/accords", SURVEY.encode(), content_type="application/yaml; charset=utf-8")
    assert [answer.status for answer in (first, as_object, as_yaml)] == [201, 201, 201]
    assert len({answer.json["sha256"] for answer in (first, as_object, as_yaml)}) == 1
    assert json.loads((await sides.caller.get("/v1/accords/3")).json["source_text"]) == shown["document"]
    refused = await sides.marketing.post("/v1/accords", b"\xff", content_type="application/yaml")
    assert "UTF-8" in refusal(refused, 422)
    other = await sides.marketing.post("/v1/accords", SURVEY.encode(), content_type="text/csv")
    assert "application/json or application/yaml" in refusal(other, 415)


async def test_the_difference_is_shown_in_words_from_the_signed_version_before_or_from_any(sides: Sides) -> None:
    await sides.propose(OTHER)
    await sides.sales.post("/v1/accords/2/withdrawal", {})
    await sides.propose(SURVEY)
    change = {"path": "scoring.engagement.rules[survey].points", "words": "survey: 15 → 20 points"}
    expected = {"from": 1, "to": 3, "changes": [change]}
    assert (await sides.caller.get("/v1/accords/3")).json["difference"] == expected
    assert (await sides.caller.get("/v1/accords/3/difference")).json == expected
    other = (await sides.caller.get("/v1/accords/3/difference?from=2")).json
    assert [change["words"] for change in other["changes"]] == [
        "survey: 15 → 20 points",
        "first-contact-hot: within 30 m → 1 h",
    ]
    assert (await sides.caller.get("/v1/accords/1")).json["difference"] is None
    assert "is required" in refusal(await sides.caller.get("/v1/accords/1/difference"), 422)
    for unknown in ("9", "x", "-1"):
        assert "version on file" in refusal(await sides.caller.get(f"/v1/accords/3/difference?from={unknown}"), 422)


async def test_an_invalid_document_is_refused_with_all_its_errors_at_once(sides: Sides) -> None:
    wrong = default_accord_text().replace("half_life: 14d", "half_live: 14d").replace("starts: sql", "starts: sqll")
    answer = await sides.propose(wrong)
    refusal(answer, 422)
    assert [(error["path"], error["line"]) for error in answer.json["errors"]] == [
        ("scoring.engagement.rules[10].half_live", 34),
        ("sla.clocks[3].starts", 98),
    ]
    assert answer.json["errors"][0]["found"] == "the unknown key half_live"
    assert answer.json["errors"][0]["allowed"].startswith("did you mean `half_life`? one of id, activity")
    document = {"accord": 2, "name": "X", "calendar": {}, "scoring": {}, "stages": {"mql": {"fit": 10**30}}}
    answer = await sides.propose(document)
    assert {error["path"] for error in answer.json["errors"]} == {
        "accord",
        "calendar.timezone",
        "calendar.hours",
        "stages.mql.fit",
    }
    assert all(error["line"] is None for error in answer.json["errors"])
    assert (await sides.caller.get("/v1/accords")).json["items"][0]["version"] == 1


@pytest.mark.parametrize("number", ["1e300", "-1.5e17", "0.1", "5e-324", "123456789012345678", "1e18"])
async def test_what_is_accepted_is_read_again_as_it_was_signed(sides: Sides, pool: asyncpg.Pool, number: str) -> None:
    """A number that Postgres writes in another way must not stop the line when the steps read the document."""
    answer = await sides.propose(
        changed("employees: {gte: 1000}}, points: 30", f"employees: {{gte: {number}}}}}, points: 30")
    )
    if answer.status == 422:
        assert number in ("1e300", "1e18")
        return
    await sides.sign(2)
    async with pool.acquire() as connection:
        document = (await AccordBook().refresh(connection)).newest.document
    assert sha256(canonical_json(document.as_written()).encode()).hexdigest() == answer.json["sha256"]


async def test_a_repeat_with_an_idempotency_key_gives_the_first_answer(sides: Sides) -> None:
    body = {"document": SURVEY}
    first = await sides.marketing.post("/v1/accords", body, idempotency_key="p")
    assert (await sides.marketing.post("/v1/accords", body, idempotency_key="p")).json == first.json
    assert (await sides.marketing.post("/v1/accords", {"document": OTHER}, idempotency_key="p")).status == 422
    signed = await sides.marketing.post("/v1/accords/2/signatures", {}, idempotency_key="s")
    assert (await sides.marketing.post("/v1/accords/2/signatures", {}, idempotency_key="s")).json == signed.json
    taken = await sides.marketing.post("/v1/accords/2/withdrawal", {}, idempotency_key="w")
    again = await sides.marketing.post("/v1/accords/2/withdrawal", {}, idempotency_key="w")
    assert (again.status, again.json) == (200, taken.json)


@pytest.mark.parametrize("role", ["marketing", "sales", "operations", "admin"])
async def test_a_scope_is_needed_whatever_the_role_and_only_admin_has_every_one(sides: Sides, role: str) -> None:
    expected = 201 if role == "admin" else 403
    nobody = await sides.key(role, "leads:read")
    signer, proposer = await sides.key(role, "accord:sign"), await sides.key(role, "accord:propose")
    assert (await nobody.get("/v1/accords")).status == (200 if role == "admin" else 403)
    assert (await signer.get("/v1/accords/1")).status == 200
    assert (await signer.post("/v1/accords", {"document": SURVEY})).status == expected
    if role != "admin":
        assert (await proposer.post("/v1/accords", {"document": SURVEY})).status == 201
    assert (await proposer.post("/v1/accords/2/signatures", {})).status == 403
    assert (await nobody.post("/v1/accords/2/withdrawal", {})).status == (200 if role == "admin" else 403)
    is_side = role in ("marketing", "sales")
    assert (await signer.post("/v1/accords/2/signatures", {})).status == (
        409 if role == "admin" else 201 if is_side else 403
    )


async def test_steps_and_refusals_are_counted(sides: Sides) -> None:
    await sides.agree(SURVEY)
    await sides.propose(SURVEY)
    await sides.propose("accord: 7")
    text = (await sides.caller.with_key(None).get("/metrics")).body.decode()
    for line in (
        'accord_api_accord_steps_total{step="proposed"} 1.0',
        'accord_api_accord_steps_total{step="signed"} 2.0',
        'accord_api_accord_steps_total{step="scheduled"} 1.0',
        'accord_api_accord_refusals_total{reason="no_change"} 1.0',
        'accord_api_accord_refusals_total{reason="invalid_document"} 1.0',
    ):
        assert line in text


async def test_the_description_of_these_calls_has_examples(sides: Sides) -> None:
    paths: dict[str, Any] = (await sides.caller.get("/openapi.json")).json["paths"]
    described = {path: calls for path, calls in paths.items() if path.startswith("/v1/accords")}
    assert set(described) >= {"/v1/accords", "/v1/accords/{version}", "/v1/accords/{version}/signatures"}
    for calls in described.values():
        for call in calls.values():
            answer = next(call["responses"][status] for status in ("200", "201") if status in call["responses"])
            assert answer["content"]["application/json"]["example"]
    assert "application/yaml" in described["/v1/accords"]["post"]["requestBody"]["content"]
