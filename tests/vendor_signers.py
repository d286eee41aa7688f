"""How each vendor proves itself, written from its documentation and apart from the code under test: what it sends, and
where. The oracle of the tests of forged, late and replayed requests, and the sender of those over HTTP."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import standardwebhooks


class Signed(NamedTuple):
    """Headers and address of a request with its proof."""

    headers: Mapping[str, str]
    url: str


Sign = Callable[[bytes, str, str, datetime], Signed]  # body, secret, address, time of sending


def _mac(algorithm: str, key: str, message: bytes) -> bytes:
    return hmac.new(key.encode(), message, getattr(hashlib, algorithm)).digest()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def standard(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    signature = standardwebhooks.Webhook(secret).sign("msg_6", at, body.decode())
    stamp = str(int(at.timestamp()))
    return Signed({"webhook-id": "msg_6", "webhook-timestamp": stamp, "webhook-signature": signature}, url)


def segment(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    return Signed({"X-Signature": _mac("sha1", secret, body).hex()}, url)


def hubspot_v3(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    stamp = str(int(at.timestamp() * 1000))
    signature = _b64(_mac("sha256", secret, b"POST" + url.encode() + body + stamp.encode()))
    return Signed({"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": stamp}, url)


def hubspot_v2(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    signature = hashlib.sha256(secret.encode() + b"POST" + url.encode() + body).hexdigest()
    return Signed({"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": "v2"}, url)


def hubspot_v1(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    signature = hashlib.sha256(secret.encode() + body).hexdigest()
    return Signed({"X-HubSpot-Signature": signature, "X-HubSpot-Signature-Version": "v1"}, url)


def typeform(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    return Signed({"Typeform-Signature": "sha256=" + _b64(_mac("sha256", secret, body))}, url)


def surveymonkey(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    signature = _b64(_mac("sha1", f"client-6&{secret}", body))
    return Signed({"Sm-Apikey": "client-6", "Sm-Signature": signature}, url)


def calendly(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    stamp = str(int(at.timestamp()))
    return Signed(
        {"Calendly-Webhook-Signature": f"t={stamp},v1={_mac('sha256', secret, f'{stamp}.'.encode() + body).hex()}"}, url
    )


def bearer(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    return Signed({"Authorization": f"Bearer {secret}"}, url)


def basic(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    return Signed({"Authorization": "Basic " + _b64(f"hooks:{secret}".encode())}, url)


def in_address(body: bytes, secret: str, url: str, at: datetime) -> Signed:
    return Signed({}, f"{url}?token={secret}")


SIGNERS: Final[Mapping[str, Sign]] = {
    "segment": segment,
    "hubspot": hubspot_v3,
    "marketo": bearer,
    "mailchimp": in_address,
    "typeform": typeform,
    "surveymonkey": surveymonkey,
    "eventbrite": in_address,
    "calendly": calendly,
    "pipedrive": basic,
    "salesforce": in_address,
    "cloudevents": bearer,
    "generic": standard,
}
