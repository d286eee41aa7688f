"""Signatures, held against the reference implementation of Standard Webhooks."""

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.model.signatures import headers
from shared.clock import SystemClock
from shared.webhook_secrets import InvalidSecret

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


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
    now = SystemClock().now()  # the oracle reads the wall clock
    secrets = [f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2)]
    sent = headers("msg_1", int(now.timestamp()), b'{"a": 1}', secrets)
    for secret in secrets:
        assert standardwebhooks.Webhook(secret).verify(b'{"a": 1}', sent) == {"a": 1}


def test_a_secret_that_is_not_base64_is_told_apart() -> None:
    with pytest.raises(InvalidSecret):
        headers("msg_1", 0, b"", ["whsec_not base64!"])
