"""Which subscriptions an event goes to, and the body they get: the CloudEvent as structured JSON."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json

from services.delivery.model.subscriptions import Facts, Subscription
from shared.events.codec import encode
from shared.events.envelope import Event, derived_id

_UNKNOWN: Facts = {}
_TRACEPARENT: Final = re.compile(r'"traceparent":"([0-9a-f-]{55})"')
_LEAD_FIELDS: Final = ("email", "source", "campaign", "first_source", "first_team")


def receivers(event: Event, subscriptions: Iterable[Subscription], standing: Facts = _UNKNOWN) -> list[Subscription]:
    """The subscriptions that are told and whose types and condition match; `standing` is what was last told of the
    lead."""
    wanting = [s for s in subscriptions if s.is_told and s.wants(event.type)]
    if all(subscription.condition is None for subscription in wanting):
        return wanting
    facts = event_facts(event.type, from_json(event.value), standing)
    return [s for s in wanting if s.condition is None or s.condition(facts)]


def notified(type_: str, about: Subscription, subscriptions: Iterable[Subscription]) -> list[Subscription]:
    """Who is told of an event about a subscription: the others that want it, and whose condition asks for no lead."""
    return [
        s
        for s in subscriptions
        if s.subscription_id != about.subscription_id
        and s.is_told
        and s.wants(type_)
        and (s.condition is None or s.condition({"type": type_}))
    ]


def event_facts(type_: str, data: Mapping[str, Any], standing: Facts) -> dict[str, Any]:
    """What a condition sees: the lead's profile, the top-level fields of the event and its type, the snapshot under
    `lead`, what the event says of how the lead stands, and else how it last stood. The later goes before."""
    lead = data.get("lead") or {}
    facts = {**(lead.get("profile") or {}), **{name: value for name, value in data.items() if value is not None}}
    facts.update({field: lead.get(field) for field in _LEAD_FIELDS})
    if lead.get("email"):
        facts["email_domain"] = lead["email"].rpartition("@")[2]
    told = standing_of(data)
    facts.update({field: standing.get(field) if told[field] is None else told[field] for field in told})
    return {**facts, "type": type_, "lead": lead}


def standing_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """How a lead stands, as far as an event says: a change of its stage says everything."""
    said = {field: data.get(field) for field in ("engagement", "fit", "grade", "owner", "team")}
    return {**said, "stage": data.get("to") if "from" in data else data.get("stage")}


def delivery_id(event_id: UUID, subscription_id: UUID) -> UUID:
    """The id of one delivery, and its webhook-id: the same at every try."""
    return derived_id(event_id, str(subscription_id))


def body_of(event: Event, emitter: str | None) -> str:
    """The data are spliced in as they lay on the topic: they are JSON already."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/accord/{emitter.partition('/')[0] if emitter else 'foreign'}",
        "type": event.type,
        "subject": event.key,
        "time": event.time,
        "datacontenttype": "application/json",
        "receivedat": event.received_at,
    }
    optional = {"accord": event.accord, "cause": event.cause, "traceparent": event.traceparent}
    attributes.update({name: value for name, value in optional.items() if value is not None})
    return f'{encode(attributes).decode()[:-1]},"data":{event.value.decode()}}}'


def traceparent_of(body: str) -> str | None:
    """What `body_of` wrote before the data, without reading those."""
    found = _TRACEPARENT.search(body, 0, max(0, body.find(',"data":')))
    return found[1] if found else None


def own_body(type_: str, id: UUID, about: Subscription, *, at: datetime, **data: Any) -> str:
    """The body of an event that delivery itself makes: about a subscription, not about a lead."""
    what = {"subscription_id": about.subscription_id, "name": about.name, **data}
    attributes = {
        "specversion": "1.0",
        "id": id,
        "source": "/accord/delivery",
        "type": type_,
        "subject": about.subscription_id,
        "time": at,
        "datacontenttype": "application/json",
        "data": what,
    }
    return to_json(attributes).decode()
