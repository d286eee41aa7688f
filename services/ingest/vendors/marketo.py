"""Marketo: one lead per call, from a trigger campaign's webhook whose template stands in the docs. It can't sign: a
secret header proves it."""

from typing import Any

from pydantic import Field

from services.ingest.model import Fault
from services.ingest.vendors.answers import problem, taken
from services.ingest.vendors.bodies import form_of, object_of, text
from services.ingest.vendors.generic import HeaderName
from services.ingest.vendors.names import activity_type
from services.ingest.vendors.proofs import bearer, forged, is_any, unproven
from services.ingest.vendors.shaping import Draft, fingerprint, item_of, lead_of, moment, sender_id
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Bad, Read, Refusal, Sent, SourceConfig, Vendor

KIND = "marketo"
DEFAULT_KIND = "webhook"
TABLE = {
    "jobTitle": "title",
    "firstName": "first_name",
    "lastName": "last_name",
    "numberOfEmployees": "employees",
    "state": "region",
}
NOT_FACTS = frozenset({"eventId", "leadId", "email", "activity", "program", "campaign", "firedAt", "source", "data"})


class MarketoOptions(SourceOptions):
    """Of a source of kind `marketo`."""

    header: HeaderName = Field("authorization", description="The custom header that carries the secret")


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    header = source.settings_as(MarketoOptions).header
    given = sent.headers.get(header)
    if given is None:
        return unproven(f"The header {header}")
    token = bearer(given)
    return None if is_any(given.strip() if token is None else token, source.secrets) else forged(f"The header {header}")


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    is_form = sent.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
    body = form_of(sent.body) if is_form else object_of(sent.body)
    if isinstance(body, Refusal):
        return body
    fields = {name: value for name, value in body.items() if _is_filled(value)}
    lead = lead_of(email=fields.get("email"), ids={KIND: fields.get("leadId")})
    if not lead:
        return Read((), [Bad(0, None, (Fault("email", "is required, or leadId: see the template in the docs"),))])
    return Read([item_of(_draft(fields, lead), source)])


def _draft(fields: dict[str, Any], lead: dict[str, Any]) -> Draft:
    activity, program, campaign = (text(fields.get(name)) for name in ("activity", "program", "campaign"))
    names = tuple(name for name in (activity, campaign, program) if name)
    fired_at = fields.get("firedAt")
    sent_data = fields.get("data")
    data = {"program": program, "campaign": campaign, "source": fields.get("source")}
    return Draft(
        kind=activity or DEFAULT_KIND,
        names=names,
        type=activity_type(KIND, activity) if activity else None,
        lead=lead,
        id=_id(fields, names),
        occurred_at=moment(fired_at),
        profile={name: value for name, value in fields.items() if name not in NOT_FACTS},
        table=TABLE,
        data={
            **{name: value for name, value in data.items() if value is not None},
            **(sent_data if isinstance(sent_data, dict) else {}),
        },
        campaign=campaign or program,
    )


def _id(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    if given := text(fields.get("eventId")):
        return sender_id(given)
    if fired_at := text(fields.get("firedAt")):
        return sender_id(fields.get("leadId") or fingerprint(fields.get("email")), *names, fired_at)
    return None


def _is_filled(value: Any) -> bool:
    """Not empty, and no token that Marketo left as it stood in the template."""
    if isinstance(value, str):
        return bool(value.strip()) and not (value.strip().startswith("{{") and value.strip().endswith("}}"))
    return value is not None


VENDOR = Vendor(
    kind=KIND,
    settings=MarketoOptions,
    verify=verify,
    read=read,
    answer=taken,
    refuse=problem,
    methods=frozenset({"POST", "PUT", "PATCH"}),
)
