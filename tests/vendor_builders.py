"""Requests of senders, for tests of what they mean."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from services.ingest.vendors.registry import VENDORS, check_settings
from services.ingest.vendors.vendor import Item, Read, Refusal, Sent, SourceConfig

RECEIVED_AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
URL = "https://accord.example/v1/hooks/00000000-0000-4000-8000-000000000006"
SECRET = "whsec_c2l4dGVlbiBvciBtb3JlIGJ5dGVzIG9mIHNlY3JldA=="


def sent(
    body: bytes | str = b"",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    url: str = URL,
    received_at: datetime = RECEIVED_AT,
) -> Sent:
    parts = urlsplit(url)
    return Sent(
        method=method,
        url=url,
        path=parts.path,
        headers={name.lower(): value for name, value in (headers or {}).items()},
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        body=body.encode() if isinstance(body, str) else body,
        received_at=received_at,
    )


def source(kind: str, *secrets: str, team: str = "marketing", **settings: Any) -> SourceConfig:
    return SourceConfig(
        id=UUID("00000000-0000-4000-8000-000000000006"),
        name=f"our {kind}",
        kind=kind,
        team=team,
        secrets=secrets or (SECRET,),
        settings=check_settings(kind, settings),
    )


def verdict(request: Sent, config: SourceConfig) -> Refusal | None:
    return VENDORS[config.kind].verify(request, config)


def read(request: Sent, config: SourceConfig) -> Read:
    """What the body holds; it must be readable."""
    found = VENDORS[config.kind].read(request, config)
    assert isinstance(found, Read), found
    return found


def only(request: Sent, config: SourceConfig) -> Item:
    """The one item of a body without faults."""
    found = read(request, config)
    assert not found.bad, found.bad
    (item,) = found.items
    return item
