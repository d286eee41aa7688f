"""Standard Webhooks 1.0, as a receiver. Five minutes of tolerance both ways, as all reference libraries have."""

import base64
from collections.abc import Mapping
from datetime import timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.ingest.vendors.proofs import digest, forged, is_any, is_near, octets, seconds, stale, unproven
from services.ingest.vendors.vendor import Refusal, Sent, SourceConfig

TOLERANCE = timedelta(minutes=5)
PREFIX = "whsec_"
PUBLIC_PREFIX = "whpk_"  # the sender signs with Ed25519 (`v1a`): the secret of the source is its public key
SIGNATURE = "webhook-signature"
ID = "webhook-id"
SIGNATURES_MAX = 20  # looked at in one header: each costs a verification


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
    keys = [key_of(secret) for secret in source.secrets if not secret.startswith(PUBLIC_PREFIX)]
    expected = ["v1," + digest(key, message, algorithm="sha256", encoding="base64") for key in keys]
    matches = [is_any(signature, expected) for signature in given.split()]
    public = [secret for secret in source.secrets if secret.startswith(PUBLIC_PREFIX)]
    if any(matches) or any(_is_by(key, message, given) for key in public):
        return None
    return forged("The signature")


def _is_by(public: str, message: bytes, given: str) -> bool:
    """Whether a `v1a` signature of the list is by this public key."""
    for signature in given.split()[:SIGNATURES_MAX]:
        version, _, encoded = signature.partition(",")
        if version != "v1a":
            continue
        try:
            key = Ed25519PublicKey.from_public_bytes(_from_base64(public.removeprefix(PUBLIC_PREFIX)))
            key.verify(_from_base64(encoded), message)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def key_of(secret: str) -> bytes:
    """The bytes behind `whsec_`, padded or not; a secret that is no base64 counts as it is written."""
    try:
        return _from_base64(secret.removeprefix(PREFIX))
    except ValueError:
        return octets(secret)


def _from_base64(text: str) -> bytes:
    """Padded or not. Raises ValueError (which binascii's error is) for what is no base64."""
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
