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
    signatures = " ".join([_signature(signed, secret) for secret in secrets])
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def _signature(signed: bytes, secret: str) -> str:
    if secret.startswith(PRIVATE):
        return "v1a," + base64.b64encode(_private_key(secret).sign(signed)).decode()
    keyed = _keyed(secret).copy()
    keyed.update(signed)
    return "v1," + base64.b64encode(keyed.digest()).decode()


@lru_cache(maxsize=_KEYS_MAX)
def _keyed(secret: str) -> hmac.HMAC:
    """An HMAC that has read its key and nothing else; a copy of it costs half of what keying does."""
    return hmac.new(raw_key(secret), digestmod=hashlib.sha256)


@lru_cache(maxsize=_KEYS_MAX)
def _private_key(secret: str) -> Ed25519PrivateKey:
    """`whsk_` carries the seed and then the public key."""
    raw = raw_key(secret)
    if len(raw) != 2 * SEED_BYTES:
        raise InvalidSecret
    return Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES])
