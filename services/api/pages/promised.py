"""How promises on many leads stand, from `GET /v1/promises` to what a page shows. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from services.api.pages.words import count, share

WIDTH: Final = 160
HEIGHT: Final = 12
_GAUGE: Final = Markup(
    '<svg class="gauge" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}"><title>{}</title>'
    '<rect class="base" width="{}" height="{}" rx="3"/><rect class="part" width="{}" height="{}" rx="3"/>{}</svg>'
)
_PACE: Final = Markup('<rect class="pace" x="{}" width="2" height="{}"/>')
_ENDED: Final = {"kept": "kept", "breached": "broken", "running": "not settled yet"}


class Promised(NamedTuple):
    """One promise: `reached` of `target` in the period that runs until `until`, `gauge` draws it; `of_what` names the
    numbers of a share. `standing` and `former` are how it stands and stood, in words; `is_behind` and `was_broken` ask
    for attention."""

    name: str
    of: str
    target: str
    reached: str
    of_what: str | None
    until: str
    gauge: Markup
    standing: str
    is_behind: bool
    former: str | None
    was_broken: bool


def promised(items: Iterable[Mapping[str, Any]]) -> list[Promised]:
    """One row for each promise, in the order of the list: its period that runs, and the one before."""
    by_name: dict[str, dict[bool, Mapping[str, Any]]] = {}
    for item in items:
        by_name.setdefault(item["promise"], {})[item["state"] == "running"] = item
    return [_row(of[True], of.get(False)) for of in by_name.values() if True in of]


def _row(now: Mapping[str, Any], before: Mapping[str, Any] | None) -> Promised:
    standing = _standing(now)
    is_share = now["denominator"] is not None
    was = before and before["told"]
    return Promised(
        name=now["promise"],
        of=now["of"],
        target=_figure(now["target"], is_share=is_share),
        reached=_figure(now["reached"], is_share=is_share),
        of_what=_of_what(now),
        until=now["period"]["until"],
        gauge=_gauge(now, is_share=is_share),
        standing=standing,
        is_behind=standing == "behind",
        former=None if was is None else _former(was, is_share=is_share),
        was_broken=was is not None and was["state"] == "breached",
    )


def _standing(item: Mapping[str, Any]) -> str:
    if item["reached"] is not None and item["reached"] >= item["target"]:
        return "reached"
    if item["told"] is None:
        return "judged from the next period on"
    return "behind" if item["behind"] else "running"


def _former(told: Mapping[str, Any], *, is_share: bool) -> str:
    """`90, broken`."""
    ended = _ENDED[told["state"]]
    return ended if told["reached"] is None else f"{_figure(told['reached'], is_share=is_share)}, {ended}"


def _figure(value: float | None, *, is_share: bool) -> str:
    return share(value) if is_share else count(value)


def _of_what(item: Mapping[str, Any]) -> str | None:
    """`12,000 of 30,000 EUR`."""
    if item["denominator"] is None:
        return None
    unit = f" {item['currency']}" if item["currency"] else " leads" if item["measure"] == "leads" else ""
    return f"{count(item['numerator'])} of {count(item['denominator'])}{unit}"


def _gauge(item: Mapping[str, Any], *, is_share: bool) -> Markup:
    """Filled as far as was reached of the target. Of a count a mark shows what would be due by now; a share is the same
    at any time."""
    said = f"{_figure(item['reached'], is_share=is_share)} of {_figure(item['target'], is_share=is_share)}"
    pace = Markup()
    if not is_share:
        said += f", {count(round(item['pace'], 1))} due by now"
        pace = _PACE.format(_width(item["pace"], item["target"], WIDTH - 2), HEIGHT)
    filled = _width(item["reached"] or 0, item["target"], WIDTH)
    return _GAUGE.format(WIDTH, HEIGHT, WIDTH, HEIGHT, said, said, WIDTH, HEIGHT, filled, HEIGHT, pace)


def _width(value: float, target: float, whole: int) -> str:
    part = min(value / target, 1.0) if target > 0 else 1.0
    return f"{whole * part:.1f}".removesuffix(".0")
