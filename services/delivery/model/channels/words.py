"""What happened, in words: who, what, since when, what is due, and where to look. Total: an event that lacks
something is told without it."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

_CLOCK: Final = "accord.clock."
_PROMISE: Final = "accord.promise."
# Names come from web forms: they get one line, and not a long one.
TEXT_MAX: Final = 160
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f]+")

_CLOCK_WORDS: Final = {
    "started": ("Started", "started"),
    "warned": ("Due soon", "due soon"),
    "met": ("Kept", "kept"),
    "breached": ("Broken promise", "broken"),
    "escalated": ("Escalated", "escalated"),
    "resolved": ("Done, late", "done late"),
    "voided": ("Taken back, it was in time", "taken back"),
    "cancelled": ("Cancelled", "cancelled"),
    "paused": ("Paused", "paused"),
    "resumed": ("Goes on", "resumed"),
}
_PROMISE_WORDS: Final = {
    "warned": "Promise at risk",
    "kept": "Promise kept",
    "breached": "Broken promise",
    "corrected": "Promise corrected",
}
_URGENT: Final = frozenset({"accord.clock.breached", "accord.clock.escalated", "accord.promise.breached"})


class Told(NamedTuple):
    """One event in words. `kind` is what it is counted as; `facts` are (name, value) in the order to be shown."""

    headline: str
    kind: str
    facts: tuple[tuple[str, str], ...]
    link: str
    is_urgent: bool = False


def told(event: Mapping[str, Any], public_url: str) -> Told:
    """`event` is the CloudEvent that other receivers get."""
    type_, data = str(event.get("type", "")), event.get("data") or {}
    base = public_url.rstrip("/")
    if type_.startswith(_CLOCK):
        return _clock(type_, data, base)
    if type_.startswith(_PROMISE):
        return _promise(type_, data, base)
    if type_.startswith("accord.subscription."):
        return _about_subscription(type_, data, base)
    return _lead(type_, data, base)


def counted(lines: Iterable[Told]) -> str:
    """`2 broken, 1 qualified`: the first line of a message about several."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(line.kind for line in lines).most_common())


def person(data: Mapping[str, Any]) -> str:
    """A lead as people call it: name, title and company as far as they are known, else the address, else the id."""
    lead = data.get("lead") or {}
    profile = lead.get("profile") or {}
    name = profile.get("name") or " ".join(str(profile[n]) for n in ("first_name", "last_name") if profile.get(n))
    known = name or lead.get("email") or f"lead {data.get('lead_id', '')}"
    more = ", ".join(str(profile[n]) for n in ("title", "company") if profile.get(n))
    return clean(f"{known} ({more})" if more else known)


def clean(text: Any) -> str:
    """One line of bounded length."""
    line = _SPACE.sub(" ", str(text)).strip()
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"


def moment(value: Any) -> str:
    """`Mon 2 Mar 2026, 10:15 UTC`; what is no time stays as it is."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return clean(value)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


def _clock(type_: str, data: Mapping[str, Any], base: str) -> Told:
    happened, kind = _CLOCK_WORDS.get(type_.removeprefix(_CLOCK), (type_, type_))
    facts = _present(
        ("Owner", data.get("owner")),
        ("Team", data.get("team")),
        ("To", data.get("to")),
        ("Since", _moment(data.get("started_at"))),
        ("Due", _moment(data.get("deadline"))),
        ("Taken", _duration(data.get("elapsed_seconds"))),
        ("Attempt", data.get("attempt") if (data.get("attempt") or 1) > 1 else None),
    )
    headline = f"{happened}: {clean(data.get('rule', 'clock'))}, {person(data)}"
    return Told(headline, kind, facts, _lead_link(base, data), type_ in _URGENT)


def _promise(type_: str, data: Mapping[str, Any], base: str) -> Told:
    kind, is_share = type_.removeprefix(_PROMISE), data.get("denominator") is not None
    facts = _present(
        ("Promised by", data.get("of")),
        ("Period", data.get("period")),
        ("Target", _figure(data.get("target"), is_share)),
        ("Reached", _figure(data.get("reached"), is_share)),
        ("Due by now", _figure(data.get("pace"), is_share) if kind == "warned" else None),
        ("Now", data.get("state") if kind == "corrected" else None),
        ("Before", data.get("former_state") if kind == "corrected" else None),
    )
    headline = f"{_PROMISE_WORDS.get(kind, 'Promise')}: {clean(data.get('promise', ''))}"
    return Told(headline, f"promise {kind}", facts, base or "/", type_ in _URGENT)


def _about_subscription(type_: str, data: Mapping[str, Any], base: str) -> Told:
    name = clean(data.get("name", ""))
    if type_.endswith(".disabled"):
        facts = _present(("Why", data.get("why")), ("Since", _moment(data.get("failing_since"))))
        return Told(f"Subscription disabled: {name}", "subscription disabled", facts, base or "/", True)
    return Told(f"This is a test of the subscription {name}", "test", (), base or "/")


def _lead(type_: str, data: Mapping[str, Any], base: str) -> Told:
    who, link = person(data), _lead_link(base, data)
    due = data.get("due") or {}
    reasons = ", ".join(str(reason.get("words", "")) for reason in (data.get("reasons") or [])[:5])
    score = _present(
        ("Grade", data.get("grade")),
        ("Engagement", _number(data.get("engagement"))),
        ("Owner", data.get("owner")),
        ("Team", data.get("team")),
        ("Because", reasons or None),
        ("Due", f"{clean(due.get('rule', ''))} by {moment(due.get('deadline'))}" if due else None),
        ("Since", _moment(data.get("occurred_at"))),
    )
    match type_:
        case "accord.lead.qualified":
            return Told(f"Qualified: {who}", "qualified", score, link)
        case "accord.stage.changed":
            return Told(f"{who}: {data.get('from')} → {data.get('to')}", f"now {data.get('to')}", score, link)
        case "accord.lead.assigned":
            return Told(f"Assigned to {clean(data.get('owner') or 'nobody')}: {who}", "assigned", score, link)
        case "accord.sales.recorded":
            note = _present(("Note", data.get("note")), ("Channel", data.get("channel")))
            return Told(f"{clean(data.get('action', ''))}: {who}", clean(data.get("action", "")), note + score, link)
    return Told(f"{clean(type_)}: {who}", clean(type_), score, link)


def _present(*facts: tuple[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, clean(value)) for name, value in facts if value is not None and value != "")


def _lead_link(base: str, data: Mapping[str, Any]) -> str:
    return f"{base}/leads/{data.get('lead_id', '')}"


def _moment(value: Any) -> str | None:
    return None if value is None else moment(value)


def _number(value: Any) -> str | None:
    return f"{value:.0f}" if isinstance(value, int | float) else None


def _figure(value: Any, is_share: bool) -> str | None:
    """`37`, or `37.5%` of a share; half a lead is due by now too."""
    if not isinstance(value, int | float):
        return None
    return f"{100 * value:.4g}%" if is_share else f"{value:.12g}" if float(value).is_integer() else f"{value:.1f}"


def _duration(seconds: Any) -> str | None:
    if not isinstance(seconds, int | float):
        return None
    minutes = int(seconds // 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
