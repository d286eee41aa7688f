"""What columns mean, what becomes of a row, and that a row is the event that one would post for it."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.model import Refused
from services.ingest.sweeper.forgetting import mention_of, spellings_of
from services.ingest.vendors.csv_columns import EVERYBODYS, places_of, read_mapping, words_of
from services.ingest.vendors.csv_erasure import Erased, without
from services.ingest.vendors.csv_errors import errors_header, errors_rows
from services.ingest.vendors.csv_rows import SCANNED, BlockRead, Plan, RowReader, defused
from services.ingest.vendors.csv_text import Block
from services.ingest.vendors.csv_times import check_zone, directives, read_time
from services.ingest.vendors.plain import Reading, Sender, read_event
from services.ingest.vendors.source_settings import SourceOptions

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def places(*header: str, mapping: dict[str, str | None] | None = None, has_type: bool = False) -> list[str | None]:
    return list(places_of(header, mapping or {}, SourceOptions(), has_type=has_type))


def reader(*header: str, **changes: Any) -> RowReader:
    plan: dict[str, Any] = {
        **{"source_id": UUID(int=1), "source": "fair", "kind": "generic", "team": "marketing", "settings": {}},
        **{"separator": ",", "header": header, "type": SCANNED, "time_zone": "UTC", "time_format": None},
        **changes,
    }
    plan.setdefault("places", places_of(header, {}, SourceOptions(), has_type=False))
    return RowReader(Plan(**plan), "d" * 64, event_bytes_max=32_768)


def read(of: RowReader, *lines: str) -> BlockRead:
    return of.read(Block("\n".join(lines), 2, len(lines)), NOW)


def faults(header: list[str], mapping: dict[str, str | None] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        places(*header, mapping=mapping)
    return [(fault.path, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("header", "place"),
    [
        *[(name, place) for name, place in EVERYBODYS.items()],
        *[(name.upper().replace(" ", "-"), place) for name, place in EVERYBODYS.items()],
        ("Lead Rating", "data.lead_rating"),
        ("Größe?", "data.große" if words_of("Größe") == "große" else "data.grosse"),
        ("??", "data.??"),
        ("profile.budget", "profile.budget"),
        ("lead.ids.hubspot", "ids.hubspot"),
        ("accord_reason", None),
    ],
)
def test_a_column_means_what_everybody_takes_it_for(header: str, place: str | None) -> None:
    other = "anonymous id" if place == "email" else "email"
    assert places(f" {header} ", other)[0] == place


def test_a_day_and_a_time_of_day_are_one_time_and_a_lone_time_is_the_whole_of_it() -> None:
    assert places("Email", "Time", "Date") == ["email", "time_of_day", "occurred_at"]
    assert places("Email", "Scan Time") == ["email", "occurred_at"]
    assert places("Email", "Timestamp", "Date") == ["email", "occurred_at", "data.date"]
    assert places("Email", "Time", "Date", mapping={"Date": None}) == ["email", "occurred_at", None]


def test_the_mapping_comes_first_and_finds_columns_by_their_words() -> None:
    given = {"contact": "email", "Work_Email": None, "Rank": "data.rating"}
    assert places("Contact", "Work Email", "RANK", mapping=given) == ["email", None, "data.rating"]


def test_a_type_that_is_told_for_all_rows_leaves_the_column_to_the_data() -> None:
    assert places("Email", "Type", has_type=True) == ["email", "data.type"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (["Name", "Company"], 'who a row is about; this file has "Name", "Company"'),
        (["Email", "Email"], 'columns 1 and 2 are both named "Email"'),
        (["Email", "E-Mail"], '"Email", "E-Mail" all mean email'),
        (["Email", "Rating", "rating"], "all mean data.rating"),
        (["Email", "E\0"], "UTF-16"),
        (["Email", "x" * 201], "column 2 has more than 200"),
        (["Email", *(f"c{n}" for n in range(500))], "501 columns; allowed: 500"),
    ],
)
def test_what_the_header_tells_to_be_wrong_is_told_in_words(header: list[str], words: str) -> None:
    assert any(words in message for path, message in faults(header) if path == "header")


def test_a_mapping_that_cannot_be_names_the_column_and_what_is_allowed() -> None:
    assert faults(["Email"], {"Mail": "email"}) == [("mapping.Mail", 'is no column of this file; it has "Email"')]
    for text in ("", "[]", '"x"', "{"):
        with pytest.raises(Refused, match="must be a JSON object"):
            read_mapping(text)
    for place in ("mail", "ids.email", "ids.", "profile", 7, ["email"]):
        with pytest.raises(Refused, match=r"mapping\.A: must be null"):
            read_mapping(f'{{"A": {place!r}}}'.replace("'", '"'))


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='",'), min_size=1, max_size=12).map(
    str.strip
)


@given(
    email=st.sampled_from(["Ada@Okapi.example ", "bob@faß.de"]),
    company=CELL,
    word=CELL,
    number=st.integers(-(10**15) + 1, 10**15 - 1) | st.integers(0, 9),
    second=st.integers(0, 59),
)
def test_a_row_is_the_event_that_one_would_post_for_it(
    email: str, company: str, word: str, number: int, second: int
) -> None:
    at = f"2026-11-20T09:30:{second:02}Z"
    found = read(
        reader("Email", "Company", "Rating", "Word", "Scanned at"), f"{email},{company},{number},w {word},{at}"
    )
    event: dict[str, Any] = {"type": SCANNED, "lead": {"email": email.strip()}, "occurred_at": at}
    event["data"] = {"rating": number, "word": f"w {word}".strip()}
    if company:
        event["profile"] = {"company": company}
    posted = read_event(event, Reading(Sender("fair", "fair", "marketing", {}), NOW, True, None))
    assert [row.posted for row in found.rows] == [posted]


def test_rows_come_in_the_order_of_their_times_and_those_without_one_last() -> None:
    lines = ["a@x.de,2026-11-20", "b@x.de,", "c@x.de,2026-11-19", "d@x.de,2026-11-19"]
    assert [row.key.line for row in read(reader("Email", "Date"), *lines).rows] == [4, 5, 2, 3]


def test_numbers_are_numbers_and_what_only_looks_like_one_is_text() -> None:
    header = ["Email", "a", "b", "c", "d", "e", "Employees"]
    found = read(reader(*header), 'x@x.de,7,-1.50,0049,+4930,"1,5","1,250"')
    assert found.rows[0].posted.data == {"a": 7, "b": -1.5, "c": "0049", "d": "+4930", "e": "1,5"}
    assert found.rows[0].posted.profile == {"employees": 1250}


@pytest.mark.parametrize(
    ("line", "path", "words"),
    [
        ("nobody,Okapi,", "E-Mail", "must be an email address"),
        (",Okapi,", "lead", "at least one identifier"),
        ("a@x.de,Okapi,noon", "Date", "time_format"),
        ("a@x.de,Okapi,1999-12-31", "Date", "before 2000"),
        ("a@x.de,Okapi,2026-11-20,more", "", "column 4 has something in it"),
        ('a@x.de,"Oka"pi,2026-11-20', "", "quotes"),
        ("a@x.de,Oka\0pi,2026-11-20", "Company", "NUL"),
        ("a@x.de," + "x" * 40_000 + ",", "", "larger than 32768 bytes"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_column_and_what_is_allowed(line: str, path: str, words: str) -> None:
    found = read(reader("E-Mail", "Company", "Date"), "ok@x.de,Okapi,", line)
    ((number, (fault,), cells),) = found.refused
    assert (number, len(found.rows), words in fault.message) == (3, 1, True), fault
    assert fault.path == path
    assert sum(map(len, cells)) <= 4_000


@pytest.mark.parametrize(
    ("text", "form", "zone", "at"),
    [
        ("2026-11-20T09:30:00+02:00", None, "Europe/Berlin", "2026-11-20T07:30:00+00:00"),
        ("2026-11-20 09:30", None, "Europe/Berlin", "2026-11-20T08:30:00+00:00"),
        ("2026-07-20 09:30", None, "Europe/Berlin", "2026-07-20T07:30:00+00:00"),
        (" 2026-11-20 ", None, "America/New_York", "2026-11-20T05:00:00+00:00"),
        ("2026-1-2 9:05", None, "UTC", "2026-01-02T09:05:00+00:00"),
        ("1795337100", None, "Europe/Berlin", "2026-11-22T08:45:00+00:00"),
        ("20/11/2026 09:30", "DD/MM/YYYY HH:mm", "UTC", "2026-11-20T09:30:00+00:00"),
        ("11/20/26 9:30 PM", "MM/DD/YY hh:mm A", "UTC", "2026-11-20T21:30:00+00:00"),
        ("20-Nov-2026", "DD-MMM-YYYY", "Asia/Tokyo", "2026-11-19T15:00:00+00:00"),
    ],
)
def test_times_are_read_as_iso_or_in_the_form_that_is_told(text: str, form: str | None, zone: str, at: str) -> None:
    assert read_time(text, form, zone).isoformat() == at


def test_forms_and_zones_that_cannot_be_are_known_beforehand() -> None:
    for form in ("", "YYYY", "DD.MM", "DD.MM.YYYY HH:mm x", "DD.DD.MM.YYYY", "%d.%m.%Y", "YYYY-MM-DDZ"):
        assert directives(form) is None, form
    for zone in ("", "Berlin", "../UTC", "x" * 200, "Europe"):
        assert check_zone(zone) is not None, zone
    assert check_zone("Europe/Berlin") is None
    with pytest.raises(Refused, match=r"written as DD\.MM\.YYYY"):
        read_time("31.02.2026", "DD.MM.YYYY", "UTC")


def test_what_sales_did_is_read_from_a_file_too_and_a_note_stays_text() -> None:
    found = read(reader("Email", "Type", "Notes", "Amount", "Currency"), "a@x.de,sales.won,4711,12.5,EUR")
    posted = found.rows[0].posted
    assert (posted.kind, posted.type) == ("sales", "sales.won")
    assert posted.data == {"note": "4711", "amount": 12.5, "currency": "EUR"}
    ((_, (fault,), _),) = read(reader("Email", "Type"), "a@x.de,sales.snoozed").refused
    assert fault == ("data.until", "is required for sales.snoozed")


def test_an_erased_persons_rows_go_and_the_others_keep_their_lines() -> None:
    of = reader("Email", "ids.crm", "Note", "Employees")
    lines = ["ada@x.de,,,", 'bob@x.de,,"says\nada@x.de",', 'ADA@X.DE ,,"two\nlines",', "cy@x.de,101,,", "di@x.de,,,101"]
    lines += ['"ada@x.de"x,,', "eve@x.de,,,"]
    wanted = frozenset({("email", "ada@x.de"), ("crm", "101")})
    block = Block("\n".join(lines), 2, 7)
    values = [value for _, value in wanted]
    left = without(block, of, Erased(wanted, spellings_of(values), mention_of(values)))
    assert left is not None
    rows = of.read(left, NOW).rows
    assert [(row.key.line, row.posted.email) for row in rows] == [(3, "bob@x.de"), (8, "di@x.de"), (10, "eve@x.de")]
    assert left.records == 3
    assert without(block, of, Erased(wanted, spellings_of(["nobody@x.de"]), mention_of(values))) is None


@given(st.text(max_size=6))
def test_no_cell_is_a_formula_to_a_spreadsheet_and_a_mended_file_has_its_cells_back(cell: str) -> None:
    assert not defused(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert defused(cell).removeprefix("'") == cell.removeprefix("'") or defused(cell) == cell


def test_refused_rows_can_be_mended_and_sent_again() -> None:
    header = ("Email", "Phone", "Note")
    refused = read(reader(*header), "nobody,+49 30,=1+1").refused
    text = errors_header(header, ";") + errors_rows(refused, header, ";")
    first, second = text.splitlines()
    assert re.match(r"accord_line;accord_reason;Email;Phone;Note", first)
    assert second == "2;Email: must be an email address;nobody;'+49 30;'=1+1"
    mended = reader(*first.split(";"), separator=";")
    posted = read(mended, second.replace("nobody", "a@x.de")).rows[0].posted
    assert (posted.profile, posted.data) == ({"phone": "+49 30"}, {"note": "=1+1"})
    again = read(mended, second).refused
    assert errors_rows(again, mended.plan.header, ";").rstrip() == second.replace("'", "''").replace("''", "'")
