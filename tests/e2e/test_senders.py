"""The senders that teams already have, as themselves: SDKs and signers of the vendors, on a real Accord over HTTP."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
import rudderstack.analytics.client as rudderstack
import segment.analytics.client as segment
import standardwebhooks
from builders import eventually
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hubspot.utils.signature import Signature
from running_accord import Answer, Caller, RunningAccord, has_applied
from vendor_goldens import body_of, fixtures
from vendor_signers import SIGNERS

from services.ingest.vendors.registry import VENDORS
from shared.clock import SystemClock, new_id

CLIENTS: Final = {"segment": segment.Client, "rudderstack": rudderstack.Client}


class Source(NamedTuple):
    id: str
    url: str
    secret: str

    @property
    def path(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def a_source(caller: Caller, kind: str, team: str = "marketing", **settings: Any) -> Source:
    body = {"name": f"{kind} {new_id()}", "kind": kind, "team": team, "settings": settings}
    answer = await caller.post("/v1/sources", body)
    assert answer.status == 201, answer
    return Source(answer.json["id"], answer.json["url"], answer.json["secret"])


@pytest.fixture
def stranger(caller: Caller) -> Caller:
    """A sender has no key of Accord's."""
    return caller.with_key(None)


async def counts(caller: Caller, source: Source, expected: Mapping[str, int]) -> bool:
    """Whether so many events of this source stand where they should."""
    found: Counter[str] = Counter()
    for kind in (await caller.get(f"/v1/sources/{source.id}")).json["kinds"]:
        found[kind["standing"]] += kind["events"]
    return found == expected


class Sdk:
    """One vendor's SDK as an application uses it: it gathers, and posts batches from a thread of its own."""

    def __init__(self, make: Callable[..., Any], write_key: str, host: str) -> None:
        self.errors: list[Exception] = []
        self.client = make(write_key=write_key, host=host, on_error=self._note, max_retries=1, upload_interval=0.05)

    async def send(self) -> None:
        """Posts what was gathered, and ends."""
        await asyncio.to_thread(self.client.shutdown)

    def _note(self, error: Exception, _: Any) -> None:
        self.errors.append(error)


@pytest.fixture(params=CLIENTS)
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The class of one vendor's client."""
    found: Callable[..., Any] = CLIENTS[request.param]
    return found


def an_email() -> str:
    return f"{new_id().hex}@okapi.example"


async def test_an_sdks_identify_and_track_become_a_lead_with_a_score(caller: Caller, make: Callable[..., Any]) -> None:
    source, email = await a_source(caller, "segment"), an_email()
    sdk = Sdk(make, source.secret, source.url)
    sdk.client.identify(email, {"email": email, "title": "CTO", "employees": 1_200})
    sdk.client.track(email, "Demo Requested", {"seats": 5})
    sdk.client.page(email, "docs", "Pricing", {"path": "/pricing"})
    await sdk.send()
    assert not sdk.errors
    await eventually(lambda: has_applied(caller, email, lambda lead: lead["engagement"] >= 60))
    lead = (await caller.get(f"/v1/leads/{email}")).json
    assert lead["profile"]["title"] == "CTO"


async def test_what_an_sdk_sends_again_counts_once(caller: Caller, make: Callable[..., Any]) -> None:
    source, email = await a_source(caller, "segment"), an_email()
    for _ in range(2):
        sdk = Sdk(make, source.secret, source.url)
        sdk.client.track(email, "Demo Requested", message_id="m-1")
        await sdk.send()
        assert not sdk.errors
    await eventually(lambda: counts(caller, source, {"accepted": 1, "duplicate": 1}))


