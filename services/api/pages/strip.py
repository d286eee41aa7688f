"""A clock's time as a strip: what counted and what didn't, and why. Short pieces are drawn wide enough. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from services.api.pages.words import When, duration, instant

# Before all are made to fit, a piece that counted takes at least this share of the strip, another one less.
COUNTED_MIN: Final = 0.12
OTHER_MIN: Final = 0.05
# In a piece of this share there is room for a word, and for a word on a phone, too; below it for its hours.
_WORD_FROM: Final = 0.08
_PHONE_FROM: Final = 0.25
_HOURS_FROM: Final = 0.08
_EDGE: Final = 0.02
_SVG: Final = Markup('<svg class="strip" width="100%" height="64" role="img" aria-label="{}">{}</svg>')
_PIECE: Final = Markup(
    '<rect class="piece {}" x="{}%" width="{}%" y="18" height="24" rx="2"><title>{}</title></rect>{}{}'
)
_WORD: Final = Markup('<text class="{}" x="{}%" y="34" text-anchor="middle">{}</text>')
_HOURS: Final = Markup('<text class="hours" x="{}%" y="58" text-anchor="{}">{}</text>')
_MARK: Final = Markup(
    '<line class="mark {}" x1="{}%" x2="{}%" y1="14" y2="46"/>'
    '<text class="{}" x="{}%" y="11" text-anchor="{}">{}</text>'
)


class Piece(NamedTuple):
    """A part of the clock's time; where it begins on the strip and how wide it is, both from 0 to 1."""

    from_: datetime
    to: datetime
    is_counted: bool
    why: str
    begins: float
    share: float

    @property
    def seconds(self) -> float:
        return (self.to - self.from_).total_seconds()


def pieces(working: Sequence[Mapping[str, Any]]) -> list[Piece]:
    """Of a clock's working as the api gives it."""
    spans = [(instant(part["from"]), instant(part["to"])) for part in working]
    total = sum((to - from_).total_seconds() for from_, to in spans)
    wide = [
        max((to - from_).total_seconds() / total if total else 0.0, COUNTED_MIN if part["counted"] else OTHER_MIN)
        for part, (from_, to) in zip(working, spans, strict=True)
    ]
    found: list[Piece] = []
    begins = 0.0
    for part, (from_, to), width in zip(working, spans, wide, strict=True):
        share = width / sum(wide)
        found.append(Piece(from_, to, part["counted"], part["why"], begins, share))
        begins += share
    return found


def place(found: Sequence[Piece], at: datetime) -> float | None:
    """Where an instant lies on the strip, from 0 to 1; None outside of it."""
    for piece in found:
        if piece.from_ <= at <= piece.to and piece.seconds:
            return piece.begins + piece.share * ((at - piece.from_).total_seconds() / piece.seconds)
    return None


def strip(clock: Mapping[str, Any], when: When) -> Markup:
    """The drawing. It says in words what the table beside it says in full."""
    found = pieces(clock["working"])
    drawn = [_piece(piece, when) for piece in found]
    stopped_at = clock["met_at"] or clock["resolved_at"]
    for name, at in (("stopped", stopped_at), ("now", None if stopped_at or clock["closed_at"] else when.now)):
        spot = place(found, instant(at)) if at else None
        if spot is not None:
            drawn.append(_mark(name, spot))
    return _SVG.format(said(found), Markup("").join(drawn))


def said(found: Sequence[Piece]) -> str:
    """`1 h counted; not counted: 14 h night, 2 d weekend`."""
    counted = sum(piece.seconds for piece in found if piece.is_counted)
    idle: dict[str, float] = {}
    for piece in found:
        if not piece.is_counted:
            idle[piece.why] = idle.get(piece.why, 0.0) + piece.seconds
    words = ", ".join(f"{duration(seconds)} {why}" for why, seconds in idle.items())
    return f"{duration(counted)} counted; not counted: {words or 'nothing'}"


def _piece(piece: Piece, when: When) -> Markup:
    middle = _percent(piece.begins + piece.share / 2)
    word = "counted" if piece.is_counted else piece.why.removeprefix("holiday: ")
    span = when.span(piece.from_, piece.to)
    title = f"{span}, {duration(piece.seconds)}: {'counted' if piece.is_counted else f'not counted, {piece.why}'}"
    has_room = piece.share >= _WORD_FROM and len(word) <= piece.share * 150
    kind = "on-phone" if piece.share >= _PHONE_FROM else "wide"
    return _PIECE.format(
        "counted" if piece.is_counted else _kind(piece.why),
        _percent(piece.begins),
        _percent(piece.share),
        title,
        _WORD.format(kind, middle, word) if has_room else "",
        _hours(piece, span) if piece.is_counted and piece.share >= _HOURS_FROM else "",
    )


def _hours(piece: Piece, span: str) -> Markup:
    """Below the piece, and never over the edge of the strip."""
    if piece.begins < _EDGE:
        return _HOURS.format(_percent(piece.begins), "start", span)
    if piece.begins + piece.share > 1 - _EDGE:
        return _HOURS.format(_percent(piece.begins + piece.share), "end", span)
    return _HOURS.format(_percent(piece.begins + piece.share / 2), "middle", span)


def _kind(why: str) -> str:
    """The class of a piece that didn't count: a holiday's name is user-given and no class."""
    return "snoozed" if why == "snoozed" else "night" if why in ("night", "closed hours", "break") else "away"


def _mark(name: str, spot: float) -> Markup:
    anchor = "start" if spot < 0.1 else "end" if spot > 0.9 else "middle"
    at = _percent(spot)
    return _MARK.format(name, at, at, name, at, anchor, name)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
