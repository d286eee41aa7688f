"""What became of what a source sent, in words; and why what was refused was. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

# What counted, what couldn't be used, and what was rightly left out: by the standings of docs/sources.md.
COUNTED: Final = ("accepted", "unmapped")
UNUSABLE: Final = ("rejected", "unreadable", "refused", "incomplete")
MEANINGS: Final[Mapping[str, str]] = {
    "accepted": "On its way to be scored",
    "unmapped": "Accepted under the sender's own name, because no type was given for it",
    "duplicate": "Seen before, counted once",
    "ignored": "Of no lead, or left out by the source's settings",
    "incomplete": "Names nobody: who it was stays with the sender",
    "erasure": "The sender asks to forget a person",
    "rejected": "Could not be used",
    "unreadable": "Could not be read at all",
    "refused": "Not proven to come from this sender",
}
REASONS_SHOWN: Final = 12


class Quality(NamedTuple):
    """Of everything that a source sent. `share` is what counted, of that and what couldn't be used; None of nothing."""

    counted: int
    unusable: int

    @property
    def share(self) -> float | None:
        judged = self.counted + self.unusable
        return self.counted / judged if judged else None

    @property
    def tone(self) -> str:
        share = self.share
        return "" if share is None else "tone-good" if share >= 0.98 else "tone-soon" if share >= 0.9 else "tone-bad"


def quality(by_standing: Mapping[str, int]) -> Quality:
    return Quality(
        sum(by_standing.get(standing, 0) for standing in COUNTED),
        sum(by_standing.get(standing, 0) for standing in UNUSABLE),
    )


class Reason(NamedTuple):
    words: str
    events: int


def reasons(events: Sequence[Mapping[str, Any]]) -> list[Reason]:
    """Why the latest that couldn't be used were not, the most frequent first. Of a request with many items each item
    counts, by its field and what is wrong with it."""
    counted: Counter[str] = Counter()
    for event in events:
        faults = [fault for item in event["items"] for fault in _faults(item)]
        counted.update(faults or [event["reason"] or event["standing"]])
    return [Reason(*pair) for pair in counted.most_common(REASONS_SHOWN)]


def _faults(item: Mapping[str, Any]) -> list[str]:
    errors = item.get("errors") or ()
    return [f"{error['path'].lstrip('.')}: {error['message']}".removeprefix(": ") for error in errors] or (
        [str(item["why"])] if item.get("why") else []
    )
