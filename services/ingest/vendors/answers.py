"""The answers that senders get: a small JSON body, which every sender studied takes for success, and problems."""

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import to_json

from services.ingest.vendors.vendor import Refusal, RefusalReason, Reply, Sent, Tally

JSON = "application/json"
PROBLEM = "application/problem+json"
BAD_LISTED_MAX = 100

STATUS = {
    RefusalReason.UNPROVEN: (401, "Not authenticated"),
    RefusalReason.FORGED: (401, "Not authenticated"),
    RefusalReason.STALE: (401, "Not authenticated"),
    RefusalReason.STRANGER: (403, "Not allowed"),
    RefusalReason.METHOD: (405, "Method not allowed"),
    RefusalReason.MEDIA_TYPE: (415, "Unsupported media type"),
    RefusalReason.UNREADABLE: (422, "Unreadable body"),
}


def json_reply(status: int, value: Any, media_type: str = JSON) -> Reply:
    return Reply(status, to_json(value), media_type)


def taken(tally: Tally, sent: Sent) -> Reply:
    """200 whatever became of the items: those that can't be used are kept, and sending them again would not help."""
    if not tally.bad:
        return _all_taken(tally.accepted, tally.duplicates, tally.kept)
    return json_reply(200, _counts(tally))


def taken_or_422(tally: Tally, sent: Sent) -> Reply:
    """As `taken`, but a problem if nothing could be used: for senders whose author reads the answer."""
    if not tally.is_hopeless:
        return taken(tally, sent)
    errors = [
        {"path": f"events.{bad['index']}.{fault['path']}".rstrip("."), "message": fault["message"]}
        for bad in _rejected(tally)
        for fault in bad["errors"]
    ]
    refused = len(tally.bad)
    return _problem(422, "No acceptable event", f"{refused} of {refused} events were refused", sent, errors=errors)


def problem(refusal: Refusal, sent: Sent) -> Reply:
    """RFC 9457."""
    status, title = STATUS[refusal.reason]
    return _problem(status, title, refusal.message, sent)


def _problem(status: int, title: str, detail: str, sent: Sent, **more: Any) -> Reply:
    instance = sent.path or urlsplit(sent.url).path
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance, **more}
    return json_reply(status, document, PROBLEM)


def empty(status: int = 200) -> Reply:
    """For handshakes that look at the status only."""
    return Reply(status)


@lru_cache(maxsize=1_024)
def _all_taken(accepted: int, duplicates: int, kept: int) -> Reply:
    return json_reply(200, _counts(Tally(accepted, duplicates, kept, ())))


def _counts(tally: Tally) -> dict[str, Any]:
    counts = {"accepted": tally.accepted, "duplicates": tally.duplicates, "kept": tally.kept}
    return {"success": True, **counts, "rejected": _rejected(tally)}


def _rejected(tally: Tally) -> list[dict[str, Any]]:
    return [
        {
            "index": bad.position,
            "id": bad.id,
            "errors": [{"path": path.lstrip("."), "message": message} for path, message in bad.faults],
        }
        for bad in tally.bad[:BAD_LISTED_MAX]
    ]
