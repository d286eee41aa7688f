"""How an email address is written wherever a lead is known by one: what ingest keeps is what the api looks for."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import idna

_NOT_IN_IT: Final = r"\s@\x00-\x1f\x7f<>(),;:\\\"\[\]"
_PARTS: Final = re.compile(rf"([^{_NOT_IN_IT}]{{1,64}})@([^{_NOT_IN_IT}/]{{1,253}})")
_DOMAIN: Final = re.compile(rf"[^{_NOT_IN_IT}/.]+(\.[^{_NOT_IN_IT}/.]+)*\.?")


@lru_cache(maxsize=65_536)
def normalise_email(value: str) -> str | None:
    """Trimmed, lower case, composed (Unicode NFC), its domain in ASCII; None if it is no address."""
    match = _PARTS.fullmatch(value.strip())
    if match is None:
        return None
    local, domain = match.groups()
    written = _written(domain)
    # Compatibility forms of @ and / have become these very characters.
    return f"{_composed(local)}@{written.rstrip('.')}" if _DOMAIN.fullmatch(written) else None


def _written(domain: str) -> str:
    """As browsers ask for it: IDNA 2008 after the mapping of UTS 46, in which ß stays itself. A name that IDNA 2008
    refuses (an emoji's, say) as IDNA 2003 has it, else as it came: a lead must not be lost for its domain."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        pass
    try:
        return domain.encode("idna").decode().lower()
    except UnicodeError:
        return _composed(domain)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.lower())
