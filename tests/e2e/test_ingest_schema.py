"""Ingest as its OpenAPI document describes it, tried out by schemathesis: no request of any shape is a server's error,
and every answer is one that the document names. A short form; more examples find the same."""

import json
import urllib.request
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running_accord import ADMIN_KEY, RunningAccord
from schemathesis.checks import not_a_server_error

EXAMPLES = 12
INGEST = ("/v1/events", "/v1/hooks/{source_id}", "/segment/v1/track", "/segment/v1/batch", "/v1/imports")


def document_of(accord: RunningAccord) -> dict[str, Any]:
    with urllib.request.urlopen(f"{accord.url}/openapi.json") as answer:  # noqa: S310 (our own, on loopback)
        found: dict[str, Any] = json.load(answer)
    return {**found, "paths": {path: found["paths"][path] for path in INGEST}}


def a_source(accord: RunningAccord) -> dict[str, Any]:
    body = json.dumps({"name": "schema", "kind": "generic", "team": "marketing"}).encode()
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{accord.url}/v1/sources", body, headers)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        made: dict[str, Any] = json.load(answer)
    return made


@pytest.mark.parametrize("path", INGEST)
def test_whatever_the_document_allows_is_answered_as_it_says(shared_accord: RunningAccord, path: str) -> None:
    schema = schemathesis.openapi.from_dict(document_of(shared_accord))
    operation = schema[path]["POST"]
    source = a_source(shared_accord)
    named = set(operation.definition.raw["responses"])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(case=operation.as_strategy(), has_key=st.booleans())
    def try_it(case: Any, has_key: bool) -> None:
        key = source["secret"] if "hooks" in path else ADMIN_KEY
        headers = {"Authorization": f"Bearer {key}"} if has_key else {}
        if case.path_parameters and has_key:
            case.path_parameters["source_id"] = source["id"]
        response = case.call(base_url=shared_accord.url, headers=headers)
        case.validate_response(response, checks=[not_a_server_error])
        assert str(response.status_code) in named, (response.status_code, response.text[:500])
        assert response.headers["content-type"][0].startswith(("application/json", "application/problem+json"))

    try_it()
