"""States kept in memory are never older than what the last commit wrote."""

from uuid import UUID

from shared.stream.carrier import Slot
from shared.stream.hot import HotStates
from shared.stream.memory import MemoryCarrier, MemoryTransaction

ADA, BOB = UUID(int=1), UUID(int=2)


class Step:
    """A transaction that the test commits, or doesn't."""

    def __init__(self, epoch: int = 1) -> None:
        self.transaction = MemoryTransaction(MemoryCarrier(), Slot("scoring", "partition", 0), epoch)

    def commit(self) -> None:
        for then in self.transaction.then:
            then()


def stepped(hot: HotStates[str], states: dict[UUID, str], epoch: int = 1) -> dict[UUID, str]:
    """A step that commits; returns what it found at hand."""
    step = Step(epoch)
    found = hot.take(step.transaction, states)
    hot.keep(step.transaction, states)
    step.commit()
    return found


def test_what_a_commit_wrote_is_at_hand_in_the_next_step() -> None:
    hot = HotStates[str]()
    assert stepped(hot, {ADA: "1"}) == {}
    assert stepped(hot, {ADA: "2", BOB: "1"}) == {ADA: "1"}
    assert stepped(hot, {ADA: "3", BOB: "2"}) == {ADA: "2", BOB: "1"}


def test_a_step_that_never_commits_leaves_nothing_at_hand_of_its_leads() -> None:
    hot = HotStates[str]()
    stepped(hot, {ADA: "1", BOB: "1"})
    failed = Step()
    hot.take(failed.transaction, [ADA])
    hot.keep(failed.transaction, {ADA: "never"})
    assert stepped(hot, {ADA: "2", BOB: "2"}) == {BOB: "1"}


def test_a_new_epoch_starts_empty_and_a_late_commit_of_the_old_one_keeps_nothing() -> None:
    hot = HotStates[str]()
    stepped(hot, {ADA: "1"})
    late = Step(epoch=1)
    hot.keep(late.transaction, {BOB: "old"})
    assert stepped(hot, {ADA: "2"}, epoch=2) == {}
    late.commit()
    assert stepped(hot, {ADA: "3", BOB: "1"}, epoch=2) == {ADA: "2"}


def test_the_leads_longest_untouched_are_dropped_at_the_bound() -> None:
    hot = HotStates[str](leads_max=2)
    for number in (1, 2, 1, 3):
        stepped(hot, {UUID(int=number): "x"})
    assert set(stepped(hot, {UUID(int=number): "y" for number in (1, 2, 3)})) == {UUID(int=1), UUID(int=3)}
