"""A lead's life in words: what each thing on its timeline was, and the stages it went through. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.api.pages.words import STAGES, instant, points, signed

Detail = Mapping[str, Any]
VALUE_CHARACTERS_MAX: Final = 120
FACTS_MAX: Final = 12
_ROUTED: Final = {
    "rule": "by the routing rules",
    "sticky": "who had it, or its company, before",
    "reassigned": "as the next in the team",
    "handed over": "handed over",
    "unassigned": "nobody was free",
}
# Why an action changed nothing.
IGNORED: Final[Mapping[str, str]] = {
    "backwards": "the lead is as far along already, or further",
    "not allowed in this stage": "this can't be done in the stage that the lead is in",
    "unknown reason": "the accord has no such reason",
    "overtaken": "somebody else was faster",
    "nobody else is active": "nobody else in the team can take it now",
}
_DELIVERED: Final = {"delivered": "good", "dead": "bad"}
_CLOCKS: Final[Mapping[str, tuple[str, str]]] = {
    "started": ("Clock started", ""),
    "warned": ("Deadline near", "soon"),
    "met": ("Promise kept", "good"),
    "breached": ("Promise broken", "bad"),
    "escalated": ("Escalated", "bad"),
    "resolved": ("Done, late", "soon"),
    "voided": ("Breach taken back: it was in time", "good"),
    "cancelled": ("Clock cancelled", ""),
    "paused": ("Clock paused", "soon"),
    "resumed": ("Clock goes on", ""),
}


class Told(NamedTuple):
    """One thing that happened. `tone` is good, soon, bad or nothing; `facts` are (name, value) in order."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    tone: str = ""
    until: str | None = None


class Stay(NamedTuple):
    """A time in one stage. `entered_at` is None where the lead began, `seconds` while it lasts."""

    stage: str
    entered_at: str | None
    seconds: float | None
    is_implied: bool
    reason: str


def told(item: Mapping[str, Any]) -> Told:
    """An item of the timeline as the api gives it; of a kind that is not known its name."""
    tell = _KINDS.get(item["kind"])
    return tell(item["detail"]) if tell else Told(humanized(item["kind"]))


def known_by(items: Sequence[Mapping[str, Any]], at: datetime) -> list[Mapping[str, Any]]:
    """Without what arrived later."""
    return [item for item in items if instant(item["detail"].get("received_at") or item["at"]) <= at]


