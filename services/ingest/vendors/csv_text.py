"""CSV as Excel and scanners write it: from the bytes of a file to blocks of whole records, and from a block to records.
Pure, and bounded whatever the file holds: a block, and one record beyond it, is all that is held.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Final, NamedTuple

BLOCK_CHARACTERS: Final = 256 * 1024
BLOCK_RECORDS_MAX: Final = 5_000
RECORD_CHARACTERS_MAX: Final = 64 * 1024  # less than csv's own limit of a field
CHARSETS: Final = ("utf-8", "utf-16", "windows-1252", "iso-8859-1")
SEPARATORS: Final = (",", ";", "\t", "|")

_CODECS: Final = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "windows-1252": "cp1252", "iso-8859-1": "iso-8859-1"}
_HEAD_BYTES: Final = 4
_NOT_CSV: Final = (
    (b"PK\x03\x04", "is an Excel workbook or a zip archive: in Excel, save it as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an Excel workbook: in Excel, save it as CSV UTF-8"),
    (b"\x1f\x8b", "is compressed: say so with Content-Encoding: gzip"),
    (b"%PDF", "is a PDF document, not CSV"),
)
_SEP: Final = re.compile(r'"?sep=(.)"?[ ,;\t]*', re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"')


class Unreadable(Exception):
    """The file as a whole can't be read; the message says where and what to do."""


class Block(NamedTuple):
    """Whole records as text. `line` is that of the first, counted from 1 in the file; blank ones are no `records`."""

    text: str
    line: int
    records: int


class Record(NamedTuple):
    """One record. `cells` is None where its quotes can't be read; `start` and `end` are its place in the text."""

    line: int
    cells: Sequence[str] | None
    start: int
    end: int

    @property
    def is_blank(self) -> bool:
        return self.cells is not None and not any(cell.strip() for cell in self.cells)


class Decoder:
    """Bytes in, text out. A byte order mark decides; without one the charset that was told, else UTF-8."""

    def __init__(self, charset: str | None = None) -> None:
        self._charset = charset or "utf-8"
        self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._taken = 0  # bytes that the decoder was given

    def feed(self, data: bytes, *, is_last: bool = False) -> str:
        """Raises Unreadable."""
        if self._decoder is None:
            self._head += data
            if len(self._head) < _HEAD_BYTES and not is_last:
                return ""
            data, self._head = self._head, b""
            self._decoder = codecs.getincrementaldecoder(_CODECS[self._charset_of(data)])()
        waiting = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(data, is_last)
        except UnicodeDecodeError as error:
            place = self._taken - waiting + error.start
            advice = "save it as CSV UTF-8, or name its charset, as in Content-Type: text/csv; charset=windows-1252"
            raise Unreadable(f"is not {self._charset} at byte {place}: {advice}") from None
        self._taken += len(data)
        return text

    def _charset_of(self, head: bytes) -> str:
        for signature, words in _NOT_CSV:
            if head.startswith(signature):
                raise Unreadable(words)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._charset = "utf-16"
        elif head.startswith(codecs.BOM_UTF8):
            self._charset = "utf-8"
        return self._charset


class Blocks:
    """Text in, blocks out. The first record that isn't blank is the header, which stands in no block."""

    def __init__(self) -> None:
        self._pending: list[str] = []
        self._size = 0
        self._line = 1
        self.separator: str | None = None
        self.header: Sequence[str] | None = None
        self.header_line = 0

    def feed(self, text: str, *, is_last: bool = False) -> list[Block]:
        """The blocks that are whole now. Raises Unreadable."""
        self._pending.append(text)
        self._size += len(text)
        if self._size < BLOCK_CHARACTERS and not is_last:
            return []
        whole = "".join(self._pending)
        if self.separator is None:
            whole = self._begin(whole)
        blocks: list[Block] = []
        start, line, records, end = 0, self._line, 0, 0
        for record in read_records(whole, self.separator or ",", self._line):
            _check_size(record)
            if record.end == len(whole) and not is_last:  # more of it may come
                self._line = record.line
                break
            end = record.end
            if self.header is None:
                self._take_header(record)
                continue
            if records == 0:
                start, line = record.start, record.line
            records += not record.is_blank
            if records >= BLOCK_RECORDS_MAX:
                blocks.append(Block(whole[start:end], line, records))
                records = 0
        if records:
            blocks.append(Block(whole[start:end], line, records))
        rest = whole[end:]
        self._pending, self._size = [rest], len(rest)
        return blocks

    def _begin(self, text: str) -> str:
        """Finds the separator; Excel may have said it in a line of its own, which is left out."""
        passed = 0
        for number, line in enumerate(StringIO(text, newline="")):
            passed += len(line)
            if not line.strip():
                continue
            if told := _SEP.fullmatch(line.strip("\r\n")):
                self.separator = told[1]
                self._line += number + 1
                return text[passed:]
            self.separator = max(SEPARATORS, key=_QUOTED.sub("", line).count)
            break
        return text

    def _take_header(self, record: Record) -> None:
        if record.cells is None:
            raise Unreadable(f"has a header, in line {record.line}, whose quotes can't be read: {QUOTING}")
        if not record.is_blank:
            self.header, self.header_line = record.cells, record.line


QUOTING: Final = 'a quote within a quoted field is written twice (""), and a separator follows the last one'


def _check_size(record: Record) -> None:
    if record.end - record.start > RECORD_CHARACTERS_MAX:
        raise Unreadable(
            f"has a record of more than {RECORD_CHARACTERS_MAX} characters, which begins in line {record.line}: "
            f"is a quote opened there and not closed? {QUOTING}"
        )


def read_records(text: str, separator: str, line: int) -> Iterator[Record]:
    """The records of a text that begins in this line of its file, blank ones too."""
    end, lines = 0, 0

    def counted() -> Iterator[str]:
        nonlocal end, lines
        for one in StringIO(text, newline=""):
            end += len(one)
            lines += 1
            yield one

    reader = csv.reader(counted(), delimiter=separator, strict=True)
    while True:
        start, first = end, line + lines
        try:
            cells: list[str] | None = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        yield Record(first, cells, start, end)
