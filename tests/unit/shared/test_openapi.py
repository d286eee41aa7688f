"""What the OpenAPI document says of routes that read their bodies themselves."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from services.api.schemas.leads import ActionBody
from services.ingest.routes.events import DESCRIPTION
from shared.http.openapi import body_schema, refusals
from shared.http.openapi_document import openapi_document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def test_a_body_schema_stands_alone() -> None:
    schema = body_schema(ActionBody)
    assert list(references(schema)) == []
    assert "opportunity.opened" in schema["properties"]["action"]["enum"]


def test_a_refusal_is_a_problem_document() -> None:
    assert list(refusals(401, 422)[422]["content"]) == ["application/problem+json"]


def test_every_reference_of_the_events_call_leads_somewhere() -> None:
    app = FastAPI()

    @app.post("/v1/events", **DESCRIPTION)
    async def post_events() -> None: ...

    document = openapi_document(app.routes)
    call = document["paths"]["/v1/events"]["post"]
    assert set(call["requestBody"]["content"]) == {
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    }
    assert set(call["responses"]) == {"202", "401", "403", "413", "415", "422", "429", "503"}
    text = json.dumps(document["components"]["schemas"])
    assert all(f'"{reference.rpartition("/")[2]}"' in text for reference in references(document))
