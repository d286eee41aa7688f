"""Signing in to the web pages at an issuer that runs here: the whole way, and what may go wrong on it."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from api_builders import Caller, running_line
from asgi_client import Answer, ask
from issuer import AUDIENCE, CLIENT, CLIENT_SECRET, Issuer, running_issuer


class Browser:
    """Keeps cookies, and follows no redirect by itself."""

    def __init__(self, caller: Caller) -> None:
        self._app = caller.app
        self.cookies: dict[str, str] = {}

    async def get(self, path: str) -> Answer:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await ask(self._app, path, headers={"cookie": kept})
        for line in answer.set_cookies:
            for name, morsel in SimpleCookie(line).items():
                assert morsel["httponly"]
                assert morsel["samesite"] == "lax"
                self.cookies[name] = morsel.value
        self.cookies = {name: value for name, value in self.cookies.items() if value}
        return answer

    async def set_out(self, following: str = "/") -> str:
        """To the issuer; what it sends the browser back to."""
        answer = await self.get(f"/sign-in/issuer?{urlencode({'next': following})}")
        assert answer.status == 303
        async with (
            aiohttp.ClientSession() as session,
            session.get(answer.headers["location"], allow_redirects=False) as sent,
        ):
            assert sent.status == 302
            back = urlsplit(sent.headers["Location"])
        return f"{back.path}?{back.query}"


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def browser(database_url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Browser]:
    for name, value in {
        "ISSUER": issuer.url,
        "AUDIENCE": AUDIENCE,
        "CLIENT_ID": CLIENT,
        "CLIENT_SECRET": CLIENT_SECRET,
    }.items():
        monkeypatch.setenv(f"ACCORD_OIDC_{name}", value)
    async with running_line(database_url, "api") as caller:
        yield Browser(caller)


async def test_who_the_issuer_vouches_for_is_led_to_the_page_that_was_asked_for(browser: Browser) -> None:
    assert b"Sign in with your account" in (await browser.get("/sign-in")).body
    back = await browser.set_out("/?from=mail")
    arrived = await browser.get(back)
    assert (arrived.status, arrived.headers["location"]) == (303, "/?from=mail")
    assert set(browser.cookies) == {"accord_session"}
    today = await browser.get("/")
    assert today.status == 200
    assert b"mary@accord.example" in today.body


async def test_an_answer_counts_once_and_for_who_set_out(browser: Browser) -> None:
    back = await browser.set_out()
    kept = dict(browser.cookies)
    assert (await browser.get(back)).status == 303
    browser.cookies = kept
    again = await browser.get(back)
    assert again.status == 401
    assert b"gave no token" in again.body
    browser.cookies = {}
    assert (await browser.get(back)).status == 401


async def test_another_state_or_issuer_is_refused(browser: Browser) -> None:
    for change in ({"state": "other"}, {"iss": "https://elsewhere.example"}):
        back = urlsplit(await browser.set_out())
        query = {name: values[0] for name, values in parse_qs(back.query).items()} | change
        answer = await browser.get(f"{back.path}?{urlencode(query)}")
        assert answer.status == 401
        assert b"not the answer to your signing in" in answer.body
        assert "accord_session" not in browser.cookies


async def test_a_refusal_of_the_issuer_is_told(browser: Browser) -> None:
    back = urlsplit(await browser.set_out())
    state = parse_qs(back.query)["state"][0]
    answer = await browser.get(f"{back.path}?{urlencode({'error': 'access_denied', 'state': state})}")
    assert answer.status == 401
    assert b"did not let you in" in answer.body


@pytest.mark.parametrize(
    ("claims", "status"),
    [({"nonce": "other"}, 401), ({"aud": AUDIENCE}, 401), ({"role": None}, 403), ({"role": "chief"}, 403)],
)
async def test_a_token_for_something_else_lets_nobody_in(
    browser: Browser, issuer: Issuer, claims: dict[str, str | None], status: int
) -> None:
    issuer.claims = claims
    assert (await browser.get(await browser.set_out())).status == status
    assert "accord_session" not in browser.cookies


async def test_while_the_issuer_is_away_the_page_says_so(
    database_url: str, issuer: Issuer, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = await browser.set_out()
    issuer.is_away = True
    answer = await browser.get(back)
    assert answer.status == 503
    assert b"be reached just now" in answer.body


async def test_nobody_is_sent_elsewhere_after_signing_in(browser: Browser) -> None:
    for elsewhere in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "javascript:1"):
        arrived = await browser.get(await browser.set_out(elsewhere))
        assert arrived.headers["location"] == "/", elsewhere
        browser.cookies = {}
