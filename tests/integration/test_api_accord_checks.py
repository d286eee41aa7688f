"""A document is tried before it is proposed: what would be said of it, with nothing kept."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from accord_builders import OTHER, SURVEY, Sides, changed, make_sides, now, refusal
from api_builders import running_line

from shared.agreement.loading import default_accord_text

CHECKS = "/v1/accords/checks"


@pytest.fixture
async def sides(database_url: str) -> AsyncIterator[Sides]:
    async with running_line(database_url, "api") as caller:
        yield await make_sides(caller)


async def test_a_valid_document_is_compared_and_nothing_is_kept(sides: Sides) -> None:
    tried = await sides.marketing.post(CHECKS, {"document": SURVEY})
    assert tried.status == 200
    assert (tried.json["compared_with"], tried.json["refusal"]) == (1, None)
    assert [change["words"] for change in tried.json["changes"]] == ["survey: 15 → 20 points"]
    assert [item["version"] for item in (await sides.caller.get("/v1/accords")).json["items"]] == [1]
    proposed = await sides.propose(SURVEY)
    kept = {name: proposed.json[name] for name in ("sha256", "warnings")}
    assert {name: tried.json[name] for name in kept} == kept


async def test_every_mistake_is_named_with_its_line_as_when_proposing(sides: Sides) -> None:
    wrong = changed("points: 15, at_most", "points: many, at_mots").replace("cap: 200", "cap: -1")
    tried = await sides.marketing.post(CHECKS, {"document": wrong})
    proposed = await sides.propose(wrong)
    assert tried.json["errors"] == proposed.json["errors"]
    assert {error["path"].rpartition(".")[2] for error in tried.json["errors"]} == {"cap", "points", "at_mots"}
    assert all(error["line"] for error in tried.json["errors"])
    as_yaml = await sides.marketing.post(CHECKS, wrong.encode(), content_type="application/yaml")
    assert as_yaml.json["errors"] == tried.json["errors"]


async def test_why_it_could_not_be_proposed_now_is_said_beside(sides: Sides) -> None:
    same = await sides.marketing.post(CHECKS, {"document": "# a comment\n" + default_accord_text()})
    assert (same.json["changes"], "that of version 1" in same.json["refusal"]) == ([], True)
    early = {"document": SURVEY, "effective_at": (now() - timedelta(hours=1)).isoformat()}
    assert "at least 10 s" in (await sides.marketing.post(CHECKS, early)).json["refusal"]
    await sides.propose(SURVEY)
    assert "Version 2 is proposed already" in (await sides.marketing.post(CHECKS, {"document": OTHER})).json["refusal"]


async def test_only_who_may_propose_may_try(sides: Sides) -> None:
    reader = await sides.key("sales", "accords:read", "accord:sign")
    assert "accord:propose" in refusal(await reader.post(CHECKS, {"document": SURVEY}), 403)
