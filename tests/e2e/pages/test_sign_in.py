"""The way in, and out again."""

from browser import Desk, at_desk
from builders import eventually
from playwright.async_api import Browser, expect
from running_accord import ADMIN_KEY, Caller, RunningAccord


async def test_a_key_opens_the_board_and_signing_out_closes_it(browser: Browser, shared_accord: RunningAccord) -> None:
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.go("/")
        await expect(desk.page).to_have_url(f"{shared_accord.url}/sign-in?next=%2F")
        await desk.sign_in(ADMIN_KEY)
        await expect(desk.page.get_by_role("heading", level=1)).to_have_text("Today")
        (cookie,) = [one for one in await desk.context.cookies() if one["name"] == "accord_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert ADMIN_KEY not in cookie["value"]
        await desk.page.get_by_role("button", name="Sign out").click()
        await desk.go("/")
        await expect(desk.page).to_have_url(f"{shared_accord.url}/sign-in?next=%2F")
        assert desk.complaints == []


async def test_a_wrong_key_is_told_so(browser: Browser, shared_accord: RunningAccord) -> None:
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.go("/sign-in")
        await desk.page.get_by_label("Your key").fill("acc_nobody_000000000000")
        await desk.page.get_by_role("button", name="Sign in").click()
        await expect(desk.page.get_by_role("alert")).to_have_text("No key like this works.")


async def test_a_link_with_a_key_behind_the_hash_leads_in_and_leaves_no_trace(
    browser: Browser, shared_accord: RunningAccord
) -> None:
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.go(f"/sign-in#{ADMIN_KEY}")
        await expect(desk.page.get_by_role("heading", level=1)).to_have_text("Today")
        assert ADMIN_KEY not in desk.page.url


async def test_a_revoked_key_ends_its_session(browser: Browser, shared_accord: RunningAccord, caller: Caller) -> None:
    made = await caller.post("/v1/keys", {"name": "leaving", "role": "sales", "scopes": ["leads:read"]})
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.sign_in(made.json["key"])
        assert (await caller.delete(f"/v1/keys/{made.json['id']}")).status == 204

        async def is_out() -> bool:
            await desk.go("/")
            return await desk.page.get_by_label("Your key").is_visible()

        # What is known of a key is believed for half a second.
        await eventually(is_out, within=10)


async def test_a_form_that_another_site_sends_is_refused(desk: Desk) -> None:
    answer = await desk.context.request.post(f"{desk.url}/sign-out", headers={"sec-fetch-site": "cross-site"})
    assert answer.status == 403
    await desk.go("/")
    await expect(desk.page.get_by_role("button", name="Sign out")).to_be_visible()
