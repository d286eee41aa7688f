"""Typeform: one response per call. Answers are found by their field's ref, never by position."""

from collections.abc import Mapping
from typing import Any

from services.ingest.model import Fault, Refused
from services.ingest.vendors.answers import problem, taken
from services.ingest.vendors.bodies import mapping, object_of, text
from services.ingest.vendors.names import PLAIN_FIELDS
from services.ingest.vendors.proofs import digest, forged, is_any, unproven
from services.ingest.vendors.shaping import Draft, lead_of, occurred, read_each, sender_id
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Read, Refusal, Sent, SourceConfig, Vendor

KIND = "typeform"
PREFIX = "sha256="
COMPLETED = "form_response"
HIDDEN_IDENTIFIERS = ("email", "user_id", "anonymous_id")


class TypeformOptions(SourceOptions):
    """Of a source of kind `typeform`. `profile` maps answers by their field's ref (or id) and hidden fields by name."""


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    given = sent.headers.get("typeform-signature")
    if given is None:
        return unproven("The header Typeform-Signature")
    expected = [
        PREFIX + digest(secret.encode(), sent.body, algorithm="sha256", encoding="base64") for secret in source.secrets
    ]
    return None if is_any(given.strip(), expected) else forged("The header Typeform-Signature")


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = object_of(sent.body)
    if isinstance(body, Refusal):
        return body
    return read_each([body], lambda raw: [_draft(raw, source)], source)


def _draft(body: Mapping[str, Any], source: SourceConfig) -> Draft:
    response = body.get("form_response")
    if not isinstance(response, dict):
        raise Refused(Fault("form_response", "must be an object"))
    kind = text(body.get("event_type")) or COMPLETED
    hidden = mapping(response.get("hidden"))
    answers, emails = _answers(response.get("answers"))
    token = text(response.get("token"))
    lead = lead_of(
        email=next((value for value in (*emails, hidden.get("email")) if text(value)), None),
        anonymous_id=hidden.get("anonymous_id"),
        ids={"user_id": hidden.get("user_id")},
    )
    form, title = text(response.get("form_id")), text(mapping(response.get("definition")).get("title"))
    facts = {**hidden, **answers}
    named = PLAIN_FIELDS | source.settings.profile.keys()  # a ref may say what its question asks for
    return Draft(
        kind=kind,
        names=tuple(f"{kind}/{name}" for name in (form, title) if name),
        type="survey.completed" if kind == COMPLETED else None,
        lead=lead or lead_of(ids={KIND: token}),
        id=sender_id(kind, token) if token else text(body.get("event_id")),
        occurred_at=occurred(response.get("submitted_at"), "form_response.submitted_at"),
        profile={name: value for name, value in facts.items() if name in named},
        data={
            **({"form_id": form} if form else {}),
            **({"form": title} if title else {}),
            **_score(response),
            "answers": answers,
            **({"hidden": hidden} if hidden else {}),
        },
        campaign=text(hidden.get("utm_campaign")),
        incomplete=None if lead else "no email among the answers, and no hidden field email, user_id or anonymous_id",
    )


def _answers(given: Any) -> tuple[dict[str, Any], list[Any]]:
    """Answers by their field's ref (else id), and those that are emails."""
    answers: dict[str, Any] = {}
    emails = []
    for answer in given if isinstance(given, list) else ():
        field = mapping(mapping(answer).get("field"))
        name = text(field.get("ref")) or text(field.get("id"))
        type_ = text(mapping(answer).get("type"))
        if name is None or type_ is None:
            continue
        value = answer.get(type_)
        if type_ == "email":
            emails.append(value)  # an identifier, and no answer to keep twice
            continue
        answers[name] = _chosen(value) if isinstance(value, dict) else value
    return answers, emails


def _chosen(value: Mapping[str, Any]) -> Any:
    """The label of a choice, or what was written instead; the labels of several, with what was written beside them;
    anything else as it is."""
    if isinstance(labels := value.get("labels"), list):
        return [*labels, value["other"]] if value.get("other") is not None else labels
    return next((value[name] for name in ("label", "other") if name in value), dict(value))


def _score(response: Mapping[str, Any]) -> dict[str, Any]:
    score = mapping(response.get("calculated")).get("score")
    return {"score": score} if isinstance(score, int | float) else {}


VENDOR = Vendor(kind=KIND, settings=TypeformOptions, verify=verify, read=read, answer=taken, refuse=problem)
