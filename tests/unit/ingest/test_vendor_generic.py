"""Any JSON: four proofs, JMESPath, and plain events where the source has no map."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from msgspec.structs import replace
from vendor_builders import RECEIVED_AT, SECRET, only, read, sent, source, verdict

from services.ingest.vendors.judging import judge
from services.ingest.vendors.registry import check_settings
from services.ingest.vendors.source_settings import InvalidSettings
from services.ingest.vendors.vendor import RefusalReason, Sent, Standing

BODY = b'{"kind": "Guide Fetched", "who": {"mail": "ada@example.com", "no": 7}, "staff": "1,200", "at": 1795339800}'
MAP: dict[str, Any] = {
    "type": "kind",
    "email": "who.mail",
    "ids": {"shop": "who.no"},
    "profile": {"employees": "staff"},
    "occurred_at": "at",
    "data": "{title: 'Guide'}",
}


def signed(body: bytes = BODY, *, secret: str = SECRET, late: timedelta = timedelta()) -> Sent:
    stamp = RECEIVED_AT - late
    signature = standardwebhooks.Webhook(secret).sign("msg_1", stamp, body.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(stamp.timestamp())),
        "webhook-signature": f"v1a,AAAA {signature}",
    }
    return sent(body, headers)


def reason(request: Sent, *secrets: str, **settings: Any) -> RefusalReason | None:
    refusal = verdict(request, source("generic", *secrets, **settings))
    return refusal.reason if refusal else None


def test_what_the_standard_webhooks_library_signs_is_accepted_with_an_older_secret_too() -> None:
    assert reason(signed()) is None
    assert reason(signed(), "whsec_" + base64.b64encode(b"n" * 24).decode(), SECRET) is None


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (replace(signed(), body=BODY + b" "), RefusalReason.FORGED),
        (signed(secret="whsec_" + base64.b64encode(b"other secret of 24 bytes").decode()), RefusalReason.FORGED),
        (signed(late=timedelta(seconds=301)), RefusalReason.STALE),
        (signed(late=timedelta(seconds=-301)), RefusalReason.STALE),
        (sent(BODY), RefusalReason.UNPROVEN),
        (sent(BODY, {"webhook-id": "msg_1"}), RefusalReason.UNPROVEN),
        (sent(BODY, {**signed().headers, "webhook-timestamp": "1e9"}), RefusalReason.FORGED),
        (sent(BODY, {**signed().headers, "webhook-signature": "v1,,  ,v1"}), RefusalReason.FORGED),
    ],
)
def test_a_forged_late_or_unsigned_webhook_is_refused(request_: Sent, expected: RefusalReason) -> None:
    assert reason(request_) is expected


def test_a_bearer_token_or_a_password_is_the_secret() -> None:
    password = base64.b64encode(f"anybody:{SECRET}".encode()).decode()
    assert reason(sent(BODY, {"Authorization": f"Bearer {SECRET}"})) is None
    assert reason(sent(BODY, {"Authorization": f"basic {password}"})) is None
    assert reason(sent(BODY, {"Authorization": f"Bearer {SECRET}x"})) is RefusalReason.FORGED
    assert reason(sent(BODY, {"Authorization": "Basic ☃"})) is RefusalReason.FORGED


def test_a_source_that_asks_for_one_proof_takes_no_other() -> None:
    bearer = sent(BODY, {"Authorization": f"Bearer {SECRET}"})
    assert reason(bearer, auth={"type": "basic"}) is RefusalReason.FORGED
    assert reason(bearer, auth={"type": "standard"}) is RefusalReason.UNPROVEN
    password = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    basic = sent(BODY, {"Authorization": f"Basic {password}"})
    assert reason(basic, auth={"type": "basic", "user": "ann"}) is None
    assert reason(basic, auth={"type": "basic", "user": "bob"}) is RefusalReason.FORGED


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_an_hmac_has_the_header_algorithm_encoding_and_prefix_of_the_source(algorithm: str, encoding: str) -> None:
    raw = hmac.new(b"key", BODY, getattr(hashlib, algorithm)).digest()
    value = raw.hex().upper() if encoding == "hex" else base64.b64encode(raw).decode()
    auth = {"type": "hmac", "header": "X-Shop-Sign", "algorithm": algorithm, "encoding": encoding, "prefix": "s="}
    assert reason(sent(BODY, {"x-shop-sign": f"s={value}"}), "key", auth=auth) is None
    assert reason(sent(BODY + b" ", {"x-shop-sign": f"s={value}"}), "key", auth=auth) is RefusalReason.FORGED
    assert reason(sent(BODY), "key", auth=auth) is RefusalReason.UNPROVEN


def test_jmespath_finds_the_parts_of_an_event() -> None:
    item = only(sent(BODY), source("generic", map=MAP))
    assert item.standing is Standing.MAPPED
    assert item.event == {
        "type": "guide.fetched",
        "lead": {"email": "ada@example.com", "ids": {"shop": "7"}},
        "occurred_at": "2026-11-22T09:30:00Z",
        "profile": {"employees": 1200},
        "data": {"title": "Guide"},
    }


def test_the_sources_own_mapping_comes_before_folding() -> None:
    mapped = source("generic", map=MAP, events={"Guide Fetched": "whitepaper.downloaded"})
    item = only(sent(BODY), mapped)
    assert item.event is not None
    assert item.event["type"] == "whitepaper.downloaded"
    ignored = only(sent(BODY), source("generic", map=MAP, events={"Guide Fetched": None}))
    assert (ignored.standing, ignored.event) == (Standing.IGNORED, None)


def test_a_bad_event_spoils_its_own_only() -> None:
    body = json.dumps({"rows": [{"kind": "a", "who": {"mail": "a@b.example"}}, {"kind": 5}, {"kind": "c"}]})
    config = source("generic", map={"events": "rows", "type": "kind", "email": "who.mail"})
    judged = judge(read(sent(body), config), config, received_at=RECEIVED_AT, event_bytes_max=None)
    assert [fit.posted.type for fit in judged.fit] == ["a"]
    assert [(bad.position, bad.faults[0].path) for bad in judged.bad] == [(1, "map.type")]
    assert [(item.position, item.standing) for item in judged.kept] == [(2, Standing.INCOMPLETE)]


def test_without_a_map_the_body_is_plain_events_whose_types_are_folded() -> None:
    body = json.dumps([{"type": "Demo Requested", "lead": {"email": "ada@example.com"}}, {"type": 1}, 3])
    config = source("generic", campaign="q4")
    found = read(sent(body), config)
    judged = judge(found, config, received_at=RECEIVED_AT, event_bytes_max=None)
    assert [(fit.posted.type, fit.posted.campaign, fit.posted.source) for fit in judged.fit] == [
        ("demo.requested", "q4", "our generic")
    ]
    assert [bad.faults[0].path for bad in judged.bad] == ["type", ""]


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"map": {"type": "a..b"}}, "map.type"),
        ({"map": {}}, "map.type"),
        ({"auth": {"type": "hmac", "algorithm": "md5"}}, "auth.algorithm"),
        ({"auth": {"type": "hmac", "header": "no header"}}, "auth.header"),
        ({"events": {"x": "sales.sold"}}, "events.x"),
        ({"evnts": {}}, "evnts"),
        ({"ids": {"user_id": "email"}}, "ids.user_id"),
        ({"map": {"type": "a", "ids": {"anonymous_id": "b"}}}, "map.ids.anonymous_id"),
    ],
)
def test_wrong_settings_are_named_with_their_path(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        check_settings("generic", settings)
    assert [fault.path for fault in caught.value.faults] == [path]


def test_an_unknown_kind_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidSettings, match="generic"):
        check_settings("fax", {})
