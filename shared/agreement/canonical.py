"""RFC 8785 (canonical JSON) for what an accord can hold: texts, integers below 2^53, finite floats, lists, mappings."""

import json
from hashlib import sha256
from typing import Any

from shared.agreement.document import Accord


def canonical_sha256(accord: Accord) -> bytes:
    """The digest that both sides sign: of the document as it was written, whatever its layout or the order of keys."""
    return sha256(canonical_json(accord.as_written()).encode()).digest()


def canonical_json(value: Any) -> str:
    """The one form: keys in the order of their UTF-16 code units, no blanks, numbers as ECMAScript writes them."""
    match value:
        case dict():
            pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
            return "{" + ",".join(f"{canonical_json(key)}:{canonical_json(item)}" for key, item in pairs) + "}"
        case list() | tuple():
            return "[" + ",".join(canonical_json(item) for item in value) + "]"
        case float():
            return _ecmascript(value)
        case int() if not isinstance(value, bool) and abs(value) >= 2**53:
            # RFC 8785 knows doubles only.
            return _ecmascript(float(value))
        case _:
            # Python escapes exactly what RFC 8785 asks for when it may keep non-ASCII characters.
            return json.dumps(value, ensure_ascii=False)


def _ecmascript(number: float) -> str:
    """Number.prototype.toString: Python's repr has the same shortest digits, set otherwise."""
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent_text = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + ("" if fraction == "0" else fraction)).lstrip("0")
    leading = len(whole) if whole != "0" else len(fraction.lstrip("0")) - len(fraction)
    point = leading + int(exponent_text or 0)
    digits = digits.rstrip("0") or "0"
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """The digits with the decimal point after `point` of them, as ECMAScript lays them out."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    exponent = f"{'+' if point > 0 else '-'}{abs(point - 1)}"
    return f"{digits[0]}{'.' + digits[1:] if count > 1 else ''}e{exponent}"
