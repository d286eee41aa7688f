"""YAML 1.2 (core schema) or JSON text to plain values, with the line of every one; bounded in size, depth and aliases.

The parser is ruamel.yaml's; what a plain scalar means is decided here, so that `NO` stays Norway and a date stays text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from shared.agreement.problems import DocumentProblem, InvalidAccord, Location, path_of, shown

DOCUMENT_BYTES_MAX: Final = 1024 * 1024
DEPTH_MAX: Final = 64
# Values with every alias written out: what stops a bomb of aliases.
VALUES_MAX: Final = 50_000
DIGITS_MAX: Final = 18
PROBLEMS_MAX: Final = 200
NUMBER_LENGTH_MAX: Final = 400

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_STR_TAG: Final = "tag:yaml.org,2002:str"


class ReadDocument(NamedTuple):
    """Plain values, the line of each, and problems (duplicate keys, numbers out of bounds) that left them readable."""

    values: Any
    lines: dict[Location, int]
    problems: list[DocumentProblem]


def read_document(text: str) -> ReadDocument:
    """The values of the text. Raises InvalidAccord if it isn't one readable document within the bounds."""
    if len(text) > DOCUMENT_BYTES_MAX or len(text.encode(errors="replace")) > DOCUMENT_BYTES_MAX:
        raise _unreadable(None, f"{len(text)} characters", f"at most {DOCUMENT_BYTES_MAX} bytes")
    if text.lstrip("\ufeff \t\r\n").startswith("{") and (read := _read_json(text)) is not None:
        return read
    return _read_yaml(text)


def read_lines(text: str) -> dict[Location, int]:
    """The line of every value of a readable text; none where YAML can't read what JSON could."""
    try:
        return _read_yaml(text).lines
    except InvalidAccord:
        return {}


def _read_yaml(text: str) -> ReadDocument:
    reader = _YamlReader()
    for event in _events(text):
        reader.take(event)
    return ReadDocument(reader.document, reader.lines, reader.problems)


def _events(text: str) -> Iterator[Event]:
    """What the parser finds. It has many ways of saying that it can't read on: it asserts, too, and fails to find."""
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else None
        raise _unreadable(line, _mistake(error.problem or ""), "YAML 1.2 or JSON") from None
    except (YAMLError, ValueError, AssertionError, LookupError, TypeError, AttributeError) as error:
        raise _unreadable(None, _mistake(str(error)), "YAML 1.2 or JSON") from None


def _mistake(said: str) -> str:
    """What the parser says of a text, as what was found in it."""
    first = (said.strip().splitlines() or [""])[0]
    return first.removeprefix("found ") if first.startswith("found ") else f"a mistake ({first or 'of some kind'})"


def _unreadable(line: int | None, found: str, allowed: str) -> InvalidAccord:
    return InvalidAccord([DocumentProblem("", line, found, allowed)])


class _NotPlainJson(Exception):
    """The YAML reader says better what is wrong with this text."""


def _read_json(text: str) -> ReadDocument | None:
    """JSON by JSON's own rules (YAML reads its surrogate pairs otherwise); None for what needs the YAML reader."""

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            raise _NotPlainJson
        return mapping

    def refuse(_: str) -> Any:
        raise _NotPlainJson

    try:
        values = json.loads(text.lstrip("\ufeff"), object_pairs_hook=without_duplicates, parse_constant=refuse)
    except (ValueError, RecursionError, _NotPlainJson):
        return None
    return ReadDocument(values, {}, []) if _is_bounded(values) else None


def _is_bounded(values: Any) -> bool:
    count, depth, level = 0, 0, [values]
    while level:
        count, depth = count + len(level), depth + 1
        if count > VALUES_MAX or depth > DEPTH_MAX or not all(_is_fine_scalar(value) for value in level):
            return False
        level = [child for value in level for child in _children(value)]
    return True


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _is_fine_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return _is_storable(value)
    # Postgres writes out every digit of a number, so a float is bounded as an integer is: it must be readable again.
    # Neither infinity nor what is no number is below the bound.
    return not isinstance(value, (int, float)) or abs(value) < 10**DIGITS_MAX


