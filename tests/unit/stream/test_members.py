"""How members share partitions: evenly, all of them, and nobody takes what a living member still has."""

from hypothesis import given
from hypothesis import strategies as st

from shared.stream.members import holdings, share

NAMES = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=40)
PARTITIONS = st.integers(min_value=1, max_value=200)


@given(NAMES, PARTITIONS)
def test_the_shares_are_all_partitions_each_once_and_even(members: set[str], partitions: int) -> None:
    shares = [share(members, me, partitions) for me in members]
    assert sorted(number for mine in shares for number in mine) == list(range(partitions))
    sizes = [len(mine) for mine in shares]
    assert max(sizes) - min(sizes) <= 1


@given(NAMES, PARTITIONS, st.data())
def test_the_order_in_which_members_are_seen_changes_nothing(
    members: set[str], partitions: int, data: st.DataObject
) -> None:
    seen = data.draw(st.permutations(sorted(members)))
    assert all(share(seen, me, partitions) == share(members, me, partitions) for me in members)


@given(NAMES, PARTITIONS, st.data())
def test_what_a_living_member_has_is_held_by_no_other(members: set[str], partitions: int, data: st.DataObject) -> None:
    owner = st.one_of(st.none(), st.sampled_from(sorted(members)), st.just("dead and gone"))
    owners = data.draw(st.fixed_dictionaries({number: owner for number in range(partitions)}))
    for me in members:
        held = holdings(share(members, me, partitions), owners, members, me)
        assert all(owners[number] not in members - {me} for number in held)


@given(NAMES, PARTITIONS)
def test_once_the_others_have_given_back_everything_is_held(members: set[str], partitions: int) -> None:
    free: dict[int, str | None] = dict.fromkeys(range(partitions))
    held = [holdings(share(members, me, partitions), free, members, me) for me in members]
    assert sorted(number for mine in held for number in mine) == list(range(partitions))


def test_what_a_dead_member_had_is_taken_and_what_one_has_is_kept() -> None:
    owners = {0: "dead", 1: "me", 2: "other", 3: None}
    assert holdings(range(4), owners, {"me", "other"}, "me") == {0, 1, 3}
