"""What HubSpot's subscriptions mean. Their events name ids and one property at most: an email, a stage, a fact."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.ingest.model import Fault, Refused
from services.ingest.vendors.bodies import text
from services.ingest.vendors.names import PROFILE_UPDATED
from services.ingest.vendors.shaping import Draft, fingerprint, identifier, lead_of, moment, occurred, sender_id

CONTACT: Final = "hubspot"
DEAL: Final = "hubspot_deal"

OBJECTS: Final = {
    "0-1": "contact",
    "0-2": "company",
    "0-3": "deal",
    "0-46": "note",
    "0-47": "meeting",
    "0-48": "call",
    "0-49": "email",
}
CHANNELS: Final = ("call", "email", "meeting")
ABOUT_NOBODY: Final = ("company", "product", "line_item")
TABLE: Final = {
    "jobtitle": "title",
    "numemployees": "employees",
    "numberofemployees": "employees",
    "firstname": "first_name",
    "lastname": "last_name",
    "state": "region",
    "zip": "postal_code",
    "mobilephone": "mobile_phone",
}
NO_ID: Final = "is required: a whole number, or text of at most 200 characters"
STAGES: Final[Mapping[str, str | None]] = {"closedwon": "won", "closedlost": "lost"}
STAGE_PROPERTIES: Final = ("dealstage", "hs_lead_status", "lifecyclestage")
CONVERSION: Final = "recent_conversion_event_name"
LAST_CONTACTED: Final = "notes_last_contacted"
OPTED_OUT: Final = "hs_email_optout"

Stages = Mapping[str, str | None]


def event_drafts(raw: Any, stages: Stages) -> Iterator[Draft]:
    """One event of a batch. An association of a deal is two: the order makes the deal the known contact's."""
    if not isinstance(raw, dict):
        raise Refused(Fault("", "must be an object"))
    kind = text(raw.get("subscriptionType")) or text(raw.get("eventType"))
    if kind is None:
        raise Refused(Fault("subscriptionType", "is required"))
    subject, _, verb = kind.partition(".")
    if subject == "object":
        subject = OBJECTS.get(str(raw.get("objectTypeId")), "object")
    if verb == "associationChange":
        yield from _association(raw, kind)
    elif subject == "contact":
        yield _contact(raw, kind, verb, stages)
    elif subject == "deal" and verb == "propertyChange" and raw.get("propertyName") == "dealstage":
        yield _deal_stage(raw, kind, stages)
    elif subject == "deal" and verb == "propertyChange":
        yield Draft(kind=kind, names=_names(raw, kind), ignored="a deal's property that no rule reads")
    elif subject in ABOUT_NOBODY:
        yield Draft(kind=kind, ignored=f"about a {subject}, not about a person")
    else:
        has_contact = subject in ("deal", *CHANNELS)
        words = "its association with a contact says whose it is" if has_contact else "names no contact"
        yield Draft(kind=kind, incomplete=f"ids only: {words}")


def _contact(raw: Mapping[str, Any], kind: str, verb: str, stages: Stages) -> Draft:
    lead = lead_of(ids={CONTACT: raw.get("objectId")})
    if not lead:
        raise Refused(Fault("objectId", NO_ID))
    common: dict[str, Any] = {"kind": kind, "id": _id(raw, kind), "occurred_at": _occurred_at(raw)}
    match verb:
        case "privacyDeletion":
            return Draft(kind=kind, lead=lead, is_erasure=True)
        case "creation":
            words = "ids only: the contact's email comes with its change, or stays in HubSpot"
            return Draft(**common, type="contact.created", lead=lead, incomplete=words)
        case "propertyChange":
            return _property(raw, lead, stages, common)
        case "merge":
            lead = lead_of(ids={CONTACT: raw.get("newObjectId") or raw.get("primaryObjectId")}) or lead
    return Draft(**common, lead=lead, data=_facts(raw))


def _property(raw: Mapping[str, Any], lead: dict[str, Any], stages: Stages, common: dict[str, Any]) -> Draft:
    name = text(raw.get("propertyName"))
    if name is None:
        raise Refused(Fault("propertyName", "is required"))
    value = raw.get("propertyValue")
    common["names"] = _names(raw, common["kind"])
    if name == "email":
        return Draft(**common, type=PROFILE_UPDATED, lead=lead | lead_of(email=value))
    if name in STAGE_PROPERTIES and (action := _action(value, stages)) is not None:
        return Draft(**common, type=action, lead=lead, profile={name: value}, data={"note": f"{name}: {value}"})
    if name == CONVERSION and text(value):
        return Draft(**common, type="form.submitted", lead=lead, data={"form": value})
    if name == OPTED_OUT and value == "true":
        return Draft(**common, type="email.unsubscribed", lead=lead)
    if name == LAST_CONTACTED and (at := moment(value)) is not None:
        return Draft(**{**common, "occurred_at": at}, type="sales.contacted", lead=lead)
    # An emptied property is one that the lead no longer has.
    return Draft(**common, type=PROFILE_UPDATED, lead=lead, profile={name: text(value)}, table=TABLE)


