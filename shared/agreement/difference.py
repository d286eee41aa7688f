"""What one version of the accord would do differently from another, in sentences that both sides can sign.

It walks the models, so a field that is added to them is told without being named here; phrases.py only makes some read
better. What is only written differently (60m for 1h, a default written out, the order of rules, or of the tests of a
condition) is no difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

from shared.agreement.conditions import Condition, in_one_order
from shared.agreement.document import Accord
from shared.agreement.document_base import Part
from shared.agreement.document_sla import EscalationStep
from shared.agreement.phrases import described, name_of, phrase, subject, value_of
from shared.agreement.wording import enumeration, in_words

# Lists up to this length are shown whole; of longer ones what came and what went.
SHOWN_WHOLE_MAX: Final = 4


class Change(NamedTuple):
    """One difference: where in the document, with names instead of numbers, and in words."""

    path: str
    words: str


class _Place(NamedTuple):
    """A field of a part: its kind and name, where it stands, and whose it is in words."""

    kind: type[Part]
    field: str
    path: str
    about: str

    def at(self, key: object) -> str:
        return f"{self.path}[{key}]"

    def change(self, before: str, after: str) -> Change:
        return Change(self.path, self.about + phrase(self.kind, self.field, f"{before} → {after}"))


def differences(before: Accord, after: Accord) -> tuple[Change, ...]:
    """Every difference in meaning, in the order of the document; none if only the writing differs."""
    return tuple(_parts(before, after, "", ""))


def _parts(before: Part, after: Part, path: str, about: str) -> Iterator[Change]:
    """The fields of two parts of one kind."""
    kind = type(before)
    for field in kind.model_fields:
        place = _Place(kind, field, f"{path}.{field}" if path else field, about)
        yield from _values(value_of(before, field), value_of(after, field), place)


def _values(before: Any, after: Any, place: _Place) -> Iterator[Change]:
    # Parts are not compared whole: they are equal although one leaves out a half-life and the other says `never`.
    if isinstance(before, Part) and isinstance(after, Part) and not _may_be_left_out(place):
        yield from _parts(before, after, place.path, place.about)
    elif isinstance(before, dict):
        yield from _mappings(before, after, place)
    elif _holds_parts(before) or _holds_parts(after):
        yield from _lists(before, after, place)
    elif isinstance(before, list):
        yield from _sets(before, after, place)
    elif _meaning(before) != _meaning(after):
        yield place.change(_words(before, place), _words(after, place))


def _meaning(value: Any) -> Any:
    """What two values are compared by: a part by its fields as they decide, a condition in one order."""
    if isinstance(value, Part):
        return [(field, _meaning(value_of(value, field))) for field in type(value).model_fields]
    if isinstance(value, Condition):
        return in_one_order(value)
    return [_meaning(item) for item in value] if isinstance(value, list) else value


def _may_be_left_out(place: _Place) -> bool:
    """Such a part is one thing to say: `at most 30 points in 90 d`."""
    return place.kind.model_fields[place.field].default is None


def _holds_parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Part)


def _words(value: Any, place: _Place) -> str:
    return described(place.kind, place.field, value)


def _sets(before: Sequence[Any], after: Sequence[Any], place: _Place) -> Iterator[Change]:
    """Hours, closed days, actions, domains: in whatever order they are written."""
    had, has = set(before), set(after)
    came, went = [value for value in after if value not in had], [value for value in before if value not in has]
    if not came and not went:
        return
    if max(len(before), len(after)) <= SHOWN_WHOLE_MAX:
        yield place.change(_words(before, place), _words(after, place))
        return
    told = [
        f"{word} {enumeration([in_words(value) for value in values])}"
        for word, values in (("added", came), ("removed", went))
        if values
    ]
    yield Change(place.path, f"{place.about}{phrase(place.kind, place.field, '; '.join(told))}")


def _mappings(before: Mapping[str, Any], after: Mapping[str, Any], place: _Place) -> Iterator[Change]:
    """Reasons, managers, teams: by key."""
    for key in {**before, **after}:
        old, new = before.get(key), after.get(key)
        at, about = place.at(key), f"{subject(place.kind, place.field)} {key}: "
        if isinstance(old, list) and isinstance(new, list) and _holds_parts(old) and _holds_parts(new):
            yield from _lists(old, new, place._replace(path=at, about=about))
        elif key not in before:
            yield Change(at, f"{about}added, {_words(new, place)}")
        elif key not in after:
            yield Change(at, f"{about}removed")
        elif _meaning(old) != _meaning(new):
            yield Change(at, f"{about}{_words(old, place)} → {_words(new, place)}")


def _lists(before: Sequence[Any], after: Sequence[Any], place: _Place) -> Iterator[Change]:
    """Parts with a name are compared by it, others by their place among those that stayed."""
    kind = type(next(iter((*before, *after))))
    name = next((name for name in ("id", "owner") if name in kind.model_fields), None)
    if name is None:
        yield from _placed(_in_effect(before), _in_effect(after), place)
        return
    old, new = ({getattr(part, name): part for part in parts} for parts in (before, after))
    yield from _named(old, new, place)
    # Of all these lists only that of a team's owners depends on its order: turns begin with the first.
    if name == "owner" and [key for key in old if key in new] != [key for key in new if key in old]:
        yield Change(place.path, f"{place.about}turns in the order {', '.join(new)}")


def _named(before: Mapping[str, Part], after: Mapping[str, Part], place: _Place) -> Iterator[Change]:
    for key in {**before, **after}:
        old, new, at = before.get(key), after.get(key), place.at(key)
        if old is not None and new is not None:
            yield from _parts(old, new, at, place.about + name_of(new, key))
        elif new is not None:
            words = _words(new, place)
            yield Change(at, f"{place.about}{name_of(new, key)}added{', ' if words else ''}{words}")
        elif old is not None:
            yield Change(at, f"{place.about}{name_of(old, key)}removed")


def _in_effect(parts: Sequence[Any]) -> list[Any]:
    """A ladder's steps come in the order of their shares, wherever they are written."""
    is_ladder = bool(parts) and isinstance(parts[0], EscalationStep)
    return sorted(parts, key=lambda step: step.at) if is_ladder else list(parts)


def _placed(before: Sequence[Any], after: Sequence[Any], place: _Place) -> Iterator[Change]:
    # By what they mean: words of two long conditions may be shortened to the same.
    ours, theirs = ([repr(_meaning(part)) for part in parts] for parts in (before, after))
    old, new = ([_words(part, place) for part in parts] for parts in (before, after))
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for offset in range(max(old_to - old_from, new_to - new_from)):
            was = old[old_from + offset] if old_from + offset < old_to else None
            is_ = new[new_from + offset] if new_from + offset < new_to else None
            number = (old_from if is_ is None else new_from) + offset
            words = f"{was} → {is_}" if was and is_ else f"added, {is_}" if is_ else f"removed ({was})"
            about = f"{place.about}{subject(place.kind, place.field)} {number + 1}: "
            yield Change(place.at(number), about + words)
