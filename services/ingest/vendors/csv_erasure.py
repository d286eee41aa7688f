"""A block of a file without the rows that are of somebody who is erased."""

import re
import unicodedata
from collections.abc import Set
from io import StringIO

from services.ingest.model import Identifier
from services.ingest.vendors.csv_rows import RowReader
from services.ingest.vendors.csv_text import Block, Record, read_records


def without(block: Block, reader: RowReader, wanted: Set[Identifier], mention: re.Pattern[str]) -> Block | None:
    """None if no row is. Lines keep their numbers: empty ones stand where a row was. `mention` finds what `wanted`
    names in a text that is folded; a row of somebody else that mentions them stays, as an event of theirs would."""
    if mention.search(folded(block.text)) is None:
        return None
    kept: list[str] = []
    rows, is_other = 0, False
    for record in read_records(block.text, reader.plan.separator, block.line):
        text = block.text[record.start : record.end]
        if not record.is_blank and _is_of(record, text, reader, wanted, mention):
            kept.append("\n" * sum(1 for _ in StringIO(text, newline="")))
            is_other = True
            continue
        kept.append(text)
        rows += not record.is_blank
    return Block("".join(kept), block.line, rows) if is_other else None


def folded(text: str) -> str:
    """As identifiers are kept: in lower case, composed."""
    return unicodedata.normalize("NFC", text.lower())


def _is_of(record: Record, text: str, reader: RowReader, wanted: Set[Identifier], mention: re.Pattern[str]) -> bool:
    if record.cells is None:  # nobody can say whose it is
        return mention.search(folded(text)) is not None
    return any(identifier in wanted for identifier in reader.identifiers(record))
