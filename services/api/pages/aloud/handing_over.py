"""Who is a qualified lead, what a rejection does, and who gets which lead."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from services.api.pages.aloud.conditions import said, subject
from services.api.pages.aloud.sentence import Chapter, Sentence, counted, listing, quoted, span, spoken
from shared.agreement.document_stages import Routing, RoutingRule, Stages, TeamOwner

_OUTCOMES: Final = {"recycled": "is recycled: it goes back to marketing", "disqualified": "is disqualified"}


def stages_chapter(stages: Stages) -> Chapter:
    return Chapter("qualified", "Who is a qualified lead", tuple(_stages(stages)))


def routing_chapter(routing: Routing) -> Chapter:
    return Chapter("routing", "Who gets which lead", tuple(_routing(routing)))


def _stages(stages: Stages) -> Iterator[Sentence]:
    yield Sentence("stages.mql", f"A lead is qualified, an MQL, and handed to sales as soon as {said(stages.mql)}.")
    cool_down = stages.recycle.cool_down if stages.recycle is not None else None
    if cool_down:
        rest = f"A recycled lead rests for {span(cool_down)}; what it does after that may qualify it again."
    else:
        rest = "A recycled lead does not rest: the next thing it does may qualify it again."
    yield Sentence("stages.recycle", rest)
    reasons = stages.rejection_reasons
    if not reasons:
        yield Sentence("stages.rejection_reasons", "No reason to reject a lead is agreed, so sales can't reject one.")
    for outcome, words in _OUTCOMES.items():
        named = [spoken(reason) for reason, leads_to in reasons.items() if leads_to == outcome]
        if named:
            text = f"A lead that sales rejects as {listing(named, 'or')} {words}."
            yield Sentence("stages.rejection_reasons", text)


def _routing(routing: Routing) -> Iterator[Sentence]:
    yield from _rules(routing.rules)
    for team, owners in routing.teams.items():
        yield Sentence(f"routing.teams[{team}]", _team(team, owners))
    yield Sentence("routing.sticky", _sticky(routing.sticky))
    yield Sentence("routing.free_mail", _free_mail(routing.free_mail))
    yield from _managers(routing.managers)


def _rules(rules: Sequence[RoutingRule]) -> Iterator[Sentence]:
    is_open = True
    for number, rule in enumerate(rules):
        team = f"team {quoted(rule.team)}"
        if not is_open:
            text = f"No lead is left for the rule that follows, which names {team}{_if(rule)}."
        elif rule.when is None:
            text = f"Every {'other ' if number else ''}lead goes to {team}."
            is_open = False
        else:
            text = f"{'Else, a' if number else 'A'} qualified lead goes to {team}{_if(rule)}."
        yield Sentence(f"routing.rules[{number}]", text)
    if is_open:
        which = "A qualified lead for which none of this holds" if rules else "Every qualified lead"
        yield Sentence("routing.rules", f"{which} waits in the queue “unassigned”.")


def _if(rule: RoutingRule) -> str:
    return "" if rule.when is None else f" if {said(rule.when)}"


def _team(team: str, owners: Sequence[TeamOwner]) -> str:
    begins = f"In team {quoted(team)}"
    if not owners:
        return f"{begins} there is nobody: its leads wait in the queue “unassigned”."
    if len(owners) == 1:
        # A weight among one changes nothing, and is agreed on all the same.
        weight = "" if owners[0].weight == 1 else f" (weight {owners[0].weight})"
        return f"{begins} every lead goes to {owners[0].owner}{weight}{_capacity(owners[0])}."
    total = sum(owner.weight for owner in owners)
    shares = [f"{owner.owner} {owner.weight} of every {total}{_capacity(owner)}" for owner in owners]
    return f"{begins} owners take turns in this order: {listing(shares)}."


def _capacity(owner: TeamOwner) -> str:
    return "" if owner.capacity is None else f" (at most {counted(owner.capacity, 'lead')} a day)"


def _sticky(field: str | None) -> str:
    if field is None:
        return "An owner who already has a lead keeps it; otherwise turns decide."
    same = subject(field).removeprefix("its ")
    return f"An owner who already has a lead, or one with the same {same}, keeps it; otherwise turns decide."


def _free_mail(domains: Sequence[str]) -> str:
    if not domains:
        return "Every e-mail domain is taken for that of a company."
    return f"An e-mail address at {listing(domains, 'or')} says nothing about a company."


def _managers(managers: Mapping[str, str]) -> Iterator[Sentence]:
    for team, manager in managers.items():
        yield Sentence(f"routing.managers[{team}]", f"The manager of team {quoted(team)} is {manager}.")
