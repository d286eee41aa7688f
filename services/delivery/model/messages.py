"""Which subscriptions an event goes to, and the body they get: the CloudEvent as structured JSON."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from shared.events.codec import encode
from shared.events.envelope import Event, derived_id

Facts = Mapping[str, Any]
_UNKNOWN: Facts = {}


class Subscription(NamedTuple):
    """A configured receiver. `secrets` are several while one is being rotated."""

    subscription_id: UUID
    url: str
    types: tuple[str, ...]
    condition: Callable[[Facts], bool] | None
    secrets: tuple[str, ...]
    is_active: bool

    def wants(self, event_type: str) -> bool:
        """`*` is everything, `accord.clock.*` everything below."""
        return any(_covers(pattern, event_type) for pattern in self.types)


def _covers(pattern: str, event_type: str) -> bool:
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def receivers(event: Event, subscriptions: Iterable[Subscription], standing: Facts = _UNKNOWN) -> list[Subscription]:
    """The active subscriptions whose types and condition match; `standing` is what was last told of the lead."""
    wanting = [s for s in subscriptions if s.is_active and s.wants(event.type)]
    if all(subscription.condition is None for subscription in wanting):
        return wanting
    facts = lead_facts(from_json(event.value), standing)
    return [s for s in wanting if s.condition is None or s.condition(facts)]


def lead_facts(data: Mapping[str, Any], standing: Facts) -> dict[str, Any]:
    """What a condition on the lead sees: its profile, what the event says of it, and else how it last stood."""
    lead = data.get("lead") or {}
    facts = dict(lead.get("profile") or {})
    for field in ("email", "source", "campaign", "first_source", "first_team"):
        facts[field] = lead.get(field)
    if lead.get("email"):
        facts["email_domain"] = lead["email"].rpartition("@")[2]
    told = standing_of(data)
    facts.update({field: standing.get(field) if told[field] is None else told[field] for field in told})
    return facts


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
