"""What senders get back: what each takes for success, handshakes, and refusals that their libraries can read."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from vendor_builders import sent, source

from services.ingest.model import Fault
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.vendor import Bad, Refusal, RefusalReason, Reply, Tally

DONE = Tally(accepted=1, duplicates=0, kept=0, bad=())
REPEATED = Tally(accepted=0, duplicates=1, kept=0, bad=())
HOPELESS = Tally(accepted=0, duplicates=0, kept=0, bad=[Bad(0, "x", (Fault("lead", "is required"),))])
READS_THE_ANSWER = {"segment": 400, "generic": 422, "cloudevents": 422}


def greeted(kind: str, method: str, **headers: str) -> Reply | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return VENDORS[kind].handshake(sent(method=method, headers=named), source(kind))


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("tally", [DONE, REPEATED])
def test_success_is_200_with_a_body_for_repeats_too(kind: str, tally: Tally) -> None:
    reply = VENDORS[kind].answer(tally, sent())
    assert reply.status == 200
    assert reply.body


@pytest.mark.parametrize("kind", VENDORS)
def test_a_body_without_anything_useful_is_refused_only_where_somebody_reads_the_answer(kind: str) -> None:
    """The others would send it again, and in the end give the webhook up."""
    assert VENDORS[kind].answer(HOPELESS, sent()).status == READS_THE_ANSWER.get(kind, 200)


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("reason", RefusalReason)
def test_a_refusal_is_a_4xx_that_says_why(kind: str, reason: RefusalReason) -> None:
    reply = VENDORS[kind].refuse(Refusal(reason, "The header is missing."), sent())
    assert 400 <= reply.status < 500
    assert reply.status != 410  # three vendors would unsubscribe
    document = json.loads(reply.body)
    assert "The header is missing." in document.values()
    if kind == "segment":
        assert set(document) == {"code", "message"}
    else:
        assert {"type", "title", "status", "detail", "instance"} == set(document)


def test_segments_sdks_get_exactly_what_they_look_for() -> None:
    assert json.loads(VENDORS["segment"].answer(DONE, sent()).body) == {"success": True}
    nobody = Bad(0, None, (Fault("userId", "no_user_anon_id: userId or anonymousId is required"),))
    document = json.loads(VENDORS["segment"].answer(replace(HOPELESS, bad=[nobody]), sent()).body)
    assert document["code"] == "no_user_anon_id"


def test_salesforce_gets_its_acknowledgement() -> None:
    reply = VENDORS["salesforce"].answer(HOPELESS, sent())
    found = ElementTree.fromstring(reply.body).find(".//{http://soap.sforce.com/2005/09/outbound}Ack")  # noqa: S314
    assert found is not None
    assert found.text == "true"
    assert reply.media_type == "text/xml; charset=utf-8"


@pytest.mark.parametrize(("kind", "method"), [("mailchimp", "GET"), ("mailchimp", "HEAD"), ("surveymonkey", "HEAD")])
def test_a_handshake_needs_no_secret(kind: str, method: str) -> None:
    reply = greeted(kind, method)
    assert reply is not None
    assert reply.status == 200


@pytest.mark.parametrize("kind", VENDORS)
def test_a_post_is_no_handshake(kind: str) -> None:
    assert greeted(kind, "POST") is None
    assert "POST" in VENDORS[kind].methods


def test_cloudevents_senders_get_consent_for_the_origin_that_they_name() -> None:
    reply = greeted(
        "cloudevents",
        "OPTIONS",
        webhook_request_origin="shop.example",
        webhook_request_rate="120",
        webhook_request_callback="https://shop.example/callback",
    )
    assert reply is not None
    assert dict(reply.headers) == {
        "Allow": "POST",
        "WebHook-Allowed-Origin": "shop.example",
        "WebHook-Allowed-Rate": "*",
    }
    plain = greeted("cloudevents", "OPTIONS")
    assert plain is not None
    assert dict(plain.headers) == {"Allow": "POST"}


def test_counts_and_faults_stand_in_the_answer() -> None:
    reply = VENDORS["generic"].answer(replace(HOPELESS, accepted=2), sent())
    rejected = [{"index": 0, "id": "x", "errors": [{"path": "lead", "message": "is required"}]}]
    counts = {"accepted": 2, "duplicates": 0, "kept": 0}
    assert (reply.status, json.loads(reply.body)) == (200, {"success": True, **counts, "rejected": rejected})


@pytest.mark.parametrize("kind", ["generic", "cloudevents"])
def test_of_a_body_without_anything_useful_a_problem_says_what_is_wrong_with_each(kind: str) -> None:
    reply = VENDORS[kind].answer(HOPELESS, sent())
    assert reply.media_type == "application/problem+json"
    document: dict[str, Any] = json.loads(reply.body)
    assert (document["status"], document["title"]) == (422, "No acceptable event")
    assert document["detail"] == "1 of 1 events were refused"
    assert document["errors"] == [{"path": "events.0.lead", "message": "is required"}]
    assert "success" not in document
