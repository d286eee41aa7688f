"""JSON as senders write it, and what of it the log can keep. Pure."""

import json
import re
from collections.abc import Callable, Iterable
from math import inf, isfinite
from typing import Any

from services.ingest.model.events import Fault, Refused

NESTING_LEVELS_MAX = 64
READ_LEVELS_MAX = 2 * NESTING_LEVELS_MAX  # room for an event too deep to be accepted, within a batch
WHOLE_NUMBER_DIGITS_MAX = 4_300
KEY_TWICE = "has a key twice"
PATH_CHARACTERS_MAX = 200  # of a fault: keys are the sender's

# A text without its end reaches to the end, so that the search is linear. Brackets come in runs.
_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]+|[\]}]+', re.DOTALL)


class DuplicateKeys(dict[str, Any]):
    """A JSON object that names a key twice, so that nobody can say which value was meant."""


def read_json(text: str) -> Any:
    """Parses JSON so that what can't be kept spoils its own event only: a number beyond a double (NaN too) is read as
    one, an object with duplicate keys is marked, and what lies far too deep is cut. Raises ValueError."""
    try:
        return _loads(text)
    except RecursionError:
        return _loads(_shallow(text, READ_LEVELS_MAX))
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        return _loads(text, parse_int=_whole_number)


def _loads(text: str, *, parse_int: Callable[[str], float] | None = None) -> Any:
    # json.loads would make a decoder for each text.
    decoder = _DECODER if parse_int is None else _decoder(parse_int)
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("a byte order mark", text, 0)
    if text.startswith(("{", "[")):
        # `decode` looks for the blanks around it with a pattern, which takes half as long as reading an event.
        text = text.rstrip(_BLANKS)
        value, end = decoder.raw_decode(text)
        if end == len(text):
            return value
    return decoder.decode(text)


def _decoder(parse_int: Callable[[str], float] | None) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_constant=float, parse_int=parse_int)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else DuplicateKeys(value)


_DECODER = _decoder(None)
_BLANKS = " \t\r\n"  # JSON's own; others are none


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= WHOLE_NUMBER_DIGITS_MAX else inf


def _shallow(text: str, levels_max: int) -> str:
    """The text with a 0 for whatever lies deeper."""
    kept: list[str] = []
    level, start = 0, 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        run = token[0]
        if run[0] == '"':
            continue
        before, level = level, level + (len(run) if run[0] in "[{" else -len(run))
        if before <= levels_max < level:
            kept.append(text[start : token.start() + levels_max - before] + "0")
        elif level <= levels_max < before:
            start = token.end() - (levels_max - level)
    return "".join(kept) + (text[start:] if level <= levels_max else "")


def check_keys(value: Any, path: str = "") -> None:
    """Raises Refused for an object, however deep within this value, that names a key twice."""
    if type(value) is DuplicateKeys:
        raise Refused(Fault(path, KEY_TWICE))
    if isinstance(value, list | dict):
        for key, item in enumerate(value) if isinstance(value, list) else value.items():
            if isinstance(item, list | dict):
                check_keys(item, f"{path}.{key}"[:PATH_CHARACTERS_MAX])


def check_value(value: Any, path: str, *, check_text: bool, levels: int = NESTING_LEVELS_MAX) -> None:
    """Raises Refused for what JSON can write but the log can't keep: too many levels, a key twice, a number beyond a
    double, and, where `check_text`, NUL characters and lone surrogates."""
    if not check_text and type(value) is dict and _is_ordinary(value.values(), levels):
        return
    kind = type(value)
    if kind is str:
        if check_text:
            _check_text(value, path)
    elif kind is float:
        if not isfinite(value):
            raise Refused(Fault(path, "must be a number within the range of a double"))
    elif kind is list or isinstance(value, dict):
        if levels == 0:
            raise Refused(Fault(path, f"nested deeper than {NESTING_LEVELS_MAX} levels"))
        if kind is DuplicateKeys:
            raise Refused(Fault(path, KEY_TWICE))
        if check_text and kind is not list:
            for key in value:
                _check_text(key, path)
        for key, item in enumerate(value) if kind is list else value.items():
            # Text and whole numbers are most of what there is, and mostly need no look.
            if type(item) is int or (type(item) is str and not check_text):
                continue
            check_value(item, f"{path}.{key}"[:PATH_CHARACTERS_MAX], check_text=check_text, levels=levels - 1)


def _is_ordinary(values: Iterable[Any], levels: int) -> bool:
    """Whether the log can keep these, their text aside: most can, and then nobody asks for a path."""
    for value in values:
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            continue
        if kind is dict:
            inner = value.values()
        elif kind is list:
            inner = value
        elif kind is float and isfinite(value):
            continue
        else:
            return False
        if levels <= 1 or not _is_ordinary(inner, levels - 1):
            return False
    return True


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise Refused(Fault(path, "has a NUL character"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(Fault(path, "has a lone surrogate, which is not a character")) from None
