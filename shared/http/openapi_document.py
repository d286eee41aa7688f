"""The OpenAPI 3.1 document of an app: what its routes say, one schema for every problem, and examples of bodies."""

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from shared.http.examples import completed, example_of

_PARAMETER: Final = re.compile(r"\{(\w+)")
ABOUT: Final = (
    "Accord executes the agreement between marketing and sales. Send `Authorization: Bearer <key>`; errors are RFC "
    "9457 problem documents; a query parameter that a call does not have is refused; lists are `{items, next}`, with "
    "`?limit=` and `?cursor=`; times are RFC 3339 in UTC. Every POST that changes something takes an `Idempotency-Key`."
)
PROBLEM: Final = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "examples": ["Invalid input"]},
        "status": {"type": "integer", "examples": [422]},
        "detail": {"type": "string", "examples": ["lead.email: is required."]},
        "instance": {"type": "string", "examples": ["/v1/leads"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "Dotted; empty for the whole body."},
                    "message": {"type": "string"},
                },
                "required": ["path", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "instance"],
}


def openapi_document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The document of these routes."""
    document = get_openapi(
        title="Accord",
        version=version("accord"),
        openapi_version="3.1.0",
        description=ABOUT,
        routes=routes,
        servers=[{"url": "/", "description": "Where this document came from."}],
        license_info={"name": "See the project's repository"},
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _name_parameters(path, operation)
            # Vendors prove themselves their own way: by a signature, or by a key in the body.
            operation.setdefault("security", [])
    for body in _bodies(document):
        schema = body.get("schema") or {}
        if "example" in body:
            body["example"] = completed(body["example"], schema, schemas)
        elif "examples" not in body and "schema" in body:
            body["example"] = example_of(schema, schemas) if schema else {}
    return document


def _name_parameters(path: str, operation: dict[str, Any]) -> None:
    """Those of the path that the route reads by itself."""
    known = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
    for name in _PARAMETER.findall(path):
        if name not in known:
            parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            operation.setdefault("parameters", []).append(parameter)


def _bodies(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The content of every request and answer, by media type."""
    for operations in document["paths"].values():
        for operation in operations.values():
            yield from operation.get("requestBody", {}).get("content", {}).values()
            for answer in operation["responses"].values():
                yield from answer.get("content", {}).values()
