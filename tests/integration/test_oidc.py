"""Tokens of an issuer, checked against one that runs here."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from api_builders import running_line
from cryptography.hazmat.primitives.asymmetric import rsa
from issuer import AUDIENCE, Issuer, running_issuer
from pydantic import SecretStr

from shared.errors import InvalidDocument, Unavailable
from shared.http.issuer import open_issuer
from shared.http.problems import Problem
from shared.http.scopes import ROLE_SCOPES
from shared.http.tokens import IssuerKeys, IssuerTokens, OidcSettings


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def tokens(issuer: Issuer) -> AsyncIterator[IssuerTokens]:
    async with AsyncExitStack() as stack:
        opened = await open_issuer(OidcSettings(issuer=issuer.url, audience=AUDIENCE), "http://accord.example", stack)
        assert opened is not None
        assert opened.entrance is None
        yield opened.tokens


async def test_a_token_gives_the_scopes_of_its_role(issuer: Issuer, tokens: IssuerTokens) -> None:
    principal = await tokens.authenticate(issuer.token())
    assert principal is not None
    assert (principal.key_id, principal.name, principal.role) == ("oidc:u-1", "mary@accord.example", "sales")
    assert principal.scopes == ROLE_SCOPES["sales"]
    assert not principal.may("keys:write")
    several = await tokens.authenticate(issuer.token(role=["staff", "operations", "admin"]))
    assert several is not None
    assert several.role == "operations"


async def test_what_isn_t_valid_is_nobody(issuer: Issuer, tokens: IssuerTokens) -> None:
    now = int(time.time())  # noqa: TID251
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    wrong = {
        "expired": issuer.token(exp=now - 60),
        "not yet": issuer.token(nbf=now + 120),
        "for others": issuer.token(aud="somebody"),
        "of others": issuer.token(iss="https://elsewhere.example"),
        "without end": issuer.token(exp=None),
        "without subject": issuer.token(sub=None),
        "signed by others": issuer.token(signed_with=stranger),
        "unknown key": issuer.token(headers={"kid": "third"}),
        "shared secret": issuer.token(signed_with="secret" * 10, headers={"alg": "HS256", "kid": "shared"}),
        "unsigned": issuer.token(signed_with="", headers={"alg": "none"}),
        "no token": "a.b.c",
        "too long": "a" * 20_000,
    }
    for what, token in wrong.items():
        assert await tokens.authenticate(token) is None, what
    assert await tokens.authenticate(issuer.token(exp=now - 10)) is not None, "clocks differ by some seconds"


async def test_a_token_without_a_role_is_told_which_there_are(issuer: Issuer, tokens: IssuerTokens) -> None:
    for role in (None, "chief", ["chief"], {"a": 1}):
        with pytest.raises(Problem, match="403") as refused:
            await tokens.authenticate(issuer.token(role=role))
        assert "marketing, sales, operations, admin" in str(refused.value.detail)


async def test_a_role_may_lie_inside_a_claim(issuer: Issuer) -> None:
    async with AsyncExitStack() as stack:
        settings = OidcSettings(issuer=issuer.url, audience=AUDIENCE, role_claim="realm_access.roles")
        opened = await open_issuer(settings, "http://accord.example", stack)
        assert opened is not None
        principal = await opened.tokens.authenticate(issuer.token(realm_access={"roles": ["offline", "marketing"]}))
    assert principal is not None
    assert principal.role == "marketing"


async def test_keys_are_kept_rotated_and_believed_while_the_issuer_is_away(issuer: Issuer) -> None:
    at = 0.0

    async def fetch(url: str) -> object:
        issuer.asked += 1
        if issuer.is_away:
            raise OSError
        return {"keys": [issuer.jwk()]} if url.endswith("/keys") else {"issuer": "x", "jwks_uri": "https://x/keys"}

    keys = IssuerKeys("x", fetch, lambda: at)
    assert await keys.key("first") is not None
    assert await keys.key("first") is not None
    assert issuer.asked == 2
    issuer.rotate()
    assert await keys.key("second") is None, "asked a moment ago"
    at += 11
    assert await keys.key("second") is not None
    issuer.is_away, at = True, at + 3_000
    assert await keys.key("second") is not None
    assert issuer.asked == 5
    at += 3_000
    with pytest.raises(Unavailable):
        await keys.key("second")


def test_half_an_issuer_is_refused() -> None:
    for issuer, audience in (("https://a.example", None), (None, "x"), ("http://a.example", "x"), ("a.example", "x")):
        with pytest.raises(InvalidDocument):
            OidcSettings(issuer=issuer, audience=audience)
    with pytest.raises(InvalidDocument, match="ACCORD_OIDC_CLIENT_ID needs"):
        OidcSettings(client_id="accord")
    with pytest.raises(InvalidDocument, match="ACCORD_OIDC_CLIENT_SECRET needs"):
        OidcSettings(issuer="https://a.example", audience="x", client_secret=SecretStr("s"))
    assert OidcSettings(issuer="https://a.example/realm", audience="x").role_claim == "role"


async def test_a_token_works_wherever_a_key_does(
    database_url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_OIDC_ISSUER", issuer.url)
    monkeypatch.setenv("ACCORD_OIDC_AUDIENCE", AUDIENCE)
    async with running_line(database_url) as caller:
        sales, marketing = (caller.with_key(issuer.token(role=role)) for role in ("sales", "marketing"))
        assert (await sales.get("/v1/leads")).status == 200
        assert (await sales.get("/v1/keys")).status == 403
        await marketing.post_event("demo.requested", "mary@acme.example")
        await caller.lead_in_stage("mary@acme.example", "lead")
        path = "/v1/leads/mary@acme.example/actions"
        acted = [await sales.post(path, {"action": "note", "note": "x"}, idempotency_key="1") for _ in range(2)]
        assert {answer.status for answer in acted} == {202}
        assert len({answer.json["event_id"] for answer in acted}) == 1
        assert (await caller.with_key(issuer.token() + "x").get("/v1/leads")).status == 401
