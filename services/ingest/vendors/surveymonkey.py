"""SurveyMonkey: ids only. A response is known by its respondent; who that is, and the answers, stay behind its API."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from services.ingest.model import Fault, Refused
from services.ingest.vendors.answers import empty, problem, taken
from services.ingest.vendors.bodies import mapping, object_of, text
from services.ingest.vendors.proofs import digest, forged, is_any, octets, unproven
from services.ingest.vendors.shaping import Draft, lead_of, occurred, read_each, sender_id
from services.ingest.vendors.source_settings import SourceOptions, Text
from services.ingest.vendors.vendor import Read, Refusal, Reply, Sent, SourceConfig, Vendor

KIND = "surveymonkey"
ABOUT_NOBODY = ("collector_", "survey_")
TYPES = {"response_completed": "survey.completed", "response_disqualified": "survey.disqualified"}


class SurveyMonkeyOptions(SourceOptions):
    """Of a source of kind `surveymonkey`. Its secret is the client secret of the app."""

    client_id: Text | None = Field(None, description="The app's client id; without it the header Sm-Apikey is believed")


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    """The key is `client id & client secret`, so that a client id that somebody made up proves nothing."""
    given = sent.headers.get("sm-signature")
    if given is None:
        return unproven("The header Sm-Signature")
    client = source.settings_as(SurveyMonkeyOptions).client_id or sent.headers.get("sm-apikey", "")
    keys = [key for secret in source.secrets for key in (f"{client}&{secret}", secret)]
    expected = [digest(octets(key), sent.body, algorithm="sha1", encoding="base64") for key in keys]
    return None if is_any(given.strip(), expected) else forged("The header Sm-Signature")


def handshake(sent: Sent, source: SourceConfig) -> Reply | None:
    """When the webhook is made SurveyMonkey sends HEAD and wants 200."""
    return empty() if sent.method in ("HEAD", "GET") else None


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = object_of(sent.body)
    return body if isinstance(body, Refusal) else read_each([body], lambda raw: [_draft(raw)], source)


def _draft(body: Mapping[str, Any]) -> Draft:
    kind = text(body.get("event_type"))
    if kind is None:
        raise Refused(Fault("event_type", "is required"))
    resources = mapping(body.get("resources"))
    survey = text(resources.get("survey_id")) or (
        body.get("filter_id") if body.get("filter_type") == "survey" else None
    )
    names = (f"{kind}/{survey}",) if survey else ()
    if kind.startswith(ABOUT_NOBODY):
        return Draft(kind=kind, names=names, ignored="about a survey or a collector, not about a person")
    respondent = resources.get("respondent_id") or body.get("object_id")
    return Draft(
        kind=kind,
        names=names,
        type=TYPES.get(kind),
        lead=lead_of(ids={KIND: respondent}),
        # `event_id` is the webhook's in some of its bodies: the event is the object and its time.
        id=sender_id(kind, body.get("event_id", ""), body.get("object_id", ""), body.get("event_datetime", "")),
        occurred_at=occurred(body.get("event_datetime"), "event_datetime"),
        data={"survey_id": survey, **{name: value for name, value in resources.items() if text(value)}},
        incomplete="ids only: who answered, and what, stays in SurveyMonkey",
    )


VENDOR = Vendor(
    kind=KIND,
    settings=SurveyMonkeyOptions,
    verify=verify,
    read=read,
    answer=taken,
    refuse=problem,
    handshake=handshake,
    methods=frozenset({"GET", "HEAD", "POST"}),
)
