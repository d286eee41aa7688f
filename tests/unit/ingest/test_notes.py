"""What a source sent is counted whatever happens in between, within bounds whatever is sent."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.model.notes import KINDS_MAX, OTHER_KINDS, RECENT_MAX, Note, Notes

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SHOP = UUID(int=1)


def note(kind: str, standing: str = "accepted") -> Note:
    return Note(NOW, standing, kind)


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.tuples(st.sampled_from("abc"), st.sampled_from(("accepted", "ignored"))), st.just("fails")))
)
def test_no_count_is_lost_or_doubled_when_writing_fails_now_and_then(steps: list[tuple[str, str] | str]) -> None:
    notes = Notes()
    written: Counter[tuple[str, str]] = Counter()
    for step in steps:
        if isinstance(step, tuple):
            notes.add(SHOP, note(*step))
            continue
        gathered = notes.take()
        notes.add(SHOP, note("a"))
        notes.put_back(gathered)
        written["a", "accepted"] += 1
    counted = {key: counted.events for one in notes.take().values() for key, counted in one.kinds.items()}
    assert counted == Counter(step for step in steps if isinstance(step, tuple)) + written


def test_only_the_latest_are_kept_and_kinds_beyond_their_bound_count_together() -> None:
    notes = Notes()
    for number in range(KINDS_MAX + 50):
        notes.add(SHOP, note(f"kind {number}"))
    (found,) = notes.take().values()
    assert [one.kind for one in found.recent] == [f"kind {KINDS_MAX + 50 - n}" for n in range(RECENT_MAX, 0, -1)]
    assert found.kinds[OTHER_KINDS, "accepted"].events == 50
    assert len(found.kinds) == KINDS_MAX + 1


def test_what_a_receipt_lists_is_counted_only() -> None:
    notes = Notes()
    notes.add(SHOP, note("a"), is_listed=False)
    (found,) = notes.take().values()
    assert (found.recent, found.kinds["a", "accepted"].events) == ((), 1)
    assert notes.take() == {}
