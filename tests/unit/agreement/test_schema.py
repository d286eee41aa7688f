"""The JSON Schema for editors: it is what the models give, takes every accord, and sees common slips."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from agreement_builders import DEFAULT, ODD_VALUES, places, problems_left
from difference_examples import EXAMPLES, FULL
from hypothesis import given, settings
from hypothesis import strategies as st

from services.demo.settings import ACCORD
from shared.agreement.loading import load_accord, read_accord
from shared.agreement.schema import document_schema, schema_text

ROOT = Path(__file__).parents[3]
SCHEMA = jsonschema_rs.validator_for(document_schema())


def changed(path: str, value: Any) -> Any:
    document: Any = deepcopy(FULL)
    *around, last = path.split(".")
    place = document
    for step in around:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    return document


def test_the_committed_schema_is_what_the_models_give() -> None:
    committed = (ROOT / "docs" / "accord.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "`accord schema > docs/accord.schema.json` writes it anew"


def test_every_field_has_a_description() -> None:
    schema = document_schema()
    for name, definition in {"Accord": schema, **schema["$defs"]}.items():
        if name in ("Hours", "Condition", "Tests"):
            continue
        for field, described in definition.get("properties", {}).items():
            referred = schema["$defs"].get(described.get("$ref", "").rpartition("/")[2], {})
            words = described.get("description") or referred.get("description", "")
            assert words.endswith("."), f"{name}.{field}"


def test_the_examples_are_taken() -> None:
    assert SCHEMA.is_valid(DEFAULT)
    assert SCHEMA.is_valid(FULL)
    assert SCHEMA.is_valid(load_accord(ACCORD.read_text(encoding="utf-8")).as_written())


@pytest.mark.parametrize("field", EXAMPLES)
def test_every_field_may_be_changed(field: str) -> None:
    path, value, _ = EXAMPLES[field]
    document = changed(path, value)
    read_accord(document)
    assert SCHEMA.is_valid(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scoring.engagement.rules.10.half_live", "14d"),
        ("scoring.engagement.rules.10.half_life", "14 days"),
        ("scoring.engagement.rules.10.half_life", "0d"),
        ("scoring.engagement.rules.10.points", "60"),
        ("scoring.engagement.rules.10.activity", "Demo Requested"),
        ("scoring.engagement.rules.10.once", "yes"),
        ("scoring.engagement.cap", -1),
        ("calendar.hours.monday", ["09:00-17:30"]),
        ("calendar.hours.mon", "09:00-17:30"),
        ("calendar.hours.mon", ["9-17"]),
        ("calendar.hours.mon", ["09:00-25:00"]),
        ("calendar.holidays.extra", ["24.12.2026"]),
        ("stages.mql", "engagement >= 40"),
        ("stages.mql", {"engagement": {"gtee": 40}}),
        ("stages.mql", {"engagement": [40]}),
        ("stages.mql", {"any": {"engagement": 40}}),
        ("stages.mql", {"not": {"engagement": {"exists": "no"}}}),
        ("stages.rejection_reasons", {"no_budget": "recycle"}),
        ("stages.rejection_reasons", {" no_budget": "recycled"}),
        ("routing.teams.enterprise.0.weight", 0),
        ("routing.teams.enterprise.0.capacity", "20"),
        ("sla.clocks.0.starts", "sqll"),
        ("sla.clocks.0.stops", []),
        ("sla.clocks.0.stops", ["called"]),
        ("sla.clocks.0.within", "8"),
        ("sla.clocks.0.warn_at", 75),
        ("sla.clocks.0.hours", "office"),
        ("sla.clocks.0.escalate.0.to", "boss"),
        ("sla.promises.0.per", "year"),
        ("sla.promises.0.at_least", "many"),
        ("accord", 2),
        ("currency", "dollars"),
    ],
)
def test_a_common_slip_is_seen_while_it_is_typed(path: str, value: Any) -> None:
    document = changed(path, value)
    assert problems_left(document)
    assert not SCHEMA.is_valid(document)


@settings(max_examples=100, deadline=None)
@given(at=st.sampled_from(list(places(DEFAULT))), odd=st.sampled_from(ODD_VALUES))
def test_the_schema_refuses_nothing_that_the_validator_takes(at: tuple[str | int, ...], odd: Any) -> None:
    document: Any = deepcopy(DEFAULT)
    around = document
    for part in at[:-1]:
        around = around[part]
    if at:
        around[at[-1]] = odd
    if not problems_left(document):
        assert SCHEMA.is_valid(document)