def _is_storable(text: str) -> bool:
    """No NUL and no lone surrogate: neither can be stored or sent."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass
class _Container:
    """A mapping or list that is being read. `key` is the key whose value comes next."""

    values: Any
    at: Location
    anchor: str | None
    size: int = 1
    key: str | None = None


@dataclass
class _YamlReader:
    """Builds the values from the parser's events, without recursion."""

    document: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[DocumentProblem] = field(default_factory=list)
    documents: int = 0
    stack: list[_Container] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        line = event.start_mark.line + 1
        match event:
            case DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise _unreadable(line, "a second document", "one document")
            case MappingStartEvent() | SequenceStartEvent():
                self._open({} if isinstance(event, MappingStartEvent) else [], event, line)
            case MappingEndEvent() | SequenceEndEvent():
                self._close(line)
            case ScalarEvent():
                self._scalar(event, line)
            case AliasEvent():
                if event.anchor not in self.anchors:
                    raise _unreadable(line, f"*{event.anchor}", "an alias of an anchor that was closed before it")
                value, size = self.anchors[event.anchor]
                self._place(value, line, size)

    def _open(self, values: Any, event: Any, line: int) -> None:
        if event.tag is not None:
            raise _unreadable(line, f"the tag {event.tag}", "values without tags")
        if len(self.stack) >= DEPTH_MAX:
            raise _unreadable(line, f"more than {DEPTH_MAX} levels", f"at most {DEPTH_MAX} levels")
        if self.stack and isinstance(self.stack[-1].values, dict) and self.stack[-1].key is None:
            raise _unreadable(line, "a mapping or list as a key", "keys that are texts")
        self.stack.append(_Container(values, self._next_at(), event.anchor))
        self.lines.setdefault(self.stack[-1].at, line)

    def _close(self, line: int) -> None:
        closed = self.stack.pop()
        if closed.anchor is not None:
            self.anchors[closed.anchor] = (closed.values, closed.size)
        self._place(closed.values, line, closed.size)

    def _scalar(self, event: Any, line: int) -> None:
        if not _is_storable(event.value):
            raise _unreadable(line, "a NUL or half of a surrogate pair", "text that can be stored")
        container = self.stack[-1] if self.stack else None
        if container is not None and isinstance(container.values, dict) and container.key is None:
            self._key(container, event.value, line)
            return
        value = self._resolve(event, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        self._place(value, line, 1)

    def _key(self, container: _Container, key: str, line: int) -> None:
        if key in container.values:
            first = self.lines.get((*container.at, key))
            self._problem((*container.at, key), line, "the key a second time", f"each key once (first on line {first})")
        container.key = key
        self.lines[(*container.at, key)] = line

    def _next_at(self) -> Location:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.at, top.key if isinstance(top.values, dict) and top.key is not None else len(top.values))

    def _place(self, value: Any, line: int, size: int) -> None:
        if size > VALUES_MAX or (self.stack and self.stack[-1].size + size > VALUES_MAX):
            raise _unreadable(line, f"more than {VALUES_MAX} values", f"at most {VALUES_MAX} values, aliases included")
        if not self.stack:
            self.document = value
            return
        top = self.stack[-1]
        top.size += size
        self.lines.setdefault(self._next_at(), line)
        if isinstance(top.values, dict):
            top.values[top.key] = value
            top.key = None
        else:
            top.values.append(value)

    def _resolve(self, event: Any, line: int) -> Any:
        if event.tag is not None and str(event.tag) != _STR_TAG:
            raise _unreadable(line, f"the tag {event.tag}", "values without tags")
        if event.style is not None or event.tag is not None:
            return event.value
        value = _plain(event.value)
        if not _is_fine_scalar(value) or _NOT_FINITE.fullmatch(event.value):
            allowed = f"a finite number of at most {DIGITS_MAX} digits"
            self._problem(self._next_at(), line, shown(event.value), allowed)
            return 0
        return value

    def _problem(self, at: Location, line: int, found: str, allowed: str) -> None:
        self.problems.append(DocumentProblem(path_of(at), line, found, allowed))
        if len(self.problems) >= PROBLEMS_MAX:
            raise InvalidAccord(self.problems)


def _plain(text: str) -> Any:
    """The core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > NUMBER_LENGTH_MAX:
        return float("inf") if _FLOAT.fullmatch(text) else text
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _HEX.fullmatch(text):
        return int(text, 16)
    return float(text) if _FLOAT.fullmatch(text) else text
