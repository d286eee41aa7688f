"""What one subscription signs with, as api stores it (sealed) and delivery reads it: keys, and until when each counts.

`whsec_…` signs with HMAC-SHA256 (`v1`), `whsk_…` with Ed25519 (`v1a`); forms of Standard Webhooks 1.0.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SYMMETRIC: Final = "whsec_"
PRIVATE: Final = "whsk_"
PUBLIC: Final = "whpk_"
SEED_BYTES: Final = 32


class SigningKey(NamedTuple):
    """One key. `until` is set on the one that a rotation replaced: both sign until then."""

    text: str
    until: datetime | None = None

    def counts_at(self, now: datetime) -> bool:
        return self.until is None or now < self.until


class InvalidSecret(ValueError):
    """The secret of a subscription is not base64, or not of the length that its kind has."""


def write(keys: Sequence[SigningKey]) -> str:
    """What `read` reads."""
    return json.dumps([[key.text, key.until.isoformat() if key.until else None] for key in keys])


def read(stored: str) -> tuple[SigningKey, ...]:
    """The keys, newest first. A text that is no list is one key, as earlier releases stored it."""
    if not stored.startswith("["):
        return tuple(SigningKey(text) for text in stored.split())
    return tuple(
        SigningKey(text, datetime.fromisoformat(until) if until is not None else None)
        for text, until in json.loads(stored)
    )


def rotated(keys: Sequence[SigningKey], new: SigningKey, *, now: datetime, until: datetime) -> tuple[SigningKey, ...]:
    """The new key in front; those of its kind that it replaces end at `until` at the latest, past ones are gone."""
    kind = new.text.partition("_")[0]
    left = []
    for key in keys:
        if key.text.startswith(f"{kind}_"):
            key = key._replace(until=until if key.until is None else min(key.until, until))
        if key.counts_at(now):
            left.append(key)
    return (new, *left)


def raw_key(text: str) -> bytes:
    """The bytes of a key. Raises InvalidSecret."""
    for prefix in (SYMMETRIC, PRIVATE):
        text = text.removeprefix(prefix)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidSecret from None


def symmetric_key(raw: bytes) -> str:
    return SYMMETRIC + base64.b64encode(raw).decode()


def ed25519_keys(seed: bytes) -> tuple[str, str]:
    """The private key (`whsk_`: seed, then public key) and the public one (`whpk_`) of 32 random bytes."""
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return PRIVATE + base64.b64encode(seed + public).decode(), PUBLIC + base64.b64encode(public).decode()
