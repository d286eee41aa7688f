"""A block of a file without the rows that are of somebody who is erased."""

import re
import unicodedata
from collections.abc import Set
from io import StringIO
from typing import NamedTuple

from services.ingest.model import Identifier
from services.ingest.vendors.csv_rows import RowReader
from services.ingest.vendors.csv_text import Block, Record, read_records


class Erased(NamedTuple):
    """Who is: by `identifiers`, by how these are spelled in a folded text, and by what finds that in one."""

    identifiers: Set[Identifier]
    spellings: Set[str]
    mention: re.Pattern[str]


def without(block: Block, reader: RowReader, erased: Erased) -> Block | None:
    """None if no row is. Lines keep their numbers: empty ones stand where a row was. A row of somebody else that
    mentions one of them stays, as an event of theirs would."""
    text = folded(block.text)
    if not any(spelling in text for spelling in erased.spellings):  # twenty times as quick as a pattern
        return None
    kept: list[str] = []
    rows, is_other = 0, False
    for record in read_records(block.text, reader.plan.separator, block.line):
        row = block.text[record.start : record.end]
        if not record.is_blank and _is_of(record, row, reader, erased):
            kept.append("\n" * sum(1 for _ in StringIO(row, newline="")))
            is_other = True
            continue
        kept.append(row)
        rows += not record.is_blank
    return Block("".join(kept), block.line, rows) if is_other else None


def folded(text: str) -> str:
    """As identifiers are kept: in lower case, composed."""
    return unicodedata.normalize("NFC", text.lower())


def _is_of(record: Record, text: str, reader: RowReader, erased: Erased) -> bool:
    if record.cells is None:  # nobody can say whose it is
        return erased.mention.search(folded(text)) is not None
    return any(identifier in erased.identifiers for identifier in reader.identifiers(record))
