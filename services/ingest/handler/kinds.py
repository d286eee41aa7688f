"""The kinds of sources, as the api needs them (shared/source_kinds.py): to check, to name an address, to try out."""

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from services.ingest.vendors.judging import judge
from services.ingest.vendors.registry import VENDORS, check_settings
from services.ingest.vendors.source_settings import InvalidSettings
from services.ingest.vendors.vendor import TOKEN_PARAMETER, Refusal, Sent, SourceConfig, Vendor
from shared.http.openapi import body_schema
from shared.source_kinds import Draft, Sample, SettingFault, SourceKind

SECRET_BYTES: Final = 32
SEGMENT: Final = "segment"
# These are checked with the library of Standard Webhooks, whose secrets have a form.
STANDARD_WEBHOOKS: Final = ("generic",)


def source_kinds(now: Callable[[], datetime], event_bytes_max: int) -> Mapping[str, SourceKind]:
    """All of them, by name."""
    return {
        name: SourceKind(
            name=name,
            check=partial(_check, name),
            address=partial(_address, vendor),
            new_secret=partial(_new_secret, name),
            try_out=partial(_try_out, vendor, now, event_bytes_max),
            settings_schema=body_schema(vendor.settings),
        )
        for name, vendor in VENDORS.items()
    }


def _check(kind: str, settings: Mapping[str, Any]) -> Sequence[SettingFault]:
    try:
        check_settings(kind, settings)
    except InvalidSettings as invalid:
        return [SettingFault(*fault) for fault in invalid.faults]
    return ()


def _address(vendor: Vendor, source_id: UUID, secret: str | None) -> str:
    if vendor.kind == SEGMENT:
        return "/segment"
    path = f"/v1/hooks/{source_id}"
    return f"{path}?{TOKEN_PARAMETER}={quote(secret, safe='')}" if vendor.secret_in_url and secret else path


def _new_secret(kind: str) -> str:
    if kind in STANDARD_WEBHOOKS:
        return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return secrets.token_urlsafe(SECRET_BYTES)


def _try_out(
    vendor: Vendor, now: Callable[[], datetime], event_bytes_max: int, draft: Draft, sample: Sample
) -> Mapping[str, Any]:
    settings = check_settings(vendor.kind, draft.settings)
    config = SourceConfig(draft.source_id, draft.name, vendor.kind, draft.team, (), settings)
    headers = {name.lower(): value for name, value in sample.headers.items()}
    sent = Sent("POST", sample.path, sample.path, headers, {}, sample.body, now())
    read = vendor.read(sent, config)
    if isinstance(read, Refusal):
        return {"events": [], "rejected": [], "refused": read.message}
    judged = judge(read, config, received_at=sent.received_at, event_bytes_max=event_bytes_max)
    events = [
        {"position": item.position, "kind": item.kind, "standing": item.standing.value, "why": item.why, "event": event}
        for item, event in [
            *((fit.item, _shown(fit.item.event)) for fit in judged.fit),
            *((item, None) for item in judged.kept),
        ]
    ]
    rejected = [{"position": bad.position, "errors": [fault._asdict() for fault in bad.faults]} for bad in judged.bad]
    return {"events": sorted(events, key=lambda one: int(one["position"])), "rejected": rejected, "refused": None}


def _shown(event: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(event) if event is not None else None
