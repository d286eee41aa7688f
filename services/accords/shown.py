"""Versions as lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def version_line(version: Mapping[str, Any]) -> str:
    """One version in a list."""
    state = version["state"]
    more = {
        "proposed": f" by {version['proposed_by']}",
        "scheduled": f", takes effect at {version['effective_at']}",
        "effective": f" since {version['effective_at']}" if version["version"] > 1 else "",
        "withdrawn": f" by {version['withdrawn_by']}",
    }
    return f"version {version['version']}: {state}{more.get(state, '')}; {_signers(version['signatures'])}"


def version_lines(version: Mapping[str, Any]) -> Iterator[str]:
    """One version whole."""
    yield version_line(version)
    yield f"sha256 {version['sha256']}"
    for signature in version["signatures"]:
        role = f" for {signature['role']}" if signature["role"] else ""
        note = f" ({signature['note']})" if signature["note"] else ""
        yield f"signed{role} by {signature['signed_by']} at {signature['signed_at']}{note}"
    if version["difference"] is not None:
        yield from difference_lines(version["difference"])


def difference_lines(difference: Mapping[str, Any]) -> Iterator[str]:
    """What changes, a sentence a line."""
    yield f"from version {difference['from']} to {_to(difference['to'])}:"
    yield from change_lines(difference["changes"])


def change_lines(changes: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The sentences themselves."""
    yield from (f"  {change['words']}" for change in changes)
    if not changes:
        yield "  nothing but how it is written"


def next_lines(version: Mapping[str, Any]) -> Iterator[str]:
    """What is left to do about a version."""
    if version["state"] != "proposed":
        yield version_line(version)
        return
    signed = {signature["role"] for signature in version["signatures"]}
    missing = [side for side in ("marketing", "sales") if side not in signed]
    number = version["version"]
    yield f"Version {number} is proposed, and takes effect once {' and '.join(missing)} {_have(missing)} signed it:"
    yield f"  accord accords sign {number}"


def _have(sides: Sequence[str]) -> str:
    return "have" if len(sides) > 1 else "has"


def _to(version: Any) -> str:
    return f"version {version}" if isinstance(version, int) else str(version)


def _signers(signatures: Sequence[Mapping[str, Any]]) -> str:
    if not signatures:
        return "signed by nobody yet"
    names = [f"{found['signed_by']}{_for(found)}" for found in signatures]
    return f"signed by {' and '.join(names)}"


def _for(signature: Mapping[str, Any]) -> str:
    return f" for {signature['role']}" if signature["role"] else f", {signature['note']}"
