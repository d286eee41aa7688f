"""Calendly: meetings that invitees book. A reschedule comes as one booking and one cancellation, in either order: it is
neither a second meeting nor a lost one."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.ingest.model import Fault, Refused
from services.ingest.vendors.answers import problem, taken
from services.ingest.vendors.bodies import mapping, object_of, text
from services.ingest.vendors.proofs import digest, forged, is_any, is_near, octets, seconds, stale, unproven
from services.ingest.vendors.shaping import Draft, lead_of, occurred, present, read_each, sender_id
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Read, Refusal, Sent, SourceConfig, Vendor

KIND = "calendly"
TOLERANCE = timedelta(minutes=3)
HEADER = "Calendly-Webhook-Signature"
TABLE = {"first_name": "first_name", "last_name": "last_name", "name": "name"}
TYPES = {
    "invitee.created": "meeting.booked",
    "invitee.canceled": "meeting.cancelled",
    "invitee_no_show.created": "meeting.missed",
    "routing_form_submission.created": "form.submitted",
}


class CalendlyOptions(SourceOptions):
    """Of a source of kind `calendly`. Its secret is the signing key of the webhook subscription."""


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    given = sent.headers.get(HEADER.lower())
    if given is None:
        return unproven(f"The header {HEADER}")
    parts = [part.strip().partition("=") for part in given.split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    signed_at = seconds(stamp)
    if signed_at is None:
        return forged(f"The header {HEADER} (t=<seconds>,v1=<hex>)")
    if not is_near(signed_at, sent.received_at, TOLERANCE):
        return stale(f"The header {HEADER}", TOLERANCE)
    message = octets(stamp) + b"." + sent.body
    expected = [digest(secret.encode(), message, algorithm="sha256", encoding="hex") for secret in source.secrets]
    matches = [is_any(value.lower(), expected) for name, _, value in parts if name == "v1"]
    return None if any(matches) else forged(f"The header {HEADER}")


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = object_of(sent.body)
    return body if isinstance(body, Refusal) else read_each([body], lambda raw: [_draft(raw)], source)


def _draft(body: Mapping[str, Any]) -> Draft:
    kind, payload = text(body.get("event")), body.get("payload")
    if kind is None:
        raise Refused(Fault("event", "is required"))
    if not isinstance(payload, dict):
        raise Refused(Fault("payload", "must be an object"))
    meeting = mapping(payload.get("scheduled_event"))
    names = tuple(f"{kind}/{name}" for name in (text(meeting.get("name")),) if name)
    if kind == "invitee.canceled" and payload.get("rescheduled") is True:
        return Draft(kind=kind, names=("invitee.rescheduled",), ignored="the other half of a reschedule")
    is_moved = kind == "invitee.created" and bool(payload.get("old_invitee"))
    if is_moved:
        names = ("invitee.rescheduled", *names)
    tracking = mapping(payload.get("tracking"))
    email = payload.get("email") or _email_among(payload.get("questions_and_answers"))
    lead = lead_of(email=email, ids={KIND: None if email else payload.get("submitter") or payload.get("uri")})
    return Draft(
        kind=kind,
        names=names,
        type="meeting.rescheduled" if is_moved else TYPES.get(kind),
        lead=lead,
        id=sender_id(kind, payload.get("uri", ""), body.get("created_at", "")),
        occurred_at=occurred(body.get("created_at"), "created_at"),
        profile=present({name: payload.get(name) for name in TABLE}),
        data=present({**_meeting(meeting), **_answers(payload), **_cancellation(payload)}),
        campaign=text(tracking.get("utm_campaign")),
        incomplete=None if "email" in lead else "names no email",
    )


def _meeting(meeting: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "meeting": text(meeting.get("name")),
        "starts_at": text(meeting.get("start_time")),
        "location": text(mapping(meeting.get("location")).get("type")),
    }


def _answers(payload: Mapping[str, Any]) -> dict[str, Any]:
    given = payload.get("questions_and_answers")
    answers = {
        question: answer
        for pair in (given if isinstance(given, list) else ())
        if (question := text(mapping(pair).get("question"))) and (answer := mapping(pair).get("answer"))
    }
    tracking = {name: value for name, value in mapping(payload.get("tracking")).items() if text(value)}
    return {"answers": answers or None, "tracking": tracking or None}


def _email_among(pairs: Any) -> str | None:
    """Of a routing form: the answer to the question that asks for the email."""
    for pair in pairs if isinstance(pairs, list) else ():
        question, answer = text(mapping(pair).get("question")), text(mapping(pair).get("answer"))
        if question and answer and re.search(r"e-?mail", question, re.IGNORECASE):
            return answer
    return None


def _cancellation(payload: Mapping[str, Any]) -> dict[str, Any]:
    cancellation = mapping(payload.get("cancellation"))
    return {"reason": text(cancellation.get("reason")), "cancelled_by": text(cancellation.get("canceler_type"))}


VENDOR = Vendor(kind=KIND, settings=CalendlyOptions, verify=verify, read=read, answer=taken, refuse=problem)
