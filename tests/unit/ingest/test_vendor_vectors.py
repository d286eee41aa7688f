"""Signatures and encodings that stand in the vendors' own documents and tests, or were computed from them elsewhere."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from vendor_builders import read, sent, source, verdict

from services.ingest.model import Refused
from services.ingest.vendors.cloudevents import decoded
from services.ingest.vendors.vendor import RefusalReason

VECTORS: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parent / "vectors.json").read_text())
KINDS: Final = {
    "standard-webhooks-v1": "generic",
    "standard-webhooks-v1a": "generic",
    "hubspot-v1": "hubspot",
    "hubspot-v2": "hubspot",
    "hubspot-v3": "hubspot",
    "typeform": "typeform",
    "segment-x-signature": "segment",
    "surveymonkey": "surveymonkey",
    "calendly": "calendly",
}


def _at(headers: dict[str, str]) -> datetime:
    """The time that the vector was signed at; any other where its scheme has none."""
    signature = headers.get("Calendly-Webhook-Signature", "t=1700000000,")
    stamp = headers.get("webhook-timestamp") or signature[2:].partition(",")[0]
    if "X-HubSpot-Request-Timestamp" in headers:
        return datetime.fromtimestamp(int(headers["X-HubSpot-Request-Timestamp"]) / 1000, UTC)
    return datetime.fromtimestamp(int(stamp), UTC)


def _reason(vector: dict[str, Any], *, late: timedelta = timedelta(), extra: str = "") -> RefusalReason | None:
    headers = vector["headers"]
    request = sent(
        vector["body"] + extra,
        headers,
        method=vector.get("method", "POST"),
        url=vector.get("url", "https://accord.example/v1/hooks/6"),
        received_at=_at(headers) + late,
    )
    refusal = verdict(request, source(KINDS[vector["scheme"]], vector["secret"]))
    return refusal.reason if refusal else None


# The vectors name nobody: the source says that whoever is greeted is meant.
GREETED: Final = source("cloudevents", lead={"ids": {"greeting": "message"}})
SIGNED: Final = [vector for vector in VECTORS if vector["scheme"] in KINDS]


@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: f"{vector['scheme']}: {vector['name']}")
def test_a_vector_is_accepted_or_refused_as_its_source_says(vector: dict[str, Any]) -> None:
    assert _reason(vector) is (None if vector["valid"] else RefusalReason.FORGED)


@pytest.mark.parametrize("vector", [v for v in SIGNED if v["valid"]], ids=lambda v: f"{v['scheme']}: {v['name']}")
def test_a_vector_with_another_body_is_refused(vector: dict[str, Any]) -> None:
    """But for Segment's batches, of which only the first event is signed."""
    if vector["body"].startswith("[") and vector["scheme"] == "segment-x-signature":
        changed = {**vector, "body": "[1," + vector["body"][1:]}
    else:
        changed = {**vector, "body": vector["body"] + "\n"}
    assert _reason(changed) is RefusalReason.FORGED


@pytest.mark.parametrize("scheme", ["standard-webhooks-v1", "standard-webhooks-v1a", "hubspot-v3", "calendly"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_vector_that_comes_late_or_early_is_stale(scheme: str, direction: int) -> None:
    vector = next(v for v in SIGNED if v["scheme"] == scheme and v["valid"])
    minutes = 3 if scheme == "calendly" else 5
    assert _reason(vector, late=direction * timedelta(minutes=minutes)) is None
    assert _reason(vector, late=direction * timedelta(minutes=minutes, seconds=1)) is RefusalReason.STALE


def test_stripes_vector_is_the_scheme_that_calendly_signs_with_under_another_header() -> None:
    signature = "t=1614265330,v1=3c5817089d739023dd6190f70a3757e04f7a2fd8b5dab12c2e000f51970dccff"
    vector = {
        "scheme": "calendly",
        "secret": "whsec_test_secret",
        "headers": {"Calendly-Webhook-Signature": f"{signature},v0={'0' * 64}"},
        "body": '{"id":"evt_test_webhook","object":"event"}',
    }
    assert _reason(vector) is None
    assert _reason({**vector, "secret": "whsec_other"}) is RefusalReason.FORGED


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_cloudevents_in_binary_mode_are_read_as_the_conformance_suite_says(content_type: str) -> None:
    headers = {
        "ce-id": "1234-1234-1234",
        "ce-specversion": "1.0",
        "ce-type": "com.example.someevent",
        "ce-source": "/mycontext/subcontext",
        "ce-time": "2018-04-05T03:56:24Z",
        "Content-Type": content_type,
    }
    (item,) = read(sent('{\n    "message": "Hello World!"\n}', headers), GREETED).items
    assert item.event == _hello()


@pytest.mark.parametrize("content_type", ["application/cloudevents+json", "Application/CloudEvents+JSON; charset=utf8"])
def test_cloudevents_in_structured_mode_are_the_same_event(content_type: str) -> None:
    body = {
        "id": "1234-1234-1234",
        "specversion": "1.0",
        "type": "com.example.someevent",
        "source": "/mycontext/subcontext",
        "time": "2018-04-05T03:56:24Z",
        "datacontenttype": "application/json",
        "data": {"message": "Hello World!"},
    }
    (item,) = read(sent(json.dumps(body), {"Content-Type": content_type}), GREETED).items
    assert item.event == _hello()


def _hello() -> dict[str, Any]:
    return {
        "type": "com.example.someevent",
        "lead": {"ids": {"greeting": "Hello World!"}},
        "id": "%2Fmycontext%2Fsubcontext/1234-1234-1234",
        "occurred_at": "2018-04-05T03:56:24Z",
        "data": {"message": "Hello World!"},
    }


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"a \\"b\\" c"', 'a "b" c'),
        ("100%2525%20%e2%82%ac", "100%25 €"),
    ],
)
def test_a_cloudevents_header_is_unquoted_and_decoded_once(header: str, value: str) -> None:
    assert decoded(header, "ce-subject") == value


def test_overlong_utf_8_in_a_cloudevents_header_is_refused() -> None:
    with pytest.raises(Refused):
        decoded("%C0%A0", "ce-subject")
