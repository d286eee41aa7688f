"""Sources: what a sender brings is counted while it comes, what could not be used says why, and is taken once more."""

from typing import Any

from browser import Desk
from builders import eventually
from playwright.async_api import expect
from running_accord import Caller, has_applied

from shared.clock import new_id

NAME = '<script>alert("x")</script> معرض الخريف '
MAP = {"type": "kind", "email": "email", "profile": {"title": "title", "employees": "employees"}}
WON: tuple[dict[str, Any], ...] = (
    {"action": "accepted"},
    {"action": "qualified"},
    {"action": "opportunity.opened", "amount": 12_000, "currency": "EUR"},
    {"action": "won", "amount": 11_500, "currency": "EUR"},
)


class Sender:
    """A source of kind generic, with a name that no page has reckoned with."""

    def __init__(self, caller: Caller, made: dict[str, Any]) -> None:
        self.id = made["id"]
        self.name = made["name"]
        self._path = f"/v1/hooks/{made['id']}"
        self._as_sender = caller.with_key(made["secret"])

    async def send(self, *bodies: dict[str, Any]) -> int:
        return (await self._as_sender.post(self._path, list(bodies))).status


async def a_sender(caller: Caller) -> Sender:
    body = {"name": NAME + new_id().hex, "kind": "generic", "team": "marketing", "settings": {"map": MAP}}
    made = await caller.post("/v1/sources", body)
    assert made.status == 201, made
    return Sender(caller, made.json)


async def test_what_a_sender_brings_is_counted_while_it_comes(desk: Desk, caller: Caller) -> None:
    sender = await a_sender(caller)
    await desk.go("/sources")
    row = desk.page.locator(f"#senders tr[data-key='{sender.id}']")
    await expect(row).to_contain_text(sender.name)
    event = {"kind": "Whitepaper Downloaded", "email": f"{new_id().hex}@sources.example"}
    assert await sender.send(event, {**event, "kind": "Survey Completed"}, {**event, "email": "nobody"}) == 200
    await expect(row.locator("td").nth(1)).to_have_text("3")
    await expect(row).to_contain_text("67 %")
    await row.get_by_role("link").click()
    await expect(desk.page.get_by_role("heading", level=1)).to_have_text(sender.name)
    await expect(desk.page.locator("#kinds")).to_contain_text("Survey Completed")
    await expect(desk.page.locator("#events")).to_contain_text("whitepaper.downloaded")
    await expect(desk.page.locator("#reasons")).to_contain_text("the map finds no identifier")
    await desk.page.get_by_role("button", name="Take them once more").click()
    await expect(desk.page.locator(".done")).to_have_text("1 kept request is taken once more, within seconds.")


async def test_a_kind_that_has_no_type_yet_is_told(desk: Desk, caller: Caller) -> None:
    sender = await a_sender(caller)
    assert await sender.send({"kind": "عرض", "email": f"{new_id().hex}@sources.example"}) == 200

    async def is_noted() -> bool:
        return bool((await caller.get(f"/v1/sources/{sender.id}")).json["not_yet_mapped"])

    await eventually(is_noted, within=30)
    await desk.go(f"/sources/{sender.id}")
    await expect(desk.page.locator("#unmapped li")).to_have_text("عرض")


async def test_pipeline_and_revenue_are_credited_to_their_source(desk: Desk, caller: Caller) -> None:
    sender = await a_sender(caller)
    email = f"{new_id().hex}@sources.example"
    assert await sender.send({"kind": "Demo Requested", "email": email, "title": "CEO", "employees": 400}) == 200
    await eventually(lambda: has_applied(caller, email, lambda lead: lead["stage"] == "mql"), within=30)
    for action in WON:
        answer = await caller.post(f"/v1/leads/{email}/actions", action, Prefer="wait=10")
        assert answer.status == 200, answer
    await desk.go("/sources")
    row = desk.page.locator("#by-source tbody tr", has_text=sender.name)
    await expect(row.locator("td")).to_have_text(["1", "1", "12,000 EUR", "1", "11,500 EUR"])
    await desk.page.get_by_label("Credit goes to").select_option("linear")
    await expect(desk.page).to_have_url(f"{desk.url}/sources?days=90&model=linear")
    await expect(desk.page.locator("#by-source .aside")).to_have_text("all touches alike, 90 days")
    await desk.go(f"/sources/{sender.id}")
    await expect(desk.page.locator("#came")).to_contain_text("11,500 EUR")


async def test_a_source_that_is_no_more_is_told_so(desk: Desk) -> None:
    await desk.go(f"/sources/{new_id()}")
    await expect(desk.page.get_by_role("heading", level=1)).to_have_text("No such source")
