"""A line as small as a word: how a number went, with where it stands now. Pure."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from services.api.pages.words import points

WIDTH: Final = 96
HEIGHT: Final = 28
_EDGE: Final = 3
_SVG: Final = Markup(
    '<svg class="sparkline" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}"><title>{}</title>'
    '<polygon class="area" points="{}"/><polyline class="line" points="{}"/><circle cx="{}" cy="{}" r="2.5"/></svg>'
)


def sparkline(values: Sequence[float], top: float, said: str) -> Markup:
    """`top` is the value at the upper edge, the same for all lines that are compared; `said` what the line shows."""
    assert values
    spots = _spots(values, top)
    line = " ".join(f"{x:g},{y:g}" for x, y in spots)
    area = f"{_EDGE},{HEIGHT} {line} {WIDTH - _EDGE},{HEIGHT}"
    words = f"{said}: {points(values[0])} at first, {points(max(values))} at most, {points(values[-1])} now"
    return _SVG.format(WIDTH, HEIGHT, WIDTH, HEIGHT, words, words, area, line, *(f"{at:g}" for at in spots[-1]))


def _spots(values: Sequence[float], top: float) -> list[tuple[float, float]]:
    across = (WIDTH - 2 * _EDGE) / max(len(values) - 1, 1)
    high = HEIGHT - 2 * _EDGE
    scale = high / top if top > 0 else 0.0
    return [
        (round(_EDGE + at * across, 1), round(HEIGHT - _EDGE - min(value * scale, high), 1))
        for at, value in enumerate(values)
    ]
