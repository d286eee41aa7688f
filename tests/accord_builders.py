"""Marketing and sales of a test, each with a key of its own, and documents for them to agree on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api_builders import Caller
from asgi_client import Answer

from shared.agreement.loading import default_accord_text
from shared.clock import SystemClock

HOUR = timedelta(hours=1)


def changed(right: str, wrong: str) -> str:
    """The packaged accord with one thing changed."""
    text = default_accord_text()
    assert right in text
    return text.replace(right, wrong, 1)


SURVEY = changed("points: 15, at_most", "points: 20, at_most")
OTHER = changed("within: 1h", "within: 30m")


def now() -> datetime:
    return SystemClock().now()


def refusal(answer: Answer, status: int) -> str:
    """What the problem document says in words."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body
    return str(answer.json["detail"])


@dataclass(frozen=True)
class Sides:
    """Who may do what about accords; `caller` holds the admin key."""

    caller: Caller
    marketing: Caller
    sales: Caller

    async def key(self, role: str, *scopes: str, name: str = "somebody") -> Caller:
        return await _key(self.caller, role, *scopes, name=name)

    async def propose(self, document: Any, effective_at: datetime | None = None) -> Answer:
        body = {"document": document}
        if effective_at is not None:
            body["effective_at"] = effective_at.isoformat()
        return await self.marketing.post("/v1/accords", body)

    async def sign(self, version: int) -> Answer:
        await self.marketing.post(f"/v1/accords/{version}/signatures", {})
        answer = await self.sales.post(f"/v1/accords/{version}/signatures", {})
        assert answer.status == 201, answer.body
        return answer

    async def agree(self, document: Any, effective_at: datetime | None = None) -> Answer:
        """Proposed and signed by both."""
        proposed = await self.propose(document, effective_at)
        assert proposed.status == 201, proposed.body
        return await self.sign(proposed.json["version"])


async def make_sides(caller: Caller) -> Sides:
    scopes = ("accord:propose", "accord:sign", "accords:read")
    marketing = await _key(caller, "marketing", *scopes, name="Mary")
    return Sides(caller, marketing, await _key(caller, "sales", *scopes, name="Sam"))


async def _key(caller: Caller, role: str, *scopes: str, name: str) -> Caller:
    made = await caller.post("/v1/keys", {"name": name, "role": role, "scopes": list(scopes)})
    assert made.status == 201, made.body
    return caller.with_key(made.json["key"])
