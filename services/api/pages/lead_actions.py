"""What sales can do to a lead on its page: what is offered in which stage, what a form says, how it went. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from services.api.pages.lead_life import IGNORED

STAGES_WITH_SALES: Final = ("mql", "sal", "sql", "opportunity")
_ASIDE: Final = ("lead", *STAGES_WITH_SALES, "recycled")
_EVERY: Final = (*_ASIDE, "customer", "disqualified")


class Offer(NamedTuple):
    """One action: what its button says, what may be said with it, and in which stages it makes sense."""

    words: str
    stages: tuple[str, ...]
    fields: tuple[str, ...] = ()
    is_main: bool = False
    hint: str = ""


# In the order in which they are shown; further ahead than the next step is possible, but not offered.
OFFERS: Final[Mapping[str, Offer]] = {
    "accepted": Offer("Accept", ("mql",), is_main=True),
    "qualified": Offer("Qualify", ("sal",), is_main=True),
    "opportunity.opened": Offer("Open opportunity", ("sql",), ("amount", "currency"), is_main=True),
    "won": Offer("Won", ("opportunity",), ("amount", "currency"), is_main=True),
    "contacted": Offer("Contacted", _EVERY, ("channel",)),
    "rejected": Offer("Reject", ("mql", "sal"), ("rejection",)),
    "lost": Offer("Lost", ("opportunity",), ("reason",)),
    "snoozed": Offer("Snooze", STAGES_WITH_SALES, ("until",), hint="Clocks that may pause wait until then."),
    "assigned": Offer("Hand over", _ASIDE, ("owner",)),
    "reopened": Offer("Reopen", ("disqualified",), is_main=True),
    "recycled": Offer("Recycle", ("mql", "sal", "sql"), ("reason",), hint="Back to marketing for a while."),
    "disqualified": Offer("Disqualify", _ASIDE, ("reason",), hint="No lead for anybody."),
    "note": Offer("Add note", _EVERY, ("note",)),
}
# Behind `More`, because they are rare or hard to take back.
RARE: Final = ("recycled", "disqualified", "note")
CHANNELS: Final = ("call", "email", "meeting", "message")
DONE: Final[Mapping[str, str]] = {
    "accepted": "Accepted.",
    "qualified": "Qualified.",
    "opportunity.opened": "The opportunity is open.",
    "won": "Won. Congratulations.",
    "contacted": "Contacted: it is on record.",
    "rejected": "Rejected.",
    "lost": "Lost: back to marketing.",
    "snoozed": "Snoozed.",
    "assigned": "Handed over.",
    "reopened": "Reopened.",
    "recycled": "Recycled: back to marketing.",
    "disqualified": "Disqualified.",
    "note": "The note is on record.",
}
PENDING: Final = "It is written down and will show here as soon as it is applied."


def offers(stage: str) -> dict[str, Offer]:
    return {action: offer for action, offer in OFFERS.items() if stage in offer.stages}


def body_of(form: Mapping[str, str], zone: ZoneInfo) -> tuple[dict[str, Any], dict[str, str]]:
    """The action as the api takes it, and what is wrong with the form, by field. Empty fields are left out."""
    offer = OFFERS.get(form.get("action", ""))
    if offer is None:
        return {}, {"action": "is none that this page offers"}
    body: dict[str, Any] = {"action": form["action"]}
    faults: dict[str, str] = {}
    for field in offer.fields:
        name = "reason" if field == "rejection" else field
        given = form.get(name, "").strip()
        if not given:
            continue
        try:
            body[name] = _READ[name](given, zone) if name in _READ else given
        except ValueError as error:
            faults[name] = str(error)
    return body, faults


def local_time(text: str, zone: ZoneInfo) -> datetime:
    """What a date-time input gives, in the reader's zone; with an offset of its own as it says. Raises ValueError."""
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=zone)
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date and a time, such as 2026-11-30 09:00") from None
    return at


def ignored_words(reason: str) -> str:
    return f"Nothing was changed: {IGNORED.get(reason, 'the lead can not be treated so')}."


def _until(text: str, zone: ZoneInfo) -> str:
    return local_time(text, zone).isoformat()


def _amount(text: str, zone: ZoneInfo) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        raise ValueError("must be a number, such as 12000 or 12,000.50") from None


def _currency(text: str, zone: ZoneInfo) -> str:
    return text.upper()


_READ: Final[Mapping[str, Callable[[str, ZoneInfo], Any]]] = {
    "until": _until,
    "amount": _amount,
    "currency": _currency,
}