async def test_an_sdk_with_a_wrong_key_is_told_and_gives_up(
    shared_accord: RunningAccord, make: Callable[..., Any]
) -> None:
    sdk = Sdk(make, "wrong", f"{shared_accord.url}/segment")
    sdk.client.track("u-1", "Demo Requested")
    await sdk.send()
    (error,) = sdk.errors
    assert "invalid_write_key" in str(error)


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
async def test_what_hubspots_own_signer_signs_is_accepted(caller: Caller, stranger: Caller, version: str) -> None:
    source = await a_source(caller, "hubspot")
    email, contact = an_email(), new_id().int % 10**12
    event = {
        "portalId": 7,
        "subscriptionId": 5,
        "occurredAt": 1_795_337_100_000,
        "attemptNumber": 0,
        "objectId": contact,
    }
    change = {**event, "subscriptionType": "contact.propertyChange", "propertyName": "email", "propertyValue": email}
    body = json.dumps([change])
    stamp = str(int(SystemClock().now().timestamp() * 1_000))
    signature = Signature.get_signature(source.secret, body, version, source.url, "POST", stamp)
    headers = {
        "v3": {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": stamp},
    }.get(version, {"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": version})
    answer = await posted(stranger, source, body.encode(), headers)
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    again = await posted(stranger, source, body.encode(), headers)
    assert (again.status, again.json["duplicates"]) == (200, 1)
    assert (await posted(stranger, source, body.encode() + b" ", headers)).status == 401
    await eventually(lambda: has_applied(caller, email, lambda lead: True))


@pytest.mark.parametrize("to_http", [to_binary, to_structured])
async def test_what_the_cloudevents_library_builds_is_accepted(
    caller: Caller, stranger: Caller, to_http: Callable[..., Any]
) -> None:
    source, email = await a_source(caller, "cloudevents"), an_email()
    attributes = {
        "id": "1",
        "source": "/läden/1",
        "type": "com.example.Demo.Requested",
        "specversion": "1.0",
        "subject": email,
        "datacontenttype": "application/json",
        "time": SystemClock().now() - timedelta(minutes=1),
    }
    message = to_http(CloudEvent(attributes, {"seats": 5}), JSONFormat())
    body = message.body.encode() if isinstance(message.body, str) else message.body
    headers = {**message.headers, "Authorization": f"Bearer {source.secret}"}
    answer = await posted(stranger, source, body, headers)
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    await eventually(lambda: has_applied(caller, email, lambda lead: True))


async def test_what_the_standard_webhooks_library_signs_is_accepted(caller: Caller, stranger: Caller) -> None:
    source = await a_source(caller, "generic")
    body = json.dumps({"type": "demo.requested", "lead": {"email": an_email()}})
    now = SystemClock().now()
    signature = standardwebhooks.Webhook(source.secret).sign("msg_1", now, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    answer = await posted(stranger, source, body.encode(), headers)
    assert (answer.status, answer.json["accepted"]) == (200, 1)


@pytest.mark.parametrize("kind", VENDORS)
async def test_every_fixture_of_every_vendor_is_answered_as_the_vendor_expects(
    caller: Caller, stranger: Caller, kind: str
) -> None:
    """Each signed as its vendor signs; a forged one beside it is refused."""
    for path in (path for path in fixtures() if path.parent.name == kind):
        fixture = json.loads(path.read_text())
        if "/segment/" in fixture.get("url", ""):
            continue
        source = await a_source(caller, kind, fixture.get("team", "marketing"), **fixture.get("settings", {}))
        body = _one(kind, body_of(fixture))
        answer = await posted(stranger, source, body, _proof(source, kind, body) | fixture.get("headers", {}))
        assert answer.status in (200, 422 if kind in ("generic", "cloudevents") else 200), (path, answer)
        assert answer.text
        forged = await posted(
            stranger, source, body, _proof(source._replace(secret="b3RoZXI="), kind, body) | fixture.get("headers", {})
        )
        assert forged.status == 401 or VENDORS[kind].secret_in_url


def _one(kind: str, body: bytes) -> bytes:
    """Segment's destination signs one event: of a list the first."""
    return json.dumps(json.loads(body)[0]).encode() if kind == "segment" and body.startswith(b"[") else body


def _proof(source: Source, kind: str, body: bytes) -> dict[str, str]:
    now = SystemClock().now()
    return dict(SIGNERS[kind](body, source.secret, source.url, now).headers)


async def posted(stranger: Caller, source: Source, body: bytes, headers: Mapping[str, str]) -> Answer:
    path = f"/v1/hooks/{source.id}" if source.url.endswith("/segment") else source.path
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    return await stranger.post(path, raw=body, **named)


async def test_a_hubspot_deal_is_won_for_the_first_contact_that_it_is_tied_to(caller: Caller, stranger: Caller) -> None:
    """Deals name nobody: one that is not tied yet is kept and makes no lead; a second contact is not the first one."""
    source = await a_source(caller, "hubspot", "sales")
    first, second = an_email(), an_email()
    ada, bob, deal, loose = (new_id().int % 10**12 for _ in range(4))
    changes: list[dict[str, Any]] = [
        _hubspot("deal.propertyChange", objectId=loose, propertyName="dealstage", propertyValue="closedwon"),
        _hubspot("contact.propertyChange", objectId=ada, propertyName="email", propertyValue=first),
        _hubspot("deal.associationChange", associationType="DEAL_TO_CONTACT", fromObjectId=deal, toObjectId=ada),
        _hubspot("deal.associationChange", associationType="DEAL_TO_CONTACT", fromObjectId=deal, toObjectId=bob),
        _hubspot("contact.propertyChange", objectId=bob, propertyName="email", propertyValue=second),
        _hubspot("deal.propertyChange", objectId=deal, propertyName="dealstage", propertyValue="closedwon"),
    ]
    for change in changes:
        body = json.dumps([change]).encode()
        answer = await posted(stranger, source, body, _proof(source, "hubspot", body))
        assert answer.status == 200, answer
        assert not answer.json["rejected"]
    await eventually(lambda: has_applied(caller, first, lambda lead: lead["stage"] == "customer"))
    await eventually(lambda: has_applied(caller, second, lambda lead: lead["stage"] == "opportunity"))
    await eventually(lambda: counts(caller, source, {"accepted": 7, "incomplete": 1}))


def _hubspot(kind: str, **parts: Any) -> dict[str, Any]:
    common = {"portalId": 7, "subscriptionId": 5, "occurredAt": 1_795_337_100_000, "attemptNumber": 0}
    return {**common, "subscriptionType": kind, "associationRemoved": False, **parts}


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        ("mailchimp", "GET", 200),
        ("surveymonkey", "HEAD", 200),
        ("cloudevents", "OPTIONS", 200),
        ("typeform", "GET", 405),
        ("pipedrive", "OPTIONS", 405),
        ("generic", "DELETE", 405),
    ],
)
async def test_handshakes_need_no_secret_and_other_kinds_have_none(
    caller: Caller, session: aiohttp.ClientSession, kind: str, method: str, status: int
) -> None:
    source = await a_source(caller, kind)
    address = source.url.partition("?")[0]
    asks = {"WebHook-Request-Origin": "shop.example", "WebHook-Request-Rate": "120"}
    async with session.request(method, address, headers=asks) as answer:
        assert answer.status == status
        if kind == "cloudevents":
            assert answer.headers["WebHook-Allowed-Origin"] == "shop.example"
            assert answer.headers["WebHook-Allowed-Rate"] == "*"
        if method != "HEAD" and kind != "mailchimp":
            assert "POST" in answer.headers["Allow"]
