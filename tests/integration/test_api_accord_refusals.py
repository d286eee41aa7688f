"""What is refused in the life of a version, and what becomes of two who act at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import asyncpg
import pytest
from accord_builders import HOUR, OTHER, SURVEY, Sides, make_sides, now, refusal
from api_builders import running_line
from builders import eventually

from shared.agreement.loading import default_accord_text


@pytest.fixture
async def sides(database_url: str) -> AsyncIterator[Sides]:
    async with running_line(database_url, "api") as caller:
        yield await make_sides(caller)


async def test_a_second_proposal_is_refused_while_one_is_open(sides: Sides) -> None:
    await sides.propose(SURVEY)
    told = refusal(await sides.propose(OTHER), 409)
    assert "Version 2 is proposed already" in told
    assert "withdraws it" in told
    assert (await sides.sales.post("/v1/accords/2/withdrawal", {})).status == 200
    assert (await sides.propose(OTHER)).json["version"] == 3


async def test_a_document_that_changes_nothing_is_refused(sides: Sides) -> None:
    told = refusal(await sides.propose("# only a comment\n" + default_accord_text()), 409)
    assert "that of version 1" in told
    await sides.agree(SURVEY)
    assert "that of version 2" in refusal(await sides.propose(SURVEY), 409)
    assert (await sides.propose(default_accord_text())).status == 201  # back to what was


async def test_one_side_signs_once_and_only_marketing_and_sales_do(sides: Sides) -> None:
    await sides.propose(SURVEY)
    for role in ("operations", "admin"):
        other = await sides.key(role, "accord:sign")
        assert "marketing or sales" in refusal(await other.post("/v1/accords/2/signatures", {}), 403)
    assert "marketing or sales" in refusal(await sides.caller.post("/v1/accords/2/signatures", {}), 403)
    assert (await sides.marketing.post("/v1/accords/2/signatures", {})).status == 201
    told = refusal(await sides.marketing.post("/v1/accords/2/signatures", {}), 409)
    assert "Marketing has signed version 2 already. Allowed: a signature of sales." in told
    colleague = await sides.key("marketing", "accord:sign")
    assert "Marketing has signed" in refusal(await colleague.post("/v1/accords/2/signatures", {}), 409)


async def test_one_person_does_not_sign_for_both_sides(sides: Sides, pool: asyncpg.Pool) -> None:
    await sides.propose(SURVEY)
    await sides.marketing.post("/v1/accords/2/signatures", {})
    await pool.execute("UPDATE api.keys SET role = 'sales' WHERE name = 'Mary'")

    async def is_told() -> bool:
        answer = await sides.marketing.post("/v1/accords/2/signatures", {})
        return "one person does not sign for both sides" in answer.json["detail"] and answer.status == 403

    # What is read of a key is believed for a second.
    await eventually(is_told, within=3)
    assert (await sides.sales.post("/v1/accords/2/signatures", {})).json["state"] == "scheduled"


async def test_only_a_proposal_is_signed_or_withdrawn(sides: Sides, pool: asyncpg.Pool) -> None:
    async def told(number: int) -> list[str]:
        answers = [
            await sides.marketing.post(f"/v1/accords/{number}/{step}", {}) for step in ("signatures", "withdrawal")
        ]
        return [refusal(answer, 409) for answer in answers]

    await sides.propose(OTHER)
    withdrawn = await sides.sales.post("/v1/accords/2/withdrawal", {})
    assert (withdrawn.json["state"], withdrawn.json["withdrawn_by"]) == ("withdrawn", "Sam")
    assert all("Version 2 is withdrawn" in words and "propose the document again" in words for words in await told(2))
    await sides.agree(SURVEY)
    assert all("Version 3 is scheduled" in words and "propose a new version" in words for words in await told(3))
    await pool.execute("UPDATE api.accords SET effective_at = now() WHERE version = 3")
    assert all("Version 3 is effective" in words for words in await told(3))
    assert all("Version 1 is superseded" in words and "to go back to it" in words for words in await told(1))
    assert (await sides.marketing.post("/v1/accords/9/signatures", {})).status == 404
    assert (await sides.marketing.post("/v1/accords/x/withdrawal", {})).status == 404


async def test_who_withdraws(sides: Sides) -> None:
    await sides.propose(SURVEY)
    stranger = await sides.key("operations", "accord:propose")
    assert "role operations" in refusal(await stranger.post("/v1/accords/2/withdrawal", {}), 403)
    for number, who in enumerate((sides.marketing, sides.sales, sides.caller), 2):
        assert (await who.post(f"/v1/accords/{number}/withdrawal", {})).status == 200
        await sides.propose(SURVEY)
    await sides.sales.post("/v1/accords/5/withdrawal", {})
    assert (await stranger.post("/v1/accords", {"document": SURVEY})).json["version"] == 6
    assert (await stranger.post("/v1/accords/6/withdrawal", {})).status == 200  # its own


async def test_a_time_too_early_is_refused_and_the_last_one_given_counts(sides: Sides) -> None:
    for early in (now() - HOUR, now() + timedelta(seconds=5)):
        told = refusal(await sides.propose(SURVEY, effective_at=early), 422)
        assert "effective_at: must come at least 10 s after the second signature" in told
    assert (await sides.propose(SURVEY, effective_at=now() + HOUR)).status == 201
    early_body = {"effective_at": now().isoformat()}
    assert "at least 10 s" in refusal(await sides.marketing.post("/v1/accords/2/signatures", early_body), 422)
    assert (await sides.marketing.post("/v1/accords/2/signatures", {})).status == 201
    later = now() + 2 * HOUR
    answer = await sides.sales.post("/v1/accords/2/signatures", {"effective_at": later.isoformat()})
    assert datetime.fromisoformat(answer.json["effective_at"]) == later


async def test_a_time_that_passed_before_the_second_signature_is_refused_until_a_new_one_is_given(
    sides: Sides, pool: asyncpg.Pool
) -> None:
    await sides.propose(SURVEY, effective_at=now() + HOUR)
    await pool.execute("UPDATE api.accords SET effective_at = now() - interval '1 minute' WHERE version = 2")
    assert (await sides.sales.post("/v1/accords/2/signatures", {})).status == 201
    assert "Allowed now: " in refusal(await sides.marketing.post("/v1/accords/2/signatures", {}), 422)
    later = {"effective_at": (now() + HOUR).isoformat()}
    assert (await sides.marketing.post("/v1/accords/2/signatures", later)).json["state"] == "scheduled"


async def test_a_version_takes_effect_after_those_that_were_signed_before_it(sides: Sides) -> None:
    await sides.agree(SURVEY, effective_at=now() + HOUR)
    told = refusal(await sides.propose(OTHER, effective_at=now() + HOUR / 2), 422)
    assert "must come after that of version 2" in told
    assert (await sides.propose(OTHER)).status == 201
    await sides.marketing.post("/v1/accords/3/signatures", {})
    assert "must come after that of version 2" in refusal(await sides.sales.post("/v1/accords/3/signatures", {}), 422)
    later = {"effective_at": (now() + 2 * HOUR).isoformat()}
    assert (await sides.sales.post("/v1/accords/3/signatures", later)).json["state"] == "scheduled"


async def test_of_two_that_propose_at_once_one_is_told_of_the_other(sides: Sides) -> None:
    answers = await asyncio.gather(*(sides.propose(text) for text in (SURVEY, OTHER, SURVEY, OTHER)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert len((await sides.caller.get("/v1/accords")).json["items"]) == 2


async def test_of_many_that_sign_at_once_one_of_each_side_counts(sides: Sides) -> None:
    colleagues = [await sides.key(role, "accord:sign") for role in ("marketing", "sales") for _ in range(2)]
    await sides.propose(SURVEY)
    signers = (sides.marketing, sides.sales, *colleagues)
    answers = await asyncio.gather(*(who.post("/v1/accords/2/signatures", {}) for who in signers))
    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409, 409, 409]
    shown = (await sides.caller.get("/v1/accords/2")).json
    assert (shown["state"], {s["role"] for s in shown["signatures"]}) == ("scheduled", {"marketing", "sales"})


async def test_a_withdrawal_and_the_second_signature_at_once_leave_no_doubt(sides: Sides) -> None:
    await sides.propose(SURVEY)
    await sides.marketing.post("/v1/accords/2/signatures", {})
    signed, withdrawn = await asyncio.gather(
        sides.sales.post("/v1/accords/2/signatures", {}), sides.marketing.post("/v1/accords/2/withdrawal", {})
    )
    assert sorted((signed.status, withdrawn.status)) in ([200, 409], [201, 409])
    state = (await sides.caller.get("/v1/accords/2")).json["state"]
    assert state == ("scheduled" if signed.status == 201 else "withdrawn")
