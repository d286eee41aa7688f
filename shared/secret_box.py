"""Secrets that Accord must be able to use again (to verify or to sign) lie encrypted in the database.

Keys are Fernet's (AES-128-CBC with HMAC-SHA256; 32 random bytes in base64). The first one seals, all of them open, so a
key is changed by putting the new one in front; `accord migrate` then seals anew what the others had sealed.
"""

import os
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import AccordError, InvalidDocument

VARIABLE: Final = "ACCORD_SECRET_KEY"
KEYS_MAX: Final = 10
_SEALED: Final = "gAAAA"  # how every Fernet token begins: version 0x80, then a time before the year 2106


class NoSecretKey(AccordError):
    """Set ACCORD_SECRET_KEY, the same for every process: 32 random bytes in base64 (openssl rand -base64 32)."""


class WrongSecretKey(AccordError):
    """ACCORD_SECRET_KEY has not the key that the secrets in this database were sealed with."""


class SecretBox:
    """Seals and opens texts. `keys` are separated by commas. Raises InvalidDocument when one of them is no key."""

    def __init__(self, keys: str) -> None:
        found = [key.strip() for key in keys.split(",") if key.strip()]
        if not 1 <= len(found) <= KEYS_MAX:
            raise InvalidDocument(f"{VARIABLE} must have 1 to {KEYS_MAX} keys, separated by commas")
        try:
            fernets = [Fernet(key) for key in found]
        except ValueError:
            raise InvalidDocument(
                f"{VARIABLE}: each key must be 32 random bytes in base64 (openssl rand -base64 32)"
            ) from None
        self._first = fernets[0]
        self._all = MultiFernet(fernets)

    def seal(self, text: str) -> str:
        return self._first.encrypt(text.encode()).decode()

    def open(self, sealed: str, *, seconds_max: int | None = None) -> str:
        """Raises WrongSecretKey when none of the keys sealed this, it was changed, or it is older than that."""
        try:
            return self._all.decrypt(sealed, ttl=seconds_max).decode()
        except InvalidToken:
            raise WrongSecretKey from None

    def seal_bytes(self, data: bytes) -> bytes:
        """For more than a secret: what people sent, until it is used."""
        return self._first.encrypt(data)

    def open_bytes(self, sealed: bytes) -> bytes:
        """Raises WrongSecretKey as `open` does."""
        try:
            return self._all.decrypt(sealed)
        except InvalidToken:
            raise WrongSecretKey from None

    def sealed_anew(self, stored: str) -> str | None:
        """The same secret under the first key; None if that is how it lies there. What an earlier release stored as
        it is counts too. Raises WrongSecretKey."""
        if not stored.startswith(_SEALED):
            return self.seal(stored)
        try:
            self._first.decrypt(stored)
        except InvalidToken:
            return self.seal(self.open(stored))
        return None


def new_secret_key() -> str:
    """A random key."""
    return Fernet.generate_key().decode()


def key_beside(file: Path) -> str:
    """The key in this file, which only its owner may read; made now if there is none. Not for two at once."""
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as made:
            made.write(new_secret_key() + "\n")
            made.flush()
            os.fsync(made.fileno())
        unfinished.rename(file)
    return file.read_text(encoding="ascii").strip()
