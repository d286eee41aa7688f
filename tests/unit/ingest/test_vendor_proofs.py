"""What every vendor must refuse: no proof, a wrong one, one of another body or address, a late one."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from vendor_builders import RECEIVED_AT, SECRET, URL, sent, source, verdict
from vendor_signers import SIGNERS, Sign, hubspot_v1, hubspot_v2, in_address

from services.ingest.vendors import segment
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.vendor import RefusalReason, Sent

BODY = b'{"a": 1}'
OTHER = "whsec_b3RoZXIgc2VjcmV0IG9mIDI0IGJ5dGVzIQ=="
SIGNS_THE_BODY = {"segment", "hubspot", "typeform", "surveymonkey", "calendly", "generic"}
RUBBISH = ["", "☃", "\udcff", "=", ",", "t=,v1=", "v1,", "sha256=", "Basic", "Bearer", "Basic ====", "9" * 40]
SIGNS_THE_TIME = {"hubspot": 300, "calendly": 180, "generic": 300}


def signed(
    kind: str,
    *,
    sign: Sign | None = None,
    secret: str = SECRET,
    body: bytes = BODY,
    url: str = URL,
    late: timedelta = timedelta(),
) -> Sent:
    proof = (sign or SIGNERS[kind])(body, secret, url, RECEIVED_AT - late)
    return sent(body, proof.headers, url=proof.url)


def reason(kind: str, request: Sent, *secrets: str, **settings: Any) -> RefusalReason | None:
    refusal = verdict(request, source(kind, *secrets, **settings))
    return refusal.reason if refusal else None


@pytest.mark.parametrize("kind", VENDORS)
def test_its_own_proof_is_accepted_with_the_current_and_with_an_older_secret(kind: str) -> None:
    assert reason(kind, signed(kind)) is None
    assert reason(kind, signed(kind), OTHER, SECRET) is None


@pytest.mark.parametrize("kind", VENDORS)
def test_no_proof_is_refused_with_the_name_of_what_is_missing(kind: str) -> None:
    refusal = verdict(sent(BODY), source(kind))
    assert refusal is not None
    assert refusal.reason is RefusalReason.UNPROVEN
    assert "missing" in refusal.message


@pytest.mark.parametrize("kind", VENDORS)
def test_a_proof_with_another_secret_is_forged_and_nothing_of_it_is_quoted(kind: str) -> None:
    refusal = verdict(signed(kind, secret=OTHER), source(kind))
    assert refusal is not None
    assert refusal.reason is RefusalReason.FORGED
    assert OTHER not in refusal.message
    assert SECRET not in refusal.message


@pytest.mark.parametrize("kind", sorted(SIGNS_THE_BODY))
@pytest.mark.parametrize("body", [BODY[:-1], BODY + b" ", b"", b'{"a": 2}'])
def test_a_body_that_was_changed_or_cut_is_forged(kind: str, body: bytes) -> None:
    assert reason(kind, replace(signed(kind), body=body)) is RefusalReason.FORGED


@pytest.mark.parametrize("kind", sorted(SIGNS_THE_TIME))
@pytest.mark.parametrize("direction", [1, -1])
def test_a_proof_is_stale_after_the_vendors_tolerance_both_ways(kind: str, direction: int) -> None:
    allowed = timedelta(seconds=SIGNS_THE_TIME[kind])
    assert reason(kind, signed(kind, late=direction * allowed)) is None
    late = direction * (allowed + timedelta(seconds=1))
    assert reason(kind, signed(kind, late=late)) is RefusalReason.STALE


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("value", RUBBISH)
def test_a_header_of_rubbish_is_refused_and_raises_nothing(kind: str, value: str) -> None:
    genuine = signed(kind)
    headers = dict.fromkeys({*genuine.headers, "authorization", "x-signature", "webhook-timestamp"}, value)
    request = sent(BODY, headers, url=f"{URL}?token={value}&access_token=x".encode("ascii", "replace").decode())
    assert reason(kind, request) in (RefusalReason.FORGED, RefusalReason.UNPROVEN)


@pytest.mark.parametrize(("sign", "other_address"), [(hubspot_v2, RefusalReason.FORGED), (hubspot_v1, None)])
def test_hubspots_older_signatures_are_known_and_v2_signs_the_address(
    sign: Sign, other_address: RefusalReason | None
) -> None:
    genuine = signed("hubspot", sign=sign)
    assert reason("hubspot", genuine) is None
    assert reason("hubspot", replace(genuine, body=BODY + b" ")) is RefusalReason.FORGED
    assert reason("hubspot", replace(genuine, url=URL + "/7")) is other_address


def test_hubspots_v3_counts_before_v1_and_knows_an_address_that_was_encoded() -> None:
    genuine = signed("hubspot", sign=hubspot_v1)
    forged = sent(BODY, {**genuine.headers, **signed("hubspot", secret=OTHER).headers})
    assert reason("hubspot", forged) is RefusalReason.FORGED
    decoded = signed("hubspot", url="https://accord.example/v1/hooks/6?to=a@b:c/d,e")
    encoded = replace(decoded, url="https://accord.example/v1/hooks/6?to=a%40b%3Ac%2fd%2Ce")
    assert reason("hubspot", encoded) is None
    other = replace(decoded, url="https://accord.example/v1/hooks/6?to=x")
    assert reason("hubspot", other) is RefusalReason.FORGED


def test_segments_destination_can_be_made_to_send_the_secret_too() -> None:
    batch = json.dumps([{"a": 1}, {"a": 2}]).encode()
    first = SIGNERS["segment"](b'{"a": 1}', SECRET, URL, RECEIVED_AT).headers
    assert reason("segment", sent(batch, first)) is None
    assert reason("segment", sent(batch, first), require_authorization=True) is RefusalReason.UNPROVEN
    both = {**first, "Authorization": f"Bearer {SECRET}"}
    assert reason("segment", sent(batch, both), require_authorization=True) is None
    assert reason("segment", sent(batch, {**both, "X-Signature": "0"}), require_authorization=True) is not None


@pytest.mark.parametrize(
    ("body", "first"),
    [
        (b' [ {"a": [1, "]"]} , {"b": 2}]', b'{"a": [1, "]"]}'),
        ('[{"ü":"😀"},1]'.encode(), '{"ü":"😀"}'.encode()),
        (b'{"a":1}', b'{"a":1}'),
        (b"[", b"["),
        (b"[]", b"[]"),
        (b"[\xff]", b"[\xff]"),
        (b"[" * 100_000, b"[" * 100_000),
    ],
)
def test_the_first_event_of_a_batch_is_cut_out_byte_by_byte(body: bytes, first: bytes) -> None:
    assert segment.first_of(body) == first


def test_the_write_key_is_basics_user_or_stands_in_the_body() -> None:
    url = "https://accord.example/segment/v1/track"
    body = json.dumps({"writeKey": SECRET, "event": "x"}).encode()
    basic = {"Authorization": "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode()}
    assert reason("segment", sent(body, url=url)) is None
    assert reason("segment", sent(b"{}", basic, url=url)) is None
    assert reason("segment", sent(body, {"Authorization": "Bearer oauth"}, url=url)) is None
    assert reason("segment", sent(b'{"writeKey": "no"}', url=url)) is RefusalReason.FORGED
    for nothing in (b"{}", b"[]", b"\xff", b""):
        assert reason("segment", sent(nothing, url=url)) is RefusalReason.UNPROVEN


def test_surveymonkeys_client_id_may_be_fixed_and_the_secret_hold_both() -> None:
    genuine = signed("surveymonkey")
    assert reason("surveymonkey", genuine, client_id="client-6") is None
    assert reason("surveymonkey", genuine, client_id="client-7") is RefusalReason.FORGED
    assert reason("surveymonkey", genuine, f"client-6&{SECRET}") is None


def test_marketos_header_is_the_sources() -> None:
    assert reason("marketo", sent(BODY, {"X-Accord": SECRET}), header="X-Accord") is None
    assert reason("marketo", sent(BODY, {"Authorization": SECRET}), header="X-Accord") is RefusalReason.UNPROVEN


def test_pipedrives_user_may_be_fixed_and_the_secret_hold_both() -> None:
    assert reason("pipedrive", signed("pipedrive"), user="hooks") is None
    assert reason("pipedrive", signed("pipedrive"), user="other") is RefusalReason.FORGED
    assert reason("pipedrive", signed("pipedrive"), f"hooks:{SECRET}") is None


def test_cloudevents_take_the_token_in_the_address_too() -> None:
    assert reason("cloudevents", sent(BODY, url=f"{URL}?access_token={SECRET}")) is None
    assert reason("cloudevents", sent(BODY, url=f"{URL}?access_token=x")) is RefusalReason.FORGED


@pytest.mark.parametrize("kind", ["mailchimp", "eventbrite", "salesforce"])
def test_who_cannot_sign_has_the_secret_in_the_address(kind: str) -> None:
    assert VENDORS[kind].secret_in_url
    assert reason(kind, signed(kind, sign=in_address)) is None
