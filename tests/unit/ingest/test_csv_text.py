"""Files as Excel and scanners write them: whatever their pieces, records come out whole and with their lines."""

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.vendors import csv_text
from services.ingest.vendors.csv_text import CHARSETS, SEPARATORS, Blocks, Decoder, Unreadable, read_records

CELL = st.text(st.sampled_from('ab,;\t|"\r\n é=\0'), max_size=8)
ROWS = st.lists(st.lists(CELL, min_size=2, max_size=4), max_size=12)


def written(rows: Sequence[Sequence[str]], separator: str, ending: str) -> str:
    """All quoted: Python's writer forgets to quote a lone carriage return."""
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def read_back(
    raw: bytes, sizes: Sequence[int], charset: str | None = None
) -> tuple[Blocks, list[tuple[int, list[str]]]]:
    """Every record, blank ones too, with its line; the file comes in pieces of these sizes, and then whole."""
    decoder, blocks, found = Decoder(charset), Blocks(), []
    start = 0
    for size in [*sizes, len(raw)]:
        found += blocks.feed(decoder.feed(raw[start : start + size]))
        start += size
    found += blocks.feed(decoder.feed(b"", is_last=True), is_last=True)
    separator = blocks.separator or ","
    records = [record for block in found for record in read_records(block.text, separator, block.line)]
    assert sum(block.records for block in found) == sum(not record.is_blank for record in records)
    return blocks, [(record.line, list(record.cells or ())) for record in records]


@settings(max_examples=300)
@given(
    rows=ROWS,
    separator=st.sampled_from(SEPARATORS),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    sizes=st.lists(st.integers(1, 40), max_size=30),
    charset=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
    block=st.integers(30, 90),
)
def test_what_was_written_is_read_back_whatever_the_pieces(
    rows: list[list[str]], separator: str, ending: str, sizes: list[int], charset: str, block: int
) -> None:
    header = ["Email", "Company"]
    text = written([header, *rows], separator, ending)
    raw = ("\ufeff" + text).encode(charset) if charset == "utf-16-le" else text.encode(charset)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_text, "BLOCK_CHARACTERS", block)
        patched.setattr(csv_text, "BLOCK_RECORDS_MAX", 3)
        blocks, found = read_back(raw, sizes)
    assert (blocks.header, blocks.separator) == (header, separator)
    with_text = [cells for _, cells in found if any(cell.strip() for cell in cells)]
    assert with_text == [row for row in rows if any(cell.strip() for cell in row)]
    # Each record stands where its line says.
    lines = list(io.StringIO(text, newline=""))
    whole = list(read_records(text, separator, 1))
    by_line = {record.line: list(record.cells or ()) for record in whole}
    assert all(by_line[line] == cells for line, cells in found)
    assert whole[-1].line <= len(lines)


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_charset_that_is_told_is_believed(charset: str) -> None:
    python = {"windows-1252": "cp1252"}.get(charset, charset)
    _, found = read_back("Name,Mail\nZoë,a@x.de\n".encode(python), [3, 5], charset)
    assert found == [(2, ["Zoë", "a@x.de"])]


@pytest.mark.parametrize(
    ("first", "separator"),
    [
        ("sep=;", ";"),
        ('"sep=\t"', "\t"),
        ("\r\n\r\nSEP=|", "|"),
        ("", ","),
    ],
)
def test_excel_may_say_the_separator_in_a_line_of_its_own(first: str, separator: str) -> None:
    text = f"{first}\r\nEmail{separator}Name\r\na@x.de{separator}Ada\r\n"
    blocks, found = read_back(text.encode(), [])
    assert (blocks.separator, blocks.header) == (separator, ["Email", "Name"])
    assert found == [(text.count("\n"), ["a@x.de", "Ada"])]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"PK\x03\x04", "Excel workbook or a zip"),
        (b"\xd0\xcf\x11\xe0", "Excel workbook"),
        (b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"),
        (b"%PDF-1.7", "PDF"),
        (b"Email\nzo\xeb@x.de\n", "not utf-8 at byte 8"),
        ("Email\n".encode("utf-16") + b"\x00", "not utf-16 at byte 14"),
        (b'Email,"x"y\na@x.de,\n', "line 1, whose quotes"),
        (b'Email,Note\na@x.de,"' + b"x" * 70_000, "begins in line 2"),
        (b'Email,Note\na@x.de,"' + b"x\n" * 200_000, "begins in line 2"),
    ],
)
def test_what_is_no_csv_is_refused_in_words(raw: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read_back(raw, [7, 100_000, 100_000])


def test_a_row_with_broken_quotes_spoils_no_other() -> None:
    text = 'a,b\n"x"y,1\nc,d\n"e\nf",g\n"never closed,\nh'
    assert [(record.line, record.cells) for record in read_records(text, ",", 10)] == [
        *((10, ["a", "b"]), (11, None), (12, ["c", "d"]), (13, ["e\nf", "g"]), (15, None)),
    ]
