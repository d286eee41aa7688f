"""Charts of counts as SVG: standing columns and lying bars, of one or more parts each. Pure; a table says the same."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from services.api.pages.words import count

WIDTH: Final = 560
HEIGHT: Final = 220
_TOP: Final = 20
_FOOT: Final = 24
_ROOM: Final = 0.28  # of a column's place stays empty
_COLUMN_MAX: Final = 56.0
_NAMED_MAX: Final = 12  # of more columns only some are named
_ROW: Final = 28
_NAME_WIDTH: Final = 180
_NAME_CHARACTERS_MAX: Final = 26
_END_WIDTH: Final = 56
_SVG: Final = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
_PART: Final = Markup('<rect class="part {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>')
_TEXT: Final = Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>')
_BASE: Final = Markup('<line class="base" x1="0" x2="{}" y1="{}" y2="{}"/>')


class Part(NamedTuple):
    """A number, what it counts, and the class that colours it."""

    kind: str
    number: int


class Column(NamedTuple):
    """`name` stands at its foot, `told` at its head: what one should know of it at once."""

    name: str
    parts: tuple[Part, ...]
    told: str = ""

    @property
    def total(self) -> int:
        return sum(part.number for part in self.parts)


def standing(columns: Sequence[Column], said: str) -> Markup:
    """One column beside the other, as over time. `said` is what the whole shows."""
    top = max((column.total for column in columns), default=0)
    place = WIDTH / max(len(columns), 1)
    every = -(-len(columns) // _NAMED_MAX) or 1
    high = HEIGHT - _TOP - _FOOT
    drawn = [_BASE.format(WIDTH, HEIGHT - _FOOT, HEIGHT - _FOOT)]
    for number, column in enumerate(columns):
        middle = round((number + 0.5) * place, 1)
        y = float(HEIGHT - _FOOT)
        for part in column.parts:
            height = round(high * part.number / top, 1) if top else 0.0
            y = round(y - height, 1)
            width = round(min(place * (1 - _ROOM), _COLUMN_MAX), 1)
            if height:
                drawn.append(_part(part, column, (round(middle - width / 2, 1), y, width, height)))
        if number % every:
            continue
        if column.told:
            drawn.append(_TEXT.format("told", middle, round(y - 6, 1), "middle", column.told))
        drawn.append(_TEXT.format("name", middle, HEIGHT - 6, "middle", column.name))
    return _SVG.format(WIDTH, HEIGHT, said, Markup("").join(drawn))


def lying(columns: Sequence[Column], said: str) -> Markup:
    """One bar below the other, with room for names."""
    top = max((column.total for column in columns), default=0)
    wide = WIDTH - _NAME_WIDTH - _END_WIDTH
    drawn: list[Markup] = []
    for number, column in enumerate(columns):
        y = number * _ROW
        x = float(_NAME_WIDTH)
        drawn.append(_TEXT.format("name", _NAME_WIDTH - 8, y + 18, "end", _short(column.name)))
        for part in column.parts:
            width = round(wide * part.number / top, 1) if top else 0.0
            if width:
                drawn.append(_part(part, column, (round(x, 1), y + 6, width, _ROW - 12)))
            x += width
        drawn.append(_TEXT.format("told", round(x + 8, 1), y + 18, "start", column.told))
    return _SVG.format(WIDTH, max(len(columns), 1) * _ROW, said, Markup("").join(drawn))


def _part(part: Part, column: Column, box: tuple[float, float, float, float]) -> Markup:
    return _PART.format(part.kind, *box, f"{column.name}: {count(part.number)} {part.kind}")


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS_MAX else f"{name[: _NAME_CHARACTERS_MAX - 1]}…"
