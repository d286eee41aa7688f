"""What leads are looked up by: parts of what is sought, so that whoever has it has them too."""

from hypothesis import given
from hypothesis import strategies as st

from services.api.store.words import pieces


@given(st.text(st.sampled_from("abcé12 .-_@%"), max_size=30) | st.text(max_size=30))
def test_every_piece_is_a_part_of_what_is_sought(part: str) -> None:
    for piece in pieces(part):
        assert piece
        assert piece in part


@given(st.text(st.sampled_from("abc12 .-@"), max_size=30))
def test_each_word_is_looked_up_by_one_piece(part: str) -> None:
    words = "".join(sign if sign.isalnum() else " " for sign in part).split()
    found = list(pieces(part))
    assert len(found) == len(words)
    for piece, word in zip(found, words, strict=True):
        if len(word) >= 3:
            assert (len(piece), piece in word) == (3, True)
        else:
            assert word in piece


def test_a_long_word_is_looked_up_by_its_middle_and_a_short_one_by_where_it_begins_and_ends() -> None:
    assert list(pieces("maple foods 12-17 ltd")) == ["apl", "ood", " 12-", "-17 ", "ltd"]
    assert list(pieces("ann.o@")) == ["ann", ".o@"]
    assert list(pieces("%_-")) == []
