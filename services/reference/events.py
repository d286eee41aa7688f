"""JSON Schemas of all events, and an AsyncAPI 3 document of the topics that they lie on, from the models."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

import msgspec

from shared.events import activity, lifecycle, promises, sales, score, sla, topics
from shared.events.activity import LeadErased
from shared.events.codec import PAYLOADS
from shared.events.dead_letter import DeadLettered

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TOPIC_OF: Final = {
    activity.__name__: topics.ACTIVITY,
    sales.__name__: topics.SALES,
    score.__name__: topics.SCORE,
    lifecycle.__name__: topics.LIFECYCLE,
    sla.__name__: topics.SLA,
    promises.__name__: topics.SLA,
}
_FORWARDED: Final = (topics.SCORE, topics.LIFECYCLE, topics.SLA)
_ABOUT: Final = {
    topics.ACTIVITY: "What leads did, and what is known about them.",
    topics.SALES: "What sales did to leads.",
    topics.SCORE: "What each activity and profile update made of its lead's score.",
    topics.LIFECYCLE: "The hand-off between marketing and sales.",
    topics.SLA: "Promises: clocks that start, warn, are met or run out; those on many leads that are kept or broken.",
    topics.DEAD_LETTER: "What a service could not apply.",
}
_SENDERS: Final = {
    topics.ACTIVITY: ("ingest", "api"),
    topics.SALES: ("ingest", "api", "sla-monitor"),
    topics.SCORE: ("scoring",),
    topics.LIFECYCLE: ("stages",),
    topics.SLA: ("sla-monitor",),
    topics.DEAD_LETTER: ("scoring", "stages", "sla-monitor", "delivery"),
}
_HEADERS: Final = {
    "ce_id": ("uuid", "The event's id."),
    "ce_source": (None, "Which service said it."),
    "ce_specversion": (None, "1.0."),
    "ce_type": (None, "The event's type."),
    "ce_time": ("date-time", "When it happened."),
    "ce_subject": ("uuid", "The lead's id, which is the key too."),
    "ce_emitter": (None, "Who emitted it: `<service>/<partition or lane>`."),
    "ce_seq": (None, "Its number, contiguous per emitter, topic and partition."),
    "ce_receivedat": ("date-time", "When Accord received the event that all this follows from."),
    "ce_accord": (None, "The version of the accord that decided."),
    "ce_cause": ("uuid", "The event that caused this one."),
    "ce_after": (None, "On sla events: the last lifecycle event they were decided at."),
    "traceparent": (None, "W3C trace context."),
}


def event_models() -> dict[str, Any]:
    """Every type with its model."""
    return {**PAYLOADS, DeadLettered.TYPE: DeadLettered}


def topics_of(model: Any) -> tuple[str, ...]:
    """The topics that a type lies on."""
    if model is DeadLettered:
        return (topics.DEAD_LETTER,)
    own = _TOPIC_OF[model.__module__]
    return (own, *_FORWARDED) if model is LeadErased else (own,)


def json_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """A file name and its schema for every type; each stands alone."""
    for type_, model in event_models().items():
        (schema,), components = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
        body = _plain(components.pop(schema["$ref"].rpartition("/")[2]))
        definitions = {"$defs": _plain(components)} if components else {}
        yield f"{type_}.json", {"$schema": DRAFT, "$id": f"urn:accord:{type_}", **body, **definitions}


def asyncapi() -> dict[str, Any]:
    """The whole document."""
    models = event_models()
    _, schemas = msgspec.json.schema_components(list(models.values()), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Accord",
            "version": version("accord"),
            "description": "Events on the log: CloudEvents 1.0 in Kafka's binary mode, keyed by the lead's id.",
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, models) for topic in topics.TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {_name(type_): _message(type_, model) for type_, model in models.items()},
            "schemas": {**_plain(schemas), "Headers": _headers()},
        },
    }


def _channel(topic: str, models: dict[str, Any]) -> dict[str, Any]:
    on_topic = [type_ for type_, model in models.items() if topic in topics_of(model)]
    return {
        "address": topic,
        "description": _ABOUT[topic],
        "messages": {_name(type_): {"$ref": f"#/components/messages/{_name(type_)}"} for type_ in on_topic},
    }


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for topic in topics.TOPICS:
        channel = {"$ref": f"#/channels/{topic}"}
        for service in _SENDERS[topic]:
            yield f"{service}.sends.{topic}", {"action": "send", "channel": channel}
        for service, read in topics.READERS.items():
            if topic in read:
                yield f"{service}.reads.{topic}", {"action": "receive", "channel": channel}


def _message(type_: str, model: Any) -> dict[str, Any]:
    return {
        "name": type_,
        "title": model.__name__,
        "summary": _sentence(model.__doc__ or ""),
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
    }


def _headers() -> dict[str, Any]:
    properties = {
        name: {"type": "string", "description": about, **({"format": format_} if format_ else {})}
        for name, (format_, about) in _HEADERS.items()
    }
    return {"type": "object", "properties": properties, "required": ["ce_id", "ce_source", "ce_specversion", "ce_type"]}


def _name(type_: str) -> str:
    return type_.removeprefix("accord.")


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _plain(value: Any) -> Any:
    """Docstrings without their indentation."""
    if isinstance(value, dict):
        return {
            key: _sentence(item) if key == "description" and isinstance(item, str) else _plain(item)
            for key, item in value.items()
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value
