"""Examples for an OpenAPI document, made from its schemas: valid ones, in the words of the field."""

from collections.abc import Mapping
from typing import Any, Final

_BY_NAME: Final[Mapping[str, Any]] = {
    "email": "mary@acme.example",
    "owner": "rep1@sales.example",
    "team": "sales",
    "stage": "mql",
    "grade": "A",
    "name": "Website",
    "url": "https://crm.example/hooks/accord",
    "source": "website",
    "first_source": "website",
    "campaign": "spring",
    "reason": "no budget",
    "channel": "call",
    "note": "Wants a call on Monday.",
    "currency": "EUR",
    "rule": "first-contact",
    "actor": "tests",
    "role": "sales",
    "scope": "leads:read",
    "message": "must be text",
    "path": "lead.email",
    "words": "demo requested",
    "specversion": "1.0",
    "type": "demo.requested",
}
_BY_FORMAT: Final[Mapping[str, Any]] = {
    "uuid": "6f1d2c3a-8b7e-4f0a-9c5d-1e2f3a4b5c6d",
    "date-time": "2026-11-02T15:00:00Z",
    "date": "2026-11-02",
    "uri": "https://crm.example/hooks/accord",
    "binary": "",
}
_DEPTH_MAX: Final = 8


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
    """A value that the schema allows. `schemas` are the document's components."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth)
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return completed(schema[key][0], schema, schemas)
    for key in ("anyOf", "oneOf", "allOf"):
        if options := [option for option in schema.get(key, ()) if option.get("type") != "null"]:
            return example_of(options[0], schemas, name, depth)
    return _by_type(schema, schemas, name, depth)


def completed(example: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """FastAPI leaves nulls out of examples, where they may be what is required."""
    if "$ref" in schema:
        return completed(example, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if example is not None and len(options) == 1:
        return completed(example, options[0], schemas)
    if isinstance(example, list) and "items" in schema:
        return [completed(item, schema["items"], schemas) for item in example]
    if not isinstance(example, dict) or "properties" not in schema:
        return example
    missing = dict.fromkeys(name for name in schema.get("required", ()) if name not in example)
    about = schema["properties"]
    return {**{name: completed(item, about.get(name, {}), schemas) for name, item in example.items()}, **missing}


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str, depth: int) -> Any:
    match schema.get("type"):
        case "object":
            if depth > _DEPTH_MAX or "properties" not in schema:
                return {}
            fields = schema["properties"].items()
            return {field: example_of(about, schemas, field, depth + 1) for field, about in fields}
        case "array":
            if depth > _DEPTH_MAX or not schema.get("items"):
                return []
            return [example_of(schema["items"], schemas, name.removesuffix("s"), depth + 1)]
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return True
        case "null":
            return None
    return _text(schema, name)


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _BY_FORMAT:
        return str(_BY_FORMAT[schema["format"]])
    text = str(_BY_NAME.get(name, name or "text"))
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 10_000)]
