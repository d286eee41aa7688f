"""`accord accords` called wrongly, and what it says of versions and of refusals. Without an Accord: e2e has one."""

from typing import Any

import pytest
from typer.testing import CliRunner

from services.accords.commands import app
from services.accords.shown import change_lines, next_lines, version_line
from services.calling import Connection, call
from shared.errors import AccordError

SIGNED = {"role": "marketing", "signed_by": "Mary", "note": None}
BOOTSTRAP = {"role": None, "signed_by": "bootstrap", "note": "not signed by people"}


def version(state: str, *signatures: dict[str, Any], number: int = 2) -> dict[str, Any]:
    times = {"effective_at": "2026-12-01T08:00:00Z", "proposed_by": "Mary", "withdrawn_by": "Sam"}
    return {"version": number, "state": state, "signatures": list(signatures), **times}


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        (["list"], None, "set ACCORD_KEY"),
        (["diff", "1", "2", "3"], "k", "one version, two versions, or one file"),
        (["diff", "nowhere.yaml"], "k", "neither a version's number nor a file"),
        (["diff", "1", "nowhere.yaml"], "k", "one version, two versions, or one file"),
        (["show", "0"], "k", "Invalid value"),
        (["show", "two"], "k", "Invalid value"),
        (["propose", "nowhere.yaml"], "k", "does not exist"),
    ],
)
def test_a_wrong_call_says_what_is_right_and_asks_nobody(arguments: list[str], key: str | None, words: str) -> None:
    environment = {"ACCORD_KEY": key, "ACCORD_URL": "http://127.0.0.1:1", "COLUMNS": "200"}
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


def test_an_accord_that_is_away_or_none_at_all_is_told_so() -> None:
    for url, words in (
        ("http://127.0.0.1:1", "can't be reached at http://127.0.0.1:1"),
        ("nonsense", "nonsense is no address"),
    ):
        with pytest.raises(AccordError, match=words):
            call(Connection(url, "acc_x_12345678"), "GET", "/v1/accords")


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (version("proposed"), "version 2: proposed by Mary; signed by nobody yet"),
        (
            version("scheduled", SIGNED, {**SIGNED, "role": "sales", "signed_by": "Sam"}),
            "version 2: scheduled, takes effect at 2026-12-01T08:00:00Z; "
            "signed by Mary for marketing and Sam for sales",
        ),
        (version("withdrawn", SIGNED), "version 2: withdrawn by Sam; signed by Mary for marketing"),
        (
            version("effective", BOOTSTRAP, number=1),
            "version 1: effective; signed by bootstrap, not signed by people",
        ),
    ],
)
def test_a_version_is_one_line(shown: dict[str, Any], line: str) -> None:
    assert version_line(shown) == line


def test_what_is_left_to_do_is_said_until_both_have_signed() -> None:
    assert next(next_lines(version("proposed"))).endswith("once marketing and sales have signed it:")
    assert next(next_lines(version("proposed", SIGNED))).endswith("once sales has signed it:")
    assert list(next_lines(version("scheduled", SIGNED))) == [version_line(version("scheduled", SIGNED))]
    assert list(change_lines([])) == ["  nothing but how it is written"]
