"""What a start tells people: where Accord is, the key of the first start, and the link that signs in with it."""

import pytest

from services.cli import _announce
from services.first_start import Prepared

URL = "http://127.0.0.1:8080"


def test_the_first_start_prints_a_link_that_signs_in(capsys: pytest.CaptureFixture[str]) -> None:
    _announce(URL, Prepared(admin_key="acc_admin_secret", accord_version=1))
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"Accord is up: {URL}  (accord version 1)",
        "Admin key, shown this once: acc_admin_secret",
        f"Today, signed in with it: {URL}/sign-in#acc_admin_secret",
    ]


def test_a_start_with_a_key_that_is_known_shows_none(capsys: pytest.CaptureFixture[str]) -> None:
    _announce(URL, Prepared(admin_key=None, accord_version=3))
    assert capsys.readouterr().out.splitlines() == [f"Accord is up: {URL}  (accord version 3)"]
