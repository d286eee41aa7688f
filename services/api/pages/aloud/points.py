"""How points are earned and fade, and what grades mean."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from services.api.pages.aloud.conditions import said
from services.api.pages.aloud.sentence import Chapter, Sentence, any_span, counted, listing, span, spoken
from shared.agreement.document_scoring import AfterActivity, Engagement, EngagementRule, Fit, FitRule, Grades
from shared.agreement.phrases import DEFAULT, NEVER, value_of

_ENGAGEMENT: Final = "scoring.engagement"
_FIT: Final = "scoring.fit"


def engagement_chapter(engagement: Engagement) -> Chapter:
    return Chapter("points", "How points are earned, and how they fade", tuple(_engagement(engagement)))


def fit_chapter(fit: Fit) -> Chapter:
    return Chapter("grades", "What grades mean", tuple(_fit(fit)))


def _engagement(engagement: Engagement) -> Iterator[Sentence]:
    if engagement.cap is None:
        most = "There is no limit to engagement; it is never less than 0."
    else:
        most = f"Engagement is never more than {engagement.cap:,} and never less than 0."
    yield Sentence(f"{_ENGAGEMENT}.cap", f"What a lead does earns it points: its engagement. {most}")
    yield Sentence(f"{_ENGAGEMENT}.half_life", _fading(engagement.half_life))
    if not engagement.rules:
        yield Sentence(f"{_ENGAGEMENT}.rules", "No activity earns any points.")
    for rule in engagement.rules:
        yield Sentence(f"{_ENGAGEMENT}.rules[{rule.id}]", _rule(rule), rule.id)


def _fading(half_life: timedelta | None) -> str:
    if half_life is None:
        return "Points do not fade, unless a rule says so."
    return (
        f"Points fade: after {span(half_life)} they are worth half, after {span(2 * half_life)} a quarter, and so on, "
        "unless a rule says otherwise."
    )


def _rule(rule: EngagementRule) -> str:
    """`5 points for “page viewed” where its path starts with /pricing, at most 10 points in any 7 days.`"""
    points = counted(abs(rule.points), "point")
    begins = f"{points} for" if rule.points >= 0 else f"{points} {'is' if rule.points == -1 else 'are'} taken away for"
    told = f"{begins} {spoken(rule.activity)}"
    if rule.where is not None:
        told += f" where {said(rule.where)}"
    if rule.after is not None:
        told += f", if {_before(rule.after)}"
    if rule.once:
        told += ", only the first time"
    if rule.at_most is not None:
        told += f", at most {counted(rule.at_most.points, 'point')} in any {any_span(rule.at_most.per)}"
    return f"{told}.{_own_half_life(rule)}"


def _before(after: AfterActivity) -> str:
    where = "" if after.where is None else f" where {said(after.where)}"
    return f"the lead has done {spoken(after.activity)}{where} in the {any_span(after.within)} before"


def _own_half_life(rule: EngagementRule) -> str:
    match value_of(rule, "half_life"):
        case timedelta() as half_life:
            return f" After {span(half_life)} these points are worth half."
        case value if value == NEVER:
            return " These points do not fade."
        case value:
            assert value == DEFAULT
            return ""


def _fit(fit: Fit) -> Iterator[Sentence]:
    yield Sentence(f"{_FIT}.rules", _FIT_BEGINS if fit.rules else "Nothing about a lead earns it fit.")
    for rule in fit.rules:
        yield Sentence(f"{_FIT}.rules[{rule.id}]", _fit_rule(rule), rule.id)
    yield Sentence(f"{_FIT}.grades", _grades(fit.grades))


_FIT_BEGINS: Final = "Who a lead is earns it points, too: its fit, the sum of all that holds. Fit does not fade."


def _fit_rule(rule: FitRule) -> str:
    points = counted(abs(rule.points), "point")
    begins = points if rule.points >= 0 else f"{points} less"
    return f"{begins} for every lead." if rule.where is None else f"{begins} if {said(rule.where)}."


def _grades(grades: Grades) -> str:
    given = [(grade, at) for grade, at in grades if at is not None]
    if not given:
        return "No grade is agreed: every lead is of grade D."
    begins = listing([f"{grade} from a fit of {at:,}" for grade, at in given])
    never = [grade for grade, at in grades if at is None]
    return f"A lead is of grade {begins}; else of grade D." + (
        f" Nobody gets grade {listing(never, 'or')}." if never else ""
    )
