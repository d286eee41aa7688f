"""Names as senders write them, as types of Accord: "Whitepaper Downloaded" and `whitepaper.downloaded` are one."""

import re
import unicodedata
from functools import lru_cache

TYPE_CHARACTERS_MAX = 200
PROFILE_UPDATED = "profile.updated"

_TYPE = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_NOT_IN_KINDS = re.compile(r"[^a-z0-9_-]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=10_000)
def fold(name: str) -> str | None:
    """The name in dotted lower case without accents; a name that already is a dotted type stays as it is. None if
    nothing remains of it (a name without a Latin letter or digit) or if it is too long."""
    trimmed = name.strip()
    if "." in trimmed and _TYPE.fullmatch(trimmed):
        return trimmed if len(trimmed) <= TYPE_CHARACTERS_MAX else None
    words = trimmed if re.search(r"[\s._/:-]", trimmed) else _HUMPS.sub(" ", trimmed)
    folded = _NOT_IN_NAMES.sub(".", _plain(words)).strip(".")
    return folded if 0 < len(folded) <= TYPE_CHARACTERS_MAX else None


@lru_cache(maxsize=10_000)
def kind_type(vendor: str, kind: str) -> str:
    """The type of an activity whose kind has none of its own: `vendor.kind`."""
    parts = (_NOT_IN_KINDS.sub("_", part).strip("_") for part in _plain(kind).split("."))
    return ".".join((vendor, *(part for part in parts if part)))[:TYPE_CHARACTERS_MAX].rstrip(".")


def _plain(text: str) -> str:
    """Lower case, without accents."""
    split = unicodedata.normalize("NFKD", text)
    return "".join(character for character in split if not unicodedata.combining(character)).casefold()
