"""Filters of subscriptions against an oracle in plain Python: which types, and a condition over the event's lead, its
fields and how the lead stood."""

import json
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from sla_builders import NAMES, clock_time, stage_changed

from services.delivery.model.messages import receivers
from services.delivery.model.subscriptions import Subscription
from shared.agreement.condition_parsing import parse_condition
from shared.agreement.conditions import compile_condition
from shared.events import codec

AT: Final = clock_time("10:00")
EVENT: Final = codec.event(stage_changed(AT), id=NAMES, time=AT, received_at=AT, accord=1)

TYPES: Final = ("accord.stage.changed", "accord.clock.breached", "accord.clock.met", "accord.sales.recorded")
PATTERNS: Final = ("*", "accord.*", "accord.clock.*", "accord.clock", *TYPES)
STANDING: Final = ("engagement", "fit", "grade", "owner", "team", "stage")
OF_THE_LEAD: Final = ("email", "source", "campaign")
FIELDS: Final = (*STANDING, *OF_THE_LEAD, "title", "reason", "type", "email_domain", "lead.email", "lead.profile.title")

WORDS: Final = st.sampled_from(("a", "B", "b", "ann@acme.example", "bob@other.example", "acme.example", *TYPES[:2]))
NUMBERS: Final = st.sampled_from((0, 1, 2.5, 40))
VALUES: Final = st.one_of(WORDS, NUMBERS, st.booleans())
MAYBE: Final = st.one_of(st.none(), VALUES)
EMAILS: Final = st.sampled_from((None, "ann@acme.example", "bob@other.example"))

profiles = st.dictionaries(st.sampled_from(("title", "reason", "grade", "source")), VALUES)
leads = st.fixed_dictionaries({"email": EMAILS}, optional={"source": MAYBE, "campaign": MAYBE, "profile": profiles})
said = st.fixed_dictionaries(
    dict.fromkeys(("engagement", "grade", "owner", "stage", "to", "reason"), MAYBE), optional={"from": MAYBE}
)
standings = st.fixed_dictionaries(dict.fromkeys(STANDING, MAYBE))
operators = st.one_of(
    st.tuples(st.sampled_from(("eq", "ne")), VALUES),
    st.tuples(st.sampled_from(("gte", "lt")), st.one_of(WORDS, NUMBERS)),
    st.tuples(st.sampled_from(("in", "not_in")), st.lists(VALUES, max_size=3)),
    st.tuples(st.just("exists"), st.booleans()),
    st.tuples(st.sampled_from(("starts_with", "ends_with")), WORDS),
)
tests = st.builds(lambda field, test: {field: dict([test])}, st.sampled_from(FIELDS), operators)
conditions = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)


def value_of(field: str, type_: str, data: dict[str, Any], standing: dict[str, Any]) -> Any:
    """What the documentation says that a field of a condition is."""
    lead = data.get("lead") or {}
    profile = lead.get("profile") or {}
    email = lead.get("email")
    if field in STANDING:
        moved = field == "stage" and "from" in data
        told = data.get("to" if moved else field)
        return standing.get(field) if told is None else told
    if field in OF_THE_LEAD or field == "lead.email":
        return lead.get(field.removeprefix("lead."))
    match field:
        case "type":
            return type_
        case "email_domain":
            return email.split("@")[1] if email else profile.get(field)
        case "lead.profile.title":
            return profile.get("title")
    return profile.get(field) if data.get(field) is None else data[field]


def same(one: Any, other: Any) -> bool:
    """As an accord compares: texts without regard to case, and true is no 1."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def passes(value: Any, operator: str, operand: Any) -> bool:
    if operator == "exists":
        return (value is not None) is operand
    if operator in ("ne", "not_in"):
        return not passes(value, {"ne": "eq", "not_in": "in"}[operator], operand)
    if operator == "in":
        return any(same(value, one) for one in operand)
    if operator == "eq":
        return same(value, operand)
    if isinstance(value, str) and isinstance(operand, str):
        value, operand = value.lower(), operand.lower()
        if operator in ("starts_with", "ends_with"):
            end = value[: len(operand)] if operator == "starts_with" else value[-len(operand) :]
            return bool(end == operand)
    elif isinstance(value, (str, bool)) or value is None or isinstance(operand, str):
        return False
    return bool(value >= operand if operator == "gte" else value < operand)


def holds(condition: dict[str, Any], *event: Any) -> bool:
    ((key, what),) = condition.items()
    match key:
        case "all":
            return all(holds(part, *event) for part in what)
        case "any":
            return any(holds(part, *event) for part in what)
        case "not":
            return not holds(what, *event)
    ((operator, operand),) = what.items()
    return passes(value_of(key, *event), operator, operand)


@settings(max_examples=1_000)
@given(
    type_=st.sampled_from(TYPES),
    patterns=st.one_of(st.just(["*"]), st.lists(st.sampled_from(PATTERNS), max_size=3)),
    condition=st.one_of(tests, conditions),
    data=st.builds(lambda fields, lead: {**fields, "lead": lead}, said, leads),
    standing=standings,
)
def test_an_event_is_told_to_whom_types_and_condition_say(
    type_: str, patterns: list[str], condition: dict[str, Any], data: dict[str, Any], standing: dict[str, Any]
) -> None:
    event = EVENT._replace(type=type_, value=json.dumps(data).encode())
    is_wanted = "*" in patterns or "accord.*" in patterns or type_ in patterns
    is_wanted = is_wanted or ("accord.clock.*" in patterns and type_.split(".")[1] == "clock")
    matches = compile_condition(parse_condition(condition))
    told = receivers(event, [Subscription(NAMES, "https://example.com/hook", tuple(patterns), matches)], standing)
    assert bool(told) == (is_wanted and holds(condition, type_, data, standing))
