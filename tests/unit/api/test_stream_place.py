"""The id of an event of the stream: short, exact, and refused when it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.routes.stream_place import InvalidPlace, read, write

NUMBERS = st.integers(0, 2**50)


@given(place=st.lists(NUMBERS, min_size=1, max_size=40))
def test_a_place_is_read_as_it_was_written(place: list[int]) -> None:
    assert read(write(place), len(place)) == tuple(place)


@given(text=st.text(max_size=60), partitions=st.integers(1, 8))
def test_any_text_is_a_place_or_refused(text: str, partitions: int) -> None:
    try:
        place = read(text, partitions)
    except InvalidPlace:
        return
    assert len(place) == partitions
    assert all(0 <= number < 2**64 for number in place)


def test_it_is_short_where_partitions_lie_close_together() -> None:
    assert len(write([10_000_000 + n for n in range(4)])) <= 12


@pytest.mark.parametrize("text", ["", "gA", "AQ", "ÿ", write([1, 2, 3]), write([1, 2, 3, 4, 5]), "_" * 5000])
def test_an_id_of_another_number_of_partitions_is_none_of_this_stream(text: str) -> None:
    with pytest.raises(InvalidPlace):
        read(text, 4)
