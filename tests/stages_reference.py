"""The table of transitions as the accord's reference has it, read as data and walked slowly, apart from the model."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from shared.events.lifecycle import IgnoredReason, Stage

LINE: Final = ["lead", "mql", "sal", "sql", "opportunity", "customer"]

# A copy of the table in ACCORD.md "Stages".
AGREED: Final = """
| accepted | mql | sal |
| rejected(reason) | mql, sal | `rejection_reasons[reason]` (unknown reason: 422 with the list, or ignored) |
| qualified | sal | sql |
| opportunity.opened(amount, currency) | sql | opportunity |
| won(amount, currency) | opportunity | customer |
| lost(reason) | opportunity | recycled |
| recycled | mql, sal, sql | recycled |
| disqualified(reason) | any but customer | disqualified |
| reopened | disqualified | lead |
| assigned(owner?) | any but customer, disqualified | no change of stage; new owner |
| contacted(channel), snoozed(until), note | any | no change (touches, pauses and history) |
"""


def agreed_rows() -> Iterator[tuple[str, frozenset[str], str]]:
    """Action, the stages it is taken in, and where it leads."""
    for line in AGREED.strip().splitlines():
        actions, from_, to = (cell.strip() for cell in line.strip("|").split("|"))
        named, _, but = from_.partition(" but ")
        stages = {*Stage} - {*but.split(", ")} if named == "any" else {*named.split(", ")}
        for action in re.findall(r"([a-z.]+)(?:\([^)]*\))?(?:, |$)", actions):
            yield action, frozenset(stages), to


ROWS: Final = {action: (stages, to) for action, stages, to in agreed_rows()}


def reference(action: str, stage: str, rejections: Mapping[str, str], reason: str | None) -> list[str] | IgnoredReason:
    """Slowly, in the words of the agreement: the stages that are entered, or why none is."""
    taken_in, to = ROWS[action]
    if to.startswith("no change"):
        return [] if stage in taken_in else IgnoredReason.NOT_ALLOWED
    if action == "rejected":
        found = rejections.get(reason or "")
        if found is None:
            return IgnoredReason.UNKNOWN_REASON
        to = found
    if stage == to and stage not in LINE:
        return IgnoredReason.NOT_ALLOWED  # it is there already
    if stage in taken_in:
        return [to]
    # Somebody is rejected, lost or recycled once; a disqualified lead is reopened first.
    if stage == "disqualified" or (stage == "recycled" and action in ("rejected", "lost")):
        return IgnoredReason.NOT_ALLOWED
    stands_at = "lead" if stage == "recycled" else stage
    ahead = LINE[LINE.index(stands_at) + 1 :]
    for count, between in enumerate(ahead, 1):
        if between in taken_in:
            return [*ahead[:count], to]
    return IgnoredReason.NOT_ALLOWED if stands_at == "lead" else IgnoredReason.BACKWARDS
