"""Standard Webhooks 1.0, as a receiver. Five minutes of tolerance both ways, as all reference libraries have."""

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta

from services.ingest.vendors.proofs import digest, forged, is_any, is_near, octets, seconds, stale, unproven
from services.ingest.vendors.vendor import Refusal, Sent, SourceConfig

TOLERANCE = timedelta(minutes=5)
PREFIX = "whsec_"
SIGNATURE = "webhook-signature"
ID = "webhook-id"


def is_signed(headers: Mapping[str, str]) -> bool:
    return SIGNATURE in headers or ID in headers


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    """Any signature of the list may match, of any secret that counts."""
    headers = sent.headers
    message_id, stamp = headers.get(ID), headers.get("webhook-timestamp")
    given = headers.get(SIGNATURE)
    if not message_id or stamp is None or given is None:
        return unproven("One of the headers webhook-id, webhook-timestamp and webhook-signature")
    signed_at = seconds(stamp)
    if signed_at is None:
        return forged("The header webhook-timestamp (a whole number of seconds)")
    if not is_near(signed_at, sent.received_at, TOLERANCE):
        return stale("The header webhook-timestamp", TOLERANCE)
    message = b"%s.%s.%s" % (octets(message_id), octets(stamp), sent.body)
    expected = ["v1," + digest(key_of(s), message, algorithm="sha256", encoding="base64") for s in source.secrets]
    matches = [is_any(signature, expected) for signature in given.split()]
    return None if any(matches) else forged("The signature")


def key_of(secret: str) -> bytes:
    """The bytes behind `whsec_`, padded or not; a secret that is no base64 counts as it is written."""
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return octets(secret)
