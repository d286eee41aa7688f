"""HubSpot: signatures v3, v2 and v1; the batches of its subscriptions (contacts, deals, engagements and what ties
them), and the single records that its workflows post."""

import hashlib
import re
from datetime import timedelta
from typing import Any

from services.ingest.vendors.answers import problem, taken
from services.ingest.vendors.bodies import json_of, unreadable
from services.ingest.vendors.hubspot_events import event_drafts
from services.ingest.vendors.hubspot_records import record_drafts
from services.ingest.vendors.proofs import digest, forged, is_any, is_near, octets, seconds, stale, unproven
from services.ingest.vendors.shaping import read_each
from services.ingest.vendors.source_settings import CrmOptions, ErasingOptions
from services.ingest.vendors.vendor import Read, Refusal, Sent, SourceConfig, Vendor

KIND = "hubspot"
TOLERANCE = timedelta(minutes=5)
# What HubSpot decodes in the address before it signs.
_DECODED = {f"%{ord(character):02X}": character for character in ":/?@!$'()*,;"}
_ENCODED = re.compile("|".join(_DECODED), re.IGNORECASE)


class HubSpotOptions(CrmOptions, ErasingOptions):
    """Of a source of kind `hubspot`. Its secret is the client secret of the app; `stages` has the internal names of
    deal stages, lead statuses and lifecycle stages."""


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    """v3 where it is sent; else what X-HubSpot-Signature-Version says."""
    if (given := sent.headers.get("x-hubspot-signature-v3")) is not None:
        return _check_v3(given, sent, source)
    given = sent.headers.get("x-hubspot-signature")
    if given is None:
        return unproven("The header X-HubSpot-Signature-v3 (or X-HubSpot-Signature)")
    address = octets(sent.method.upper() + sent.url) if _is_v2(sent) else b""
    expected = [hashlib.sha256(secret.encode() + address + sent.body).hexdigest() for secret in source.secrets]
    return None if is_any(given.strip().lower(), expected) else forged("The header X-HubSpot-Signature")


def _is_v2(sent: Sent) -> bool:
    return sent.headers.get("x-hubspot-signature-version", "v1").strip().lower() == "v2"


def _check_v3(given: str, sent: Sent, source: SourceConfig) -> Refusal | None:
    stamp = sent.headers.get("x-hubspot-request-timestamp")
    if stamp is None:
        return unproven("The header X-HubSpot-Request-Timestamp")
    milliseconds = seconds(stamp)
    if milliseconds is None:
        return forged("The header X-HubSpot-Request-Timestamp (whole milliseconds)")
    if not is_near(milliseconds / 1000, sent.received_at, TOLERANCE):
        return stale("The header X-HubSpot-Request-Timestamp", TOLERANCE)
    addresses = {sent.url, _ENCODED.sub(lambda found: _DECODED[found[0].upper()], sent.url)}
    expected = [
        digest(secret.encode(), message, algorithm="sha256", encoding="base64")
        for secret in source.secrets
        for address in addresses
        for message in [octets(sent.method.upper() + address) + sent.body + octets(stamp)]
    ]
    return None if is_any(given.strip(), expected) else forged("The header X-HubSpot-Signature-v3")


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body: Any = json_of(sent.body)
    if isinstance(body, Refusal):
        return body
    stages = source.settings_as(HubSpotOptions).stages
    if isinstance(body, list):
        return read_each(body, lambda raw: event_drafts(raw, stages), source)
    if not isinstance(body, dict):
        return unreadable("must be a list of events, or one record")
    is_event = "subscriptionType" in body or "eventType" in body
    return read_each([body], lambda raw: (event_drafts if is_event else record_drafts)(raw, stages), source)


VENDOR = Vendor(kind=KIND, settings=HubSpotOptions, verify=verify, read=read, answer=taken, refuse=problem)
