"""A score as a waterfall: rule by rule what was granted, what decay took, how the sum comes to the engagement. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from markupsafe import Markup

WIDTH: Final = 1_000
HEIGHT: Final = 20
_ADJUSTMENTS: Final = {"cap": "Cap: more doesn't count", "floor": "Floor: less doesn't count"}
_BAR: Final = Markup(
    '<svg class="fall" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}'
    '<rect class="granted" x="{}" width="{}" y="2" height="16"/>'
    '<rect class="{}" x="{}" width="{}" y="2" height="16"/></svg>'
)
_LINE: Final = Markup('<line class="threshold" x1="{}" x2="{}" y1="0" y2="{}"/>')


class Step(NamedTuple):
    """What one rule's grants, or an adjustment, come to; in points. From `begins` to `ends` the sum goes with it."""

    name: str
    times: int
    granted: int
    worth: float
    withheld: int
    why: tuple[str, ...]
    begins: float
    is_rule: bool = True

    @property
    def ends(self) -> float:
        return self.begins + self.worth

    @property
    def decayed(self) -> float:
        """What time has taken of what was granted; of what was taken it is the other way round."""
        return self.worth - self.granted


class Waterfall(NamedTuple):
    """The steps, what gave most first; `thresholds` are the engagements at which the line lies."""

    steps: Sequence[Step]
    thresholds: Sequence[float]
    low: float
    high: float

    def bar(self, step: Step) -> Markup:
        """The step's place in the whole. What was granted is drawn pale behind what it is worth."""
        lines = Markup("").join(_LINE.format(self._x(at), self._x(at), HEIGHT) for at in self.thresholds)
        pale = step.begins + (step.granted if step.is_rule else step.worth)
        tone = ("gain" if step.worth >= 0 else "loss") if step.is_rule else "adjustment"
        return _BAR.format(
            WIDTH, HEIGHT, lines, *self._span(step.begins, pale), tone, *self._span(step.begins, step.ends)
        )

    def _span(self, one: float, other: float) -> tuple[float, float]:
        from_, to = sorted((self._x(one), self._x(other)))
        return from_, round(to - from_, 1)

    def _x(self, points: float) -> float:
        return round((points - self.low) / (self.high - self.low) * WIDTH, 1)


def waterfall(explanation: Mapping[str, Any], thresholds: Iterable[float]) -> Waterfall:
    """Of an explanation as the api gives it; the last step ends at its engagement."""
    by_rule: dict[str, list[Mapping[str, Any]]] = {}
    for grant in explanation["grants"]:
        by_rule.setdefault(grant["rule"], []).append(grant)
    bare = sorted((_step(rule, grants) for rule, grants in by_rule.items()), key=lambda step: (-step.worth, step.name))
    steps: list[Step] = []
    sum_ = 0.0
    for step in (*bare, *map(_adjustment, explanation["adjustments"])):
        steps.append(step._replace(begins=sum_))
        sum_ += step.worth
    shown = tuple(thresholds)
    ends = [at for step in steps for at in (step.ends, step.begins + (step.granted if step.is_rule else 0))]
    low, high = min([0.0, *ends]), max([0.0, *ends, *shown])
    return Waterfall(steps, shown, low, high if high > low else low + 1.0)


def _step(rule: str, grants: Sequence[Mapping[str, Any]]) -> Step:
    return Step(
        rule,
        times=len([grant for grant in grants if grant["points"]]),
        granted=sum(grant["points"] for grant in grants),
        worth=sum(grant["worth"] for grant in grants),
        withheld=sum(grant["withheld"] for grant in grants),
        why=tuple(sorted({grant["why"] for grant in grants if grant["why"]})),
        begins=0.0,
    )


def _adjustment(adjustment: Mapping[str, Any]) -> Step:
    name = _ADJUSTMENTS[adjustment["kind"]]
    return Step(name, 0, granted=0, worth=adjustment["points"], withheld=0, why=(), begins=0.0, is_rule=False)
