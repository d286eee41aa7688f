"""Files that people name on the command line."""

from pathlib import Path

from shared.errors import InvalidDocument


def text_of(file: Path) -> str:
    """What it holds. Raises InvalidDocument when that is no text in UTF-8, OSError when it can't be read."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"{file} is not UTF-8 text: byte {error.start}") from None
