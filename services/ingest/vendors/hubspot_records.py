"""What HubSpot's workflows post: a contact or a deal with its properties, each `{value: …}` or the value itself."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.ingest.model import Fault, Refused
from services.ingest.vendors.bodies import mapping, text
from services.ingest.vendors.hubspot_events import CONTACT, DEAL, STAGES, TABLE, Stages
from services.ingest.vendors.names import PROFILE_UPDATED
from services.ingest.vendors.shaping import Draft, lead_of, occurred, sender_id

FORMS_MAX: Final = 200
NOT_FACTS: Final = ("email", "hs_object_id", "vid")


def record_drafts(raw: Any, stages: Stages) -> Iterator[Draft]:
    """A deal is an action of sales; a contact is a profile, and one activity per form that was submitted."""
    if not isinstance(raw, dict):
        raise Refused(Fault("", "must be an object"))
    properties = _properties(raw)
    if "dealId" in raw or "dealstage" in properties or raw.get("objectType") == "DEAL":
        yield _deal(raw, properties, stages)
        return
    lead = lead_of(email=properties.get("email") or _identity(raw), ids={CONTACT: _contact_id(raw, properties)})
    if not lead:
        raise Refused(Fault("properties.email", "is required, or vid (the contact's id)"))
    facts = {name: value for name, value in properties.items() if name not in NOT_FACTS}
    yield Draft(kind="workflow.contact", type=PROFILE_UPDATED, lead=lead, profile=facts, table=TABLE)
    forms = raw.get("form-submissions")
    for form in forms[:FORMS_MAX] if isinstance(forms, list) else ():
        if isinstance(form, dict):
            yield _form(form, lead)


def _form(form: Mapping[str, Any], lead: Mapping[str, Any]) -> Draft:
    conversion = text(form.get("conversion-id"))
    names = [f"form/{value}" for value in (form.get("form-id"), form.get("title")) if text(value)]
    return Draft(
        kind="workflow.form",
        names=tuple(names),
        type="form.submitted",
        lead=lead,
        id=sender_id("form", conversion) if conversion else None,
        occurred_at=occurred(form.get("timestamp"), "form-submissions.timestamp"),
        data={
            name: form[key]
            for key, name in (("form-id", "form_id"), ("title", "form"), ("page-url", "url"), ("page-title", "page"))
            if text(form.get(key))
        },
    )


def _deal(raw: Mapping[str, Any], properties: Mapping[str, Any], stages: Stages) -> Draft:
    deal = raw.get("dealId") or raw.get("objectId") or properties.get("hs_object_id")
    people = mapping(raw.get("associations")).get("associatedVids")
    contact = people[0] if isinstance(people, list) and people else None
    lead = lead_of(email=properties.get("email"), ids={CONTACT: contact})
    stage = properties.get("dealstage")
    all_stages = {**STAGES, **stages}
    action = all_stages.get(stage, "opportunity.opened") if isinstance(stage, str) else "opportunity.opened"
    kind = "workflow.deal"
    if action is None:
        return Draft(kind=kind, names=(f"{kind}/{stage}",), ignored="the source ignores this stage")
    return Draft(
        kind=kind,
        names=(f"{kind}/{stage}",),
        type=f"sales.{action}",
        lead=lead or lead_of(ids={DEAL: deal}),
        id=sender_id("deal", raw.get("portalId", ""), deal, action),
        data={
            "amount": properties.get("amount"),
            "currency": properties.get("deal_currency_code"),
            "reason": properties.get("closed_lost_reason"),
            "note": f"deal stage: {stage}",
        },
        incomplete=None if lead else "names no contact",
        needs_known_lead=not lead,
    )


def _properties(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that have a value; of a body that an admin wrote, its plain fields."""
    given = raw.get("properties")
    found = given if isinstance(given, dict) else {k: v for k, v in raw.items() if not isinstance(v, list | dict)}
    values = {name: value.get("value") if isinstance(value, dict) else value for name, value in found.items()}
    return {name: value for name, value in values.items() if value is not None and not isinstance(value, list | dict)}


def _contact_id(raw: Mapping[str, Any], properties: Mapping[str, Any]) -> Any:
    return raw.get("vid") or raw.get("objectId") or properties.get("hs_object_id")


def _identity(raw: Mapping[str, Any]) -> Any:
    """The email among `identity-profiles`."""
    profiles = raw.get("identity-profiles")
    for profile in profiles if isinstance(profiles, list) else ():
        identities = mapping(profile).get("identities")
        for identity in identities if isinstance(identities, list) else ():
            if mapping(identity).get("type") == "EMAIL":
                return mapping(identity).get("value")
    return None
