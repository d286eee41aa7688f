"""The secrets of one source, as api stores them (sealed) and ingest reads them: each, and until when it counts."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

SECRETS_MAX: Final = 5


class Secret(NamedTuple):
    """`until` is set on the ones that a rotation replaced: they count until then."""

    text: str
    until: datetime | None = None

    def counts_at(self, now: datetime) -> bool:
        return self.until is None or now < self.until


def write(secrets: Sequence[Secret]) -> str:
    """What `read` reads, the newest first."""
    return json.dumps([[secret.text, secret.until.isoformat() if secret.until else None] for secret in secrets])


def read(stored: str) -> tuple[Secret, ...]:
    """A text that is no list is one secret, as earlier releases stored it."""
    if not stored.startswith("[["):
        return (Secret(stored),)
    return tuple(
        Secret(text, datetime.fromisoformat(until) if until is not None else None) for text, until in json.loads(stored)
    )


def rotated(secrets: Sequence[Secret], new: str, *, now: datetime, until: datetime) -> tuple[Secret, ...]:
    """The new secret in front; the others end at `until` at the latest, and what is over is gone."""
    others = (
        secret._replace(until=until if secret.until is None else min(secret.until, until))
        for secret in secrets
        if secret.text != new
    )
    left = tuple(secret for secret in others if secret.counts_at(now))
    return (Secret(new), *left[: SECRETS_MAX - 1])