def _action(value: Any, stages: Stages) -> str | None:
    action = stages.get(value) if isinstance(value, str) else None
    return f"sales.{action}" if action else None


def _deal_stage(raw: Mapping[str, Any], kind: str, stages: Stages) -> Draft:
    """Whose deal it is says its association; until that is known the change is kept."""
    lead = lead_of(ids={DEAL: raw.get("objectId")})
    value = raw.get("propertyValue")
    if not lead:
        raise Refused(Fault("objectId", NO_ID))
    all_stages = {**STAGES, **stages}
    if isinstance(value, str) and value in all_stages and all_stages[value] is None:
        return Draft(kind=kind, names=_names(raw, kind), ignored="the source ignores this stage")
    return Draft(
        kind=kind,
        names=_names(raw, kind),
        type=_action(value, all_stages),
        lead=lead,
        id=_id(raw, kind),
        occurred_at=_occurred_at(raw),
        data={**_facts(raw), "note": f"deal stage: {value}"},
        needs_known_lead=True,
    )


def _association(raw: Mapping[str, Any], kind: str) -> Iterator[Draft]:
    type_ = text(raw.get("associationType")) or _association_type(raw)
    ends = type_.upper().split("_TO_")
    if len(ends) != 2:
        raise Refused(Fault("associationType", "must be like DEAL_TO_CONTACT"))
    names = (f"{kind}/{type_}",)
    sides = dict(zip(ends, (raw.get("fromObjectId"), raw.get("toObjectId")), strict=True))
    contact = identifier(sides.pop("CONTACT", None))
    other, other_id = next(iter(sides.items()), ("", None))
    other = other.lower()
    is_removed = raw.get("associationRemoved") is True
    if contact is None or other not in ("deal", *CHANNELS) or is_removed:
        ignored = "ties no contact to a deal, call, email or meeting"
        yield Draft(kind=kind, names=names, ignored="an association that was removed" if is_removed else ignored)
        return
    if identifier(other_id) is None:
        raise Refused(Fault("toObjectId", NO_ID))
    # Both directions are sent, and a primary association twice: the pair makes the id.
    common: dict[str, Any] = {"kind": kind, "names": names, "occurred_at": _occurred_at(raw)}
    pair = (raw.get("portalId"), other, other_id, contact)
    lead = lead_of(ids={CONTACT: contact})
    if other in CHANNELS:
        yield Draft(
            **common, type="sales.contacted", lead=lead, id=sender_id("contacted", *pair), data={"channel": other}
        )
        return
    yield Draft(**common, type="sales.opportunity.opened", lead=lead, id=sender_id("opened", *pair))
    tie = lead_of(ids={CONTACT: contact, DEAL: other_id})
    yield Draft(kind=f"{kind}.tie", type=PROFILE_UPDATED, lead=tie, id=sender_id("tied", *pair))


def _association_type(raw: Mapping[str, Any]) -> str:
    """Of an event that names its ends by the ids of their types only."""
    ends = [raw[end] for end in ("fromObjectTypeId", "toObjectTypeId") if raw.get(end) is not None]
    return "_TO_".join(OBJECTS.get(str(end), "object") for end in ends).upper()


def _names(raw: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """With the value only where that is a name of the house, and no personal data."""
    name = raw.get("propertyName")
    named = (f"{kind}/{name}",)
    return (f"{kind}/{name}={raw.get('propertyValue')}", *named) if name in (*STAGE_PROPERTIES, CONVERSION) else named


def _id(raw: Mapping[str, Any], kind: str) -> str:
    """Not `eventId`, which HubSpot does not promise to be unique; `attemptNumber` is what a repeat differs in."""
    parts = ("portalId", "subscriptionId", "objectId", "occurredAt", "propertyName")
    return sender_id(kind, *(raw.get(part, "") for part in parts), fingerprint(raw.get("propertyValue", "")))


def _occurred_at(raw: Mapping[str, Any]) -> Any:
    return occurred(raw.get("occurredAt"), "occurredAt")


def _facts(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if name not in ("attemptNumber", "appId", "eventId")}
