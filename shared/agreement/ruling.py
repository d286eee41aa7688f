"""From the document's rules to compiled ones."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from shared.agreement.conditions import compile_condition
from shared.agreement.document_scoring import AfterActivity, Engagement, EngagementRule, Fit
from shared.agreement.document_sla import Sla
from shared.agreement.promises import PromiseRule
from shared.agreement.rules import After, AtMost, ClockRule, CompiledFitRule, CompiledRule, Escalation

T = TypeVar("T")


def engagement_rules(engagement: Engagement) -> Iterator[CompiledRule]:
    """The engagement rules with their half lives, the default filled in."""
    sharing = Counter(rule.activity for rule in engagement.rules)
    for rule in engagement.rules:
        yield CompiledRule(
            id=rule.id,
            activity=rule.activity,
            points=rule.points,
            half_life=rule.half_life if "half_life" in rule.model_fields_set else engagement.half_life,
            at_most=AtMost(rule.at_most.points, rule.at_most.per) if rule.at_most else None,
            once=rule.once,
            after=_after(rule.after) if rule.after else None,
            matches=compile_condition(rule.where),
            words=_words(rule, alone=sharing[rule.activity] == 1),
        )


def fit_rules(fit: Fit) -> tuple[CompiledFitRule, ...]:
    """The fit rules."""
    return tuple(CompiledFitRule(rule.id, rule.points, compile_condition(rule.where)) for rule in fit.rules)


def clock_rules(sla: Sla) -> Iterator[ClockRule]:
    """The clocks, each with its ladder in the order of the shares."""
    for clock in sla.clocks:
        steps = sorted(clock.escalate, key=lambda step: step.at)
        yield ClockRule(
            id=clock.id,
            starts=clock.starts.value,
            stops=tuple(stop.value for stop in clock.stops),
            when=compile_condition(clock.when),
            within=clock.within,
            hours=clock.hours,
            warn_at=clock.warn_at,
            escalate=tuple(Escalation(step.at, step.to, step.then) for step in steps),
            pauses_while=clock.pauses_while,
        )


def promise_rules(sla: Sla) -> Iterator[PromiseRule]:
    """The promises on many leads, each with the stage that it looks at."""
    for promise in sla.promises:
        stage = promise.counts or promise.share_of
        assert stage is not None, "a promise counts a stage or is a share of one"
        yield PromiseRule(promise, stage.value, compile_condition(promise.when))


def grouped(rules: Iterable[T], key: Callable[[T], str]) -> dict[str, tuple[T, ...]]:
    """The rules by their key, in their order."""
    groups: dict[str, tuple[T, ...]] = {}
    for rule in rules:
        groups[key(rule)] = (*groups.get(key(rule), ()), rule)
    return groups


def _after(after: AfterActivity) -> After:
    return After(after.activity, compile_condition(after.where), after.within)


def _words(rule: EngagementRule, *, alone: bool) -> str:
    """`demo requested`; where rules share an activity, with the rule's own name: `page viewed (pricing page)`."""
    activity = _plain(rule.activity)
    return activity if alone else f"{activity} ({_plain(rule.id)})"


def _plain(name: str) -> str:
    return name.replace(".", " ").replace("-", " ").replace("_", " ")
