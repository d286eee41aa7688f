"""What an endpoint's answer to the CloudEvents webhook handshake means (cloudevents/spec, http-webhook.md, 4)."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit


class Consent(NamedTuple):
    """`refusal` says why there is no consent, None is consent: to at most `rate_per_second`, if a rate was named."""

    refusal: str | None
    rate_per_second: float | None = None


def origin_of(public_url: str) -> str:
    """What this Accord calls itself when it asks, and in every delivery to who has agreed: a name of DNS."""
    return urlsplit(public_url).hostname or "accord"


def consent(headers: Mapping[str, str], origin: str, *, is_rate_asked: bool) -> Consent:
    """By the headers alone: the status means nothing. `headers` are looked up without regard to case by the caller's
    mapping."""
    allowed = headers.get("WebHook-Allowed-Origin")
    if allowed is None:
        return Consent("did not answer with WebHook-Allowed-Origin")
    if allowed.strip() not in (origin, "*"):
        return Consent("allows another origin than this Accord's")
    rate = headers.get("WebHook-Allowed-Rate", "").strip()
    if rate in ("", "*"):
        return Consent("did not answer with WebHook-Allowed-Rate" if is_rate_asked and not rate else None)
    if not rate.isascii() or not rate.isdigit() or int(rate[:9]) == 0:
        return Consent("answered with a WebHook-Allowed-Rate that is no number of requests per minute")
    return Consent(None, int(rate[:9]) / 60)
