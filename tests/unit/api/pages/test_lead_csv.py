"""Leads for spreadsheets: nothing becomes a formula there, and nothing is lost."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.pages.lead_csv import COLUMNS, cell, header, rows

LEAD: dict[str, Any] = {name: None for name in COLUMNS} | {"profile": {}, "due": None, "engagement": 1.239, "fit": -15}


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(header() + text)))


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "＝"])
def test_what_a_spreadsheet_would_take_for_a_formula_stays_text(begins: str) -> None:
    (row,) = read(rows([{**LEAD, "profile": {"name": f"{begins}HYPERLINK(1)"}}]))
    assert row["name"] == f"'{begins}HYPERLINK(1)"


def test_numbers_stay_numbers_and_what_is_missing_is_empty() -> None:
    (row,) = read(rows([{**LEAD, "email": "mary@acme.example"}]))
    assert (row["fit"], row["engagement"], row["email"], row["name"]) == ("-15", "1.24", "mary@acme.example", "")


def test_a_lead_shows_what_is_due() -> None:
    (row,) = read(rows([{**LEAD, "due": {"rule": "first-contact", "deadline": "2026-11-30T16:00:00Z"}}]))
    assert (row["due"], row["deadline"]) == ("first-contact", "2026-11-30T16:00:00Z")


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_any_text_comes_back_whole_or_behind_a_quote(text: str) -> None:
    (row,) = list(csv.reader(io.StringIO(rows([{**LEAD, "profile": {"company": text}}]), newline="")))
    company = row[list(COLUMNS).index("company")]
    assert company in (text, f"'{text}")
    assert not company.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_other_kinds_of_values_are_shown_as_text() -> None:
    assert cell(["a", "b"]) == "['a', 'b']"
    assert cell(True) == "True"
