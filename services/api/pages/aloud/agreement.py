"""The whole agreement, chapter by chapter, and which of its sentences a change is about."""

from collections.abc import Iterable, Iterator
from typing import Final

from services.api.pages.aloud.handing_over import routing_chapter, stages_chapter
from services.api.pages.aloud.points import engagement_chapter, fit_chapter
from services.api.pages.aloud.promising import broken_chapter, clocks_chapter, hours_chapter, promises_chapter
from services.api.pages.aloud.sentence import Chapter, Sentence
from shared.agreement.document import Accord

_BELOW: Final = (".", "[")


def chapters(accord: Accord) -> tuple[Chapter, ...]:
    """In the order in which people ask: who counts, why, who acts, by when, and what else."""
    return (
        Chapter("parties", "What this is", tuple(_parties(accord))),
        stages_chapter(accord.stages),
        engagement_chapter(accord.scoring.engagement),
        fit_chapter(accord.scoring.fit),
        routing_chapter(accord.routing),
        hours_chapter(accord.calendar),
        clocks_chapter(accord.sla),
        broken_chapter(accord.sla),
        promises_chapter(accord.sla),
    )


def changed(told: Iterable[Chapter], paths: Iterable[str]) -> frozenset[Sentence]:
    """The sentences that say what these places of the document hold: of each the closest."""
    sentences = [sentence for chapter in told for sentence in chapter.sentences]
    found: set[Sentence] = set()
    for path in paths:
        around = [sentence for sentence in sentences if _is_within(path, sentence.path)]
        closest = max((len(sentence.path) for sentence in around), default=0)
        found.update(sentence for sentence in around if len(sentence.path) == closest)
    return frozenset(found)


def _is_within(path: str, place: str) -> bool:
    return path == place or (path.startswith(place) and path[len(place)] in _BELOW)


def _parties(accord: Accord) -> Iterator[Sentence]:
    yield Sentence("name", f"This is what marketing and sales of {accord.name} have agreed.")
    if accord.currency is None:
        money = "It names no currency, so promises about opportunities count them and not their amounts."
    else:
        money = f"Amounts are counted in {accord.currency}."
    yield Sentence("currency", money)
    yield Sentence("accord", f"The document is of form {accord.accord}.")
