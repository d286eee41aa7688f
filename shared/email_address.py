"""How an email address is written wherever a lead is known by one: what ingest keeps is what the api looks for."""

import re
from functools import lru_cache
from typing import Final

_PARTS: Final = re.compile(r"([^\s@\x00-\x1f\x7f<>(),;:\\\"\[\]]{1,64})@([^\s@\x00-\x1f\x7f<>(),;:\\\"\[\]/]{1,253})")


@lru_cache(maxsize=65_536)
def normalise_email(value: str) -> str | None:
    """Trimmed, lower case, its domain in IDNA's ASCII form; None if it is no address."""
    match = _PARTS.fullmatch(value.strip())
    if match is None:
        return None
    local, domain = match.groups()
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        return None
    ascii_domain = ascii_domain.rstrip(".")
    return f"{local}@{ascii_domain}".lower() if all(ascii_domain.split(".")) else None
