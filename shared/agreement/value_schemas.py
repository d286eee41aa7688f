"""The document's small values as JSON Schemas, for editors. What the validator refuses beyond them it says itself."""

from typing import Any, Final

Schema = dict[str, Any]

_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean"]}
# Replaced by a reference: a condition holds conditions.
CONDITION_MARK: Final[Schema] = {"format": "condition"}

FORM: Final[Schema] = {"const": 1}
DURATION: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,9}[smhdw]$", "examples": ["45m", "8h", "30d"]}
POSITIVE_DURATION: Final[Schema] = {**DURATION, "pattern": "^0*[1-9][0-9]{0,8}[smhdw]$"}
HALF_LIFE: Final[Schema] = {"anyOf": [POSITIVE_DURATION, {"const": "never"}]}
PERCENT: Final[Schema] = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?%$", "examples": ["75%"]}
TARGET: Final[Schema] = {"anyOf": [{"type": "integer", "minimum": 0}, PERCENT]}
RANGE: Final[Schema] = {
    "type": "string",
    "pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]-(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    "examples": ["09:00-17:30"],
}
DAY: Final[Schema] = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
ZONE: Final[Schema] = {"type": "string", "minLength": 1, "examples": ["America/New_York", "Europe/Berlin"]}
CAPACITY: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,6}/d$", "examples": ["20/d"]}

_OPERATORS: Final[Schema] = {
    **{name: _SCALAR for name in ("eq", "ne", "contains")},
    **{name: {"type": ["string", "number"]} for name in ("gt", "gte", "lt", "lte")},
    **{name: {"type": "array", "items": _SCALAR} for name in ("in", "not_in")},
    "exists": {"type": "boolean"},
    **{name: {"type": "string"} for name in ("starts_with", "ends_with", "matches")},
}
_CONDITION: Final[Schema] = {"$ref": "#/$defs/Condition"}
DEFINITIONS: Final[Schema] = {
    "Condition": {
        "description": "Fields and what must hold of them, all at once; or `all`, `any`, `not` of other conditions.",
        "type": "object",
        "properties": {
            "all": {"type": "array", "items": _CONDITION},
            "any": {"type": "array", "items": _CONDITION},
            "not": _CONDITION,
        },
        "additionalProperties": {"anyOf": [_SCALAR, {"$ref": "#/$defs/Tests"}]},
    },
    "Tests": {
        "description": "Tests of one field, all of which must hold.",
        "type": "object",
        "properties": _OPERATORS,
        "additionalProperties": False,
        "minProperties": 1,
    },
}
