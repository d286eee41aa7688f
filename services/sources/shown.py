"""Sources and what they sent as lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any


def source_line(source: Mapping[str, Any]) -> str:
    return f"{source['id']}  {source['kind']:<12} {source['team']:<9} {source['name']}  {source['url']}"


def created_lines(source: Mapping[str, Any]) -> Iterator[str]:
    """What to paste where."""
    yield f"Source {source['name']} ({source['kind']}): {source['id']}"
    yield f"Address to paste: {source['url']}"
    yield f"Secret, shown this once: {source['secret']}"


def event_line(event: Mapping[str, Any]) -> str:
    """One event: when, what became of it, as what, and why."""
    what = event["type"] or event["kind"] or ""
    from_ = f" (from {event['kind']})" if event["type"] and event["kind"] not in (None, event["type"]) else ""
    why = f": {event['reason']}" if event["reason"] else ""
    kept = f"  [kept: {event['id']}]" if event["is_kept"] else ""
    return f"{event['received_at']}  {event['standing']:<10} {what}{from_}{why}{kept}"


def kind_line(kind: Mapping[str, Any]) -> str:
    return f"{kind['events']:>8} {kind['standing']:<10} {kind['kind']}  last {kind['last_at']}"


def tried_lines(tried: Mapping[str, Any]) -> Iterator[str]:
    """What would become of each item."""
    if tried["refused"]:
        yield f"refused: {tried['refused']}"
    for one in tried["events"]:
        event = one["event"]
        why = f": {one['why']}" if one["why"] else ""
        yield f"{one['position']}: {one['standing']} {event['type'] if event else one['kind']}{why}"
        if event:
            yield f"   {event}"
    for one in tried["rejected"]:
        errors = "; ".join(f"{error['path']}: {error['message']}".removeprefix(": ") for error in one["errors"])
        yield f"{one['position']}: rejected: {errors}"
    if not tried["events"] and not tried["rejected"] and not tried["refused"]:
        yield "nothing in it"
