"""Standard Webhooks 1.0 signatures, symmetric (`v1`). Own code, because it is short and a promise to receivers; the
tests hold it against the `standardwebhooks` package."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

_PREFIX = "whsec_"


class InvalidSecret(ValueError):
    """The secret of a subscription is not base64."""


def headers(message_id: str, timestamp: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """What a receiver verifies with. Several secrets give several signatures: rotation with an overlap."""
    signatures = " ".join(signature(message_id, timestamp, body, secret) for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def signature(message_id: str, timestamp: int, body: bytes, secret: str) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise InvalidSecret from None
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
