"""A short name of a condition, by which what it said of somebody is found again when they are no longer on file."""

import json
from hashlib import sha256
from typing import Any

from shared.agreement.conditions import All, AnyOf, Condition, Not, Test


def key_of(condition: Condition) -> str:
    """The same for the same condition, however it was written and in every release: it is stored."""
    return sha256(_text(condition).encode()).hexdigest()


def _text(condition: Condition) -> str:
    """Parts, and values of lists, have no order of their own; nor does it matter that a part stands alone."""
    match condition:
        case Test(field, operator, tuple(operands)):
            return _json([field, operator, sorted(map(_json, operands))])
        case Test(field, operator, operand):
            return _json([field, operator, operand])
        case All((part,)) | AnyOf((part,)):
            return _text(part)
        case All(parts):
            return _json({"all": sorted(map(_text, parts))})
        case AnyOf(parts):
            return _json({"any": sorted(map(_text, parts))})
        case Not(part):
            return _json({"not": _text(part)})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
