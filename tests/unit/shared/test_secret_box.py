"""What lies in the database is of no use without the key, and a key can be changed without losing anything."""

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidDocument
from shared.secret_box import SecretBox, WrongSecretKey, key_beside, new_secret_key


@settings(max_examples=25)
@given(st.text())
def test_what_was_sealed_opens_to_the_same_text_and_shows_nothing_of_it(text: str) -> None:
    box = SecretBox(new_secret_key())
    sealed = box.seal(text)
    assert box.open(sealed) == text
    assert sealed.isascii()
    assert len(text) < 5 or text not in sealed
    assert box.seal(text) != sealed


def test_another_key_opens_nothing_and_neither_does_a_changed_text() -> None:
    box = SecretBox(new_secret_key())
    sealed = box.seal("whsec_abc")
    for other, text in ((SecretBox(new_secret_key()), sealed), (box, f"{sealed[:-8]}AAAAAAA="), (box, "whsec_abc")):
        with pytest.raises(WrongSecretKey):
            other.open(text)


def test_after_a_change_of_keys_the_new_one_is_enough() -> None:
    old, new = new_secret_key(), new_secret_key()
    sealed = SecretBox(old).seal("s")
    both = SecretBox(f"{new}, {old}")
    assert both.open(sealed) == "s"
    anew = both.sealed_anew(sealed)
    assert anew is not None
    assert SecretBox(new).open(anew) == "s"
    assert both.sealed_anew(anew) is None


def test_what_an_earlier_release_stored_as_it_is_gets_sealed() -> None:
    box = SecretBox(new_secret_key())
    sealed = box.sealed_anew("plain as day")
    assert sealed is not None
    assert box.open(sealed) == "plain as day"


@pytest.mark.parametrize("keys", ["", ",", "short", "x" * 44, ",".join([new_secret_key()] * 11)])
def test_what_is_no_key_is_said_so_without_repeating_it(keys: str) -> None:
    with pytest.raises(InvalidDocument, match="ACCORD_SECRET_KEY") as caught:
        SecretBox(keys)
    assert len(keys) < 5 or keys not in str(caught.value)


def test_a_key_of_openssl_is_a_key() -> None:
    SecretBox("+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=")


def test_the_key_beside_the_data_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "secret-key"
    key = key_beside(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_beside(file) == key
    assert SecretBox(key).open(SecretBox(key).seal("s")) == "s"
    assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]
