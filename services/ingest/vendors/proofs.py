"""What senders prove themselves with: HMACs over the raw body, passwords, tokens. Every comparison takes constant time,
and every secret is tried, so that an older one works during an overlap."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache

from services.ingest.vendors.vendor import TOKEN_PARAMETER, Refusal, RefusalReason, Sent, SourceConfig

ALGORITHMS = ("sha1", "sha256", "sha512")
ENCODINGS = ("hex", "base64")

_SECONDS = re.compile(r"\d{1,15}", re.ASCII)


def octets(text: str) -> bytes:
    """UTF-8, of lone surrogates too: whatever stands in a header can be compared."""
    return text.encode("utf-8", "surrogatepass")


def digest(secret: bytes, message: bytes, *, algorithm: str, encoding: str) -> str:
    """The HMAC in text; hex in lower case."""
    found = _keyed(secret, algorithm).copy()
    found.update(message)
    return found.hexdigest() if encoding == "hex" else base64.b64encode(found.digest()).decode()


@lru_cache(maxsize=1_000)
def _keyed(secret: bytes, algorithm: str) -> hmac.HMAC:
    """What a source's HMACs begin with: to look up the algorithm and take in the key costs as much as an event."""
    return hmac.new(secret, digestmod=algorithm)


def is_any(given: str, expected: Iterable[str]) -> bool:
    """Whether it equals one of these; takes the same time wherever they differ."""
    found = False
    for candidate in expected:
        found |= hmac.compare_digest(octets(given), octets(candidate))
    return found


def seconds(text: str) -> int | None:
    """A whole number of seconds (or milliseconds) as it stands in a header."""
    return int(text) if _SECONDS.fullmatch(text) else None


def is_near(stamp: float, received_at: datetime, tolerance: timedelta) -> bool:
    """Whether this Unix time in seconds lies within the tolerance of when it was received, both ways."""
    return abs(received_at.timestamp() - stamp) <= tolerance.total_seconds()


def basic(authorization: str) -> tuple[str, str] | None:
    """User and password of Basic authentication."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, _, password = decoded.partition(":")
    return user, password


def bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def unproven(what: str) -> Refusal:
    return Refusal(RefusalReason.UNPROVEN, f"{what} is missing.")


def forged(what: str) -> Refusal:
    return Refusal(RefusalReason.FORGED, f"{what} does not match.")


def stale(what: str, tolerance: timedelta) -> Refusal:
    return Refusal(
        RefusalReason.STALE, f"{what} is more than {int(tolerance.total_seconds())} seconds from the time of receipt."
    )


def check_token(sent: Sent, source: SourceConfig) -> Refusal | None:
    """The secret in the address, for senders that can't sign."""
    what = f"The query parameter {TOKEN_PARAMETER}"
    given = sent.query.get(TOKEN_PARAMETER)
    if given is None:
        return unproven(what)
    return None if is_any(given, source.secrets) else forged(what)
