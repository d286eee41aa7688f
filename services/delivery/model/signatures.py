"""Standard Webhooks 1.0 signatures: symmetric (`v1`) and Ed25519 (`v1a`). Own code: it is short, and a promise to
receivers; the tests hold it against the packages `standardwebhooks` and `svix` and against the published vectors."""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.webhook_secrets import PRIVATE, SEED_BYTES, InvalidSecret, raw_key

_KEYS_MAX: Final = 10_000


def headers(message_id: str, timestamp: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """What a receiver verifies with. Several secrets give several signatures: rotation with an overlap.

    Raises InvalidSecret."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    signatures = " ".join(_signature(signed, secret) for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def _signature(signed: bytes, secret: str) -> str:
    if secret.startswith(PRIVATE):
        return "v1a," + base64.b64encode(_private_key(secret).sign(signed)).decode()
    return "v1," + base64.b64encode(hmac.digest(_symmetric_key(secret), signed, hashlib.sha256)).decode()


@lru_cache(maxsize=_KEYS_MAX)
def _symmetric_key(secret: str) -> bytes:
    return raw_key(secret)


@lru_cache(maxsize=_KEYS_MAX)
def _private_key(secret: str) -> Ed25519PrivateKey:
    """`whsk_` carries the seed and then the public key."""
    raw = raw_key(secret)
    if len(raw) != 2 * SEED_BYTES:
        raise InvalidSecret
    return Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES])
