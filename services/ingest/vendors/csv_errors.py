"""Refused rows as a file that a spreadsheet opens: mended there, it can be sent again as it is."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final

from services.ingest.vendors.csv_columns import LINE_COLUMN, REASON_COLUMN
from services.ingest.vendors.csv_rows import RefusedRow, defused

BOM: Final = b"\xef\xbb\xbf"  # without it Excel takes UTF-8 for another charset
_OWN: Final = (LINE_COLUMN, REASON_COLUMN)


def errors_header(header: Sequence[str], separator: str) -> str:
    """The file's own columns, behind the line and the reason; those of a mended file stand there once."""
    return _written([[*_OWN, *(name for name in header if name.strip() not in _OWN)]], separator)


def errors_rows(rows: Iterable[RefusedRow], header: Sequence[str], separator: str) -> str:
    """`header` as in the file."""
    left_out = {number for number, name in enumerate(header) if name.strip() in _OWN}
    return _written(
        (
            [str(row.line), _reason(row), *(cell for number, cell in enumerate(row.cells) if number not in left_out)]
            for row in rows
        ),
        separator,
    )


def _reason(row: RefusedRow) -> str:
    return "; ".join(f"{path}: {message}".removeprefix(": ") for path, message in row.faults)


def _written(rows: Iterable[Sequence[str]], separator: str) -> str:
    text = StringIO()
    csv.writer(text, delimiter=separator).writerows([defused(cell) for cell in row] for row in rows)
    return text.getvalue()
