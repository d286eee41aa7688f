"""Ids derived from names are those of the standard library."""

from uuid import RFC_4122, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared.events.envelope import derived_id, named_id


@given(st.uuids(), st.text(max_size=50))
def test_a_named_id_is_uuid5_in_every_way(namespace: UUID, name: str) -> None:
    found, expected = named_id(namespace, name), uuid5(namespace, name)
    assert found == expected
    assert (hash(found), str(found), found.bytes) == (hash(expected), str(expected), expected.bytes)
    assert (found.version, found.variant) == (5, RFC_4122)


def test_a_derived_id_is_of_its_cause_type_and_discriminator() -> None:
    cause = UUID(int=7)
    assert derived_id(cause, "accord.score.changed") == uuid5(cause, "accord.score.changed")
    assert derived_id(cause, "accord.clock.escalated", "2") == uuid5(cause, "accord.clock.escalated/2")
