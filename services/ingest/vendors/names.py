"""Names as senders write them, as types of Accord: "Whitepaper Downloaded" and `whitepaper.downloaded` are one."""

import re
import unicodedata
from functools import lru_cache

from shared.events.sales import Action

TYPE_CHARACTERS_MAX = 200
# What every vendor has a word for: such facts about a person have one name, whoever sends them.
PLAIN_FIELDS = frozenset(
    {"title", "company", "employees", "industry", "country", "name", "first_name", "last_name", "phone", "website"}
    | {"city", "region", "postal_code"}
)
PROFILE_UPDATED = "profile.updated"
ACTIONS = frozenset(action.value for action in Action)

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


def activity_type(vendor: str, name: str, *, may_act: bool = True) -> str | None:
    """The type of what a sender's users named. What would read as `profile.updated`, or as `sales.` without being an
    action (or where names may not act for sales), gets the vendor's name in front."""
    folded = fold(name)
    if folded is None:
        return None
    is_action = may_act and folded.removeprefix("sales.") in ACTIONS
    if folded == PROFILE_UPDATED or (folded.startswith("sales.") and not is_action):
        return f"{vendor}.{folded}"[:TYPE_CHARACTERS_MAX].rstrip(".")
    return folded


def shown(text: str) -> str:
    """A sender's word as it can be stored and shown: of bounded length, without what text can't hold."""
    if len(text) <= TYPE_CHARACTERS_MAX and text.isascii() and "\x00" not in text:
        return text
    return text[:TYPE_CHARACTERS_MAX].encode("utf-8", "replace").decode().replace("\x00", "")


@lru_cache(maxsize=10_000)
def kind_type(vendor: str, kind: str) -> str:
    """The type of an activity whose kind has none of its own: `vendor.kind`."""
    parts = (_NOT_IN_KINDS.sub("_", part).strip("_") for part in _plain(kind).split("."))
    return ".".join((vendor, *(part for part in parts if part)))[:TYPE_CHARACTERS_MAX].rstrip(".")


def _plain(text: str) -> str:
    """Lower case, without accents."""
    split = unicodedata.normalize("NFKD", text)
    return "".join(character for character in split if not unicodedata.combining(character)).casefold()