def without_repeats(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The items, the latest first, where a profile tells only what it changed, as far back as these items go."""
    known: dict[str, Any] = {}
    shown: list[Mapping[str, Any]] = []
    for item in reversed(items):
        if item["kind"] == "profile":
            fields = item["detail"]["fields"] or {}
            news = {name: value for name, value in fields.items() if name not in known or known[name] != value}
            known |= fields
            if fields and not news:
                continue
            item = {**item, "detail": {**item["detail"], "fields": news}}
        shown.append(item)
    return shown[::-1]


def humanized(name: str) -> str:
    """`whitepaper.downloaded` as `Whitepaper downloaded`."""
    words = name.replace(".", " ").replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def stays(transitions: Sequence[Mapping[str, Any]]) -> list[Stay]:
    """The path of stages, from transitions of the timeline in the order in which they happened."""
    details = [transition["detail"] for transition in transitions]
    if not details:
        return []
    ends = [detail["seconds"] for detail in details]
    first = Stay(details[0]["from_stage"], None, ends[0], is_implied=False, reason="")
    return [first, *(_stay(detail, seconds) for detail, seconds in zip(details, [*ends[1:], None], strict=True))]


def _stay(detail: Detail, seconds: float | None) -> Stay:
    reason = "" if detail["reason"] in (None, "sales action", "implied by a later step") else str(detail["reason"])
    return Stay(detail["to_stage"], detail["occurred_at"], seconds, bool(detail["implied"]), humanized(reason))


def _profile(detail: Detail) -> Told:
    fields = detail["fields"] or {}
    return Told("Profile updated" if fields else "Became known", (*_facts(fields), *_from(detail)))


def _activity(detail: Detail) -> Told:
    return Told(humanized(detail["type"]), (*_facts(detail["data"] or {}), *_from(detail)))


def _rescore(detail: Detail) -> Told:
    return Told(f"Rescored under version {detail['accord']} of the accord")


def _score(detail: Detail) -> Told:
    grants = detail["grants"] or []
    total = sum(grant["points"] for grant in grants)
    facts = [(grant["rule"], _granted(grant)) for grant in grants]
    sum_, noun = signed(total) if total else "No", "point" if abs(total) == 1 else "points"
    return Told(f"{sum_} {noun} for {humanized(detail['type']).lower()}", _bounded(facts))


def _granted(grant: Mapping[str, Any]) -> str:
    withheld = f", {points(grant['withheld'])} withheld: {grant['why']}" if grant["withheld"] else ""
    return f"{signed(grant['points'])}{withheld}"


def _action(detail: Detail) -> Told:
    by = f" by {detail['actor']}" if detail["actor"] else ""
    amount = None if detail["amount"] is None else f"{detail['amount']:,.2f} {detail['currency'] or ''}".strip()
    facts = [
        ("changed nothing", IGNORED.get(detail["ignored"], detail["ignored"])),
        ("reason", detail["reason"]),
        ("channel", detail["channel"]),
        ("amount", amount),
        ("to", detail["owner"]),
        ("note", detail["note"]),
    ]
    tone = "soon" if detail["ignored"] else ""
    known = [(name, _shortened(value)) for name, value in facts if value]
    return Told(f"{humanized(detail['action'])}{by}", (*known, *_routing(detail)), tone, until=detail["until"])


def _transition(detail: Detail) -> Told:
    from_, to = (STAGES.get(detail[name], detail[name]) for name in ("from_stage", "to_stage"))
    facts = [("why", detail["reason"]), ("implied", "passed through on the way" if detail["implied"] else None)]
    known = [(name, _shortened(value)) for name, value in facts if value]
    return Told(f"{from_} → {to}", (*known, *_routing(detail)))


def _routing(detail: Detail) -> list[tuple[str, str]]:
    routed = detail.get("routing")
    if not routed:
        return []
    words = _ROUTED.get(routed["why"], routed["why"])
    team = f", team {routed['team']}" if routed["team"] else ""
    passed = [f"{one['owner']} ({one['why']})" for one in routed["passed_over"] or ()]
    over = [("passed over", _shortened(", ".join(passed)))] if passed else []
    return [("owner", _shortened(f"{routed['owner'] or 'nobody'}, {words}{team}")), *over]


def _clock(detail: Detail) -> Told:
    title, tone = _CLOCKS.get(detail["type"].rpartition(".")[2], (humanized(detail["type"]), ""))
    facts = [("promise", detail["rule"]), ("owner", detail["owner"]), ("step", detail["level"])]
    return Told(title, [(name, _shortened(value)) for name, value in facts if value is not None], tone)


def _delivery(detail: Detail) -> Told:
    tries = f", {detail['attempts']} tries" if (detail["attempts"] or 0) > 1 else ""
    status = f", answered {detail['status']}" if detail["status"] else ""
    facts = [("event", str(detail["type"])), ("state", f"{detail['state']}{tries}{status}")]
    return Told("Told to a sales tool", facts, _DELIVERED.get(detail["state"], ""))


def _from(detail: Detail) -> list[tuple[str, str]]:
    return [(name, _shortened(detail[name])) for name in ("source", "campaign") if detail[name]]


def _facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return _bounded([(_shortened(name), _shortened(value)) for name, value in values.items()])


def _bounded(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    more = len(facts) - FACTS_MAX
    return [*facts[:FACTS_MAX], ("and", f"{more} more")] if more > 0 else facts


def _shortened(value: Any) -> str:
    text = "removed" if value is None else str(value)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[: VALUE_CHARACTERS_MAX - 1]}…"


_KINDS: Final = {
    "profile": _profile,
    "activity": _activity,
    "rescore": _rescore,
    "score": _score,
    "action": _action,
    "transition": _transition,
    "clock": _clock,
    "delivery": _delivery,
}
# What the timeline can be narrowed to, and the kinds that this means.
SHOWN: Final[Mapping[str, Iterable[str]]] = {
    "activities": ("profile", "activity"),
    "scores": ("score", "rescore"),
    "sales": ("action", "transition"),
    "clocks": ("clock",),
    "deliveries": ("delivery",),
}
