"""Signatures, held against the reference implementation of Standard Webhooks, svix's own, and the published vectors."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError as SvixVerificationError

from services.delivery.model.signatures import headers
from shared.clock import SystemClock
from shared.webhook_secrets import InvalidSecret, SigningKey, ed25519_keys, read, rotated, write

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
# Published by Standard Webhooks and by svix: both sign this body under this id at this time.
MESSAGE_ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SYMMETRIC = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
ED25519 = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
)


@pytest.mark.parametrize(("secret", "signature"), [SYMMETRIC, ED25519])
def test_published_vectors_are_signed_as_published(secret: str, signature: str) -> None:
    assert headers(MESSAGE_ID, TIMESTAMP, BODY, [secret])["webhook-signature"] == signature


@given(
    key=st.binary(min_size=24, max_size=64),
    message_id=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
    body=st.text(max_size=200),
    has_prefix=st.booleans(),
)
def test_a_signature_is_what_the_reference_implementation_makes(
    key: bytes, message_id: str, body: str, has_prefix: bool
) -> None:
    encoded = base64.b64encode(key).decode()
    secret = f"whsec_{encoded}" if has_prefix else encoded
    oracle = standardwebhooks.Webhook(secret)
    sent = headers(message_id, int(AT.timestamp()), body.encode(errors="replace"), [secret])
    assert sent["webhook-signature"] == oracle.sign(message_id, AT, body.encode(errors="replace").decode())


def test_during_a_rotation_receivers_with_either_secret_verify() -> None:
    now = SystemClock().now()  # the oracles read the wall clock
    secrets = [f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2)]
    private, _ = ed25519_keys(b"s" * 32)
    sent = headers("msg_1", int(now.timestamp()), b'{"a": 1}', [*secrets, private])
    for secret in secrets:
        assert standardwebhooks.Webhook(secret).verify(b'{"a": 1}', sent) == {"a": 1}
        SvixWebhook(secret).verify(b'{"a": 1}', sent)
    other = "whsec_" + "QUJD" * 8
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(b'{"a": 1}', sent)
    with pytest.raises(SvixVerificationError):
        SvixWebhook(other).verify(b'{"a": 1}', sent)


@given(seed=st.binary(min_size=32, max_size=32), body=st.binary(max_size=100))
def test_an_ed25519_signature_verifies_with_the_public_key_and_with_no_other(seed: bytes, body: bytes) -> None:
    private, public = ed25519_keys(seed)
    sent = headers("msg_1", 7, body, [private])["webhook-signature"].removeprefix("v1a,")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    key.verify(base64.b64decode(sent), b"msg_1.7." + body)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(sent), b"msg_1.8." + body)


@pytest.mark.parametrize("secret", ["whsec_not base64!", "whsk_QUJD"])
def test_a_secret_that_can_not_be_read_is_told_apart(secret: str) -> None:
    with pytest.raises(InvalidSecret):
        headers("msg_1", 0, b"", [secret])


def test_a_rotation_keeps_what_it_replaces_until_its_overlap_ends_and_no_longer() -> None:
    keys = (SigningKey("whsec_a"), SigningKey("whsk_a"))
    once = rotated(keys, SigningKey("whsec_b"), now=AT, until=AT + timedelta(days=2))
    assert [(key.text, key.until) for key in once] == [
        ("whsec_b", None),
        ("whsec_a", AT + timedelta(days=2)),
        ("whsk_a", None),
    ]
    twice = rotated(once, SigningKey("whsec_c"), now=AT + timedelta(days=1), until=AT + timedelta(days=5))
    assert [key.text for key in twice if key.counts_at(AT + timedelta(days=3))] == ["whsec_c", "whsec_b", "whsk_a"]
    assert read(write(twice)) == twice
    assert read("whsec_old") == (SigningKey("whsec_old"),)
    at_once = rotated(keys, SigningKey("whsec_b"), now=AT, until=AT)
    assert [key.text for key in at_once] == ["whsec_b", "whsk_a"]
