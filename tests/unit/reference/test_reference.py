"""What is generated is what is committed, and what it says is true."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.reference.calls import openapi
from services.reference.events import asyncapi, event_models, json_schemas, topics_of
from services.reference.main import files
from shared.events.codec import DECODERS, EVENT_TYPES
from shared.events.topics import TOPICS

DOCS = Path(__file__).parents[3] / "docs"
RECORDED = Path(__file__).parents[2] / "events_recorded"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi()


def test_the_committed_files_are_what_the_code_generates() -> None:
    stale = [path.name for path, text in files(DOCS) if not path.exists() or path.read_text() != text]
    assert not stale, f"run `make schemas`: {', '.join(stale)}"
    assert {path.name for path in (DOCS / "schemas").iterdir()} == {name for name, _ in json_schemas()}


def test_every_type_has_a_schema_and_lies_on_a_topic() -> None:
    assert set(event_models()) == set(EVENT_TYPES)
    assert {topic for model in event_models().values() for topic in topics_of(model)} == set(TOPICS)
    for _, schema in json_schemas():
        jsonschema_rs.meta.validate(schema)


def references(value: Any) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key == "$ref":
            yield item
        else:
            yield from references(item)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi()
    for reference in references(document):
        at: Any = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
        assert at


def recorded() -> list[Path]:
    return sorted(RECORDED.glob("*.json"))


@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.stem)
def test_what_was_ever_recorded_decodes_and_fits_its_schema(path: Path) -> None:
    """Files here are only ever added: fields may come, and none may go or change its meaning."""
    event = json.loads(path.read_text())
    schema = dict(json_schemas())[f"{event['type']}.json"]
    jsonschema_rs.validate(schema, event["data"])
    if event["type"] in DECODERS:
        DECODERS[event["type"]].decode(json.dumps(event["data"]).encode())


def test_every_type_was_recorded_at_least_once() -> None:
    assert {json.loads(path.read_text())["type"] for path in recorded()} == set(EVENT_TYPES)


def test_every_post_that_changes_something_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    posts = {path: operations["post"] for path, operations in document["paths"].items() if "post" in operations}
    without = {path for path, post in posts.items() if "Idempotency-Key" not in map(_name, post.get("parameters", ()))}
    changes_nothing = {"/v1/accords/checks", "/v1/sources/{source_id}/test"}
    with_ids_of_events = {
        path for path in posts if path in {"/v1/events", "/v1/hooks/{source_id}", "/v1/imports"} or "/segment/" in path
    }
    assert without == changes_nothing | with_ids_of_events


def test_every_body_of_the_openapi_document_has_an_example_that_fits_it(document: dict[str, Any]) -> None:
    components = document["components"]
    count = 0
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["operationId"], path
            bodies = [answer.get("content", {}) for answer in operation["responses"].values()]
            for media, body in (
                (m, b)
                for content in (operation.get("requestBody", {}).get("content", {}), *bodies)
                for m, b in content.items()
            ):
                count += 1
                if not media.endswith("json") or "schema" not in body:
                    continue
                example = body["example"] if "example" in body else next(iter(body["examples"].values()))["value"]
                jsonschema_rs.validate({**body["schema"], "components": components}, example)
    assert count > 100


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names)
    assert document["openapi"] == "3.1.0"


def test_numbers_that_are_asked_with_tell_their_bounds(document: dict[str, Any]) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    asked = [one for operation in operations for one in operation.get("parameters", ()) if one["in"] == "query"]
    schemas = [part for one in asked for part in one["schema"].get("anyOf", [one["schema"]])]
    whole = [schema for schema in schemas if schema.get("type") == "integer"]
    assert len(whole) > 10
    assert all({"minimum", "maximum"} <= schema.keys() for schema in whole)


def _name(parameter: dict[str, Any]) -> str:
    return str(parameter["name"])
