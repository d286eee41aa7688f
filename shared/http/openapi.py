"""What the routes' OpenAPI descriptions share: their refusals, and schemas of bodies that a route reads itself."""

from typing import Any, Final

from pydantic import TypeAdapter

_REFUSALS: Final = {
    401: "No valid key",
    403: "The key lacks the scope",
    404: "Nothing of this id",
    409: "Not as things stand",
    413: "A body past the limit",
    415: "A wrong content type",
    422: "Invalid input",
    429: "Too many requests",
    503: "Nothing durable can be reached",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem documents that a route may answer with."""
    content: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _REFUSALS[status], "content": content} for status in statuses}


def body_schema(body: Any) -> dict[str, Any]:
    """The JSON Schema with its definitions put in place: `#/$defs` would point into the OpenAPI document."""
    schema = TypeAdapter(body).json_schema(mode="validation")
    definitions = schema.pop("$defs", {})
    inlined = _inlined(schema, definitions)
    assert isinstance(inlined, dict)
    return inlined


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        beside = {key: item for key, item in value.items() if key != "$ref"}
        return {**_inlined(definitions[value["$ref"].rpartition("/")[2]], definitions), **beside}
    return {key: _inlined(item, definitions) for key, item in value.items()}
