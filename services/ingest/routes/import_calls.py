"""What the calls on imports say of themselves in the OpenAPI document."""

from typing import Any, Final

from services.ingest.schemas import ImportList, ImportShown
from services.ingest.vendors.csv_columns import PLACES
from services.ingest.vendors.csv_rows import SCANNED
from shared.http.openapi import refusals

PATH: Final = "/v1/imports"
SCOPE: Final = "events:write"
READ: Final = "sources:read"
INSPECT: Final = "sources:inspect"
UPLOAD_PARAMETERS: Final = ("source", "mapping", "type", "time_zone", "time_format")

_EXAMPLE: Final = "Email,First Name,Company,Scanned at,Rating\nada@example.com,Ada,Acme,2026-11-20T09:30:00Z,5\n"


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


_PARAMETERS: Final = [
    _parameter("source", "Name or id of the source that the rows are of; a key of one source may leave it out."),
    _parameter(
        "mapping",
        "What columns mean, where their names don't say it: a JSON object of columns and their places. A place is "
        f"null (left out) or one of {PLACES}.",
        examples=['{"Contact": "email", "Rating": "data.rating", "Internal": null}'],
    ),
    _parameter("type", f"Type of rows whose file has no column for it; {SCANNED} without it.", examples=[SCANNED]),
    _parameter("time_zone", "Of times without an offset: an IANA zone; UTC without it.", examples=["Europe/Berlin"]),
    _parameter("time_format", "Of times that are not ISO.", examples=["DD/MM/YYYY HH:mm"]),
]


def _described(summary: str, scope: str, answer: dict[int | str, Any], *refused: int, **extra: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "tags": ["imports"],
        "responses": {**answer, **refusals(401, 403, *refused, 503)},
        "openapi_extra": {"x-scope": scope, "security": [{"key": []}], **extra},
    }


POST: Final[dict[str, Any]] = {
    "status_code": 202,
    **_described(
        "A file of badge scans or leads, as CSV",
        SCOPE,
        {202: {"model": ImportShown, "description": "The whole file is durable, and is read from now on."}},
        *(413, 415, 422, 429),
        parameters=_PARAMETERS,
        requestBody={"required": True, "content": {"text/csv": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
    ),
}
LIST: Final[dict[str, Any]] = {
    "name": "get_imports",
    **_described(
        "Files that were sent, the latest first",
        f"{SCOPE} or {READ}",
        {200: {"model": ImportList, "description": "A page of them."}},
        422,
        parameters=[
            _parameter("source", "Name or id of a source: its files only."),
            _parameter("limit", "How many items at most.", type="integer", minimum=1, maximum=500, default=50),
            _parameter("cursor", "`next` of the page before."),
        ],
    ),
}
SHOW: Final[dict[str, Any]] = {
    "name": "get_import",
    **_described(
        "How far a file is read, with counts and the first errors",
        f"{SCOPE} or {READ}",
        {200: {"model": ImportShown, "description": "As of now."}},
        *(404, 422),
    ),
}
ERRORS: Final[dict[str, Any]] = {
    "name": "get_import_errors",
    **_described(
        "Every refused row with its reason, as CSV",
        f"{SCOPE} or {INSPECT}",
        {200: {"description": "The rows refused so far.", "content": {"text/csv": {"schema": {"type": "string"}}}}},
        *(404, 422),
    ),
}
