"""W3C trace context: Accord carries `traceparent` from the request through the log to what it delivers."""

import re
from typing import Final

# https://www.w3.org/TR/trace-context/#traceparent-header-field-values; a later version may append fields.
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[!-~]*)?")
_LENGTH_MAX: Final = 512


def valid_traceparent(value: str | None) -> str | None:
    """The value if it is one that must be honoured, else None: an invalid one is ignored, as the specification asks."""
    if value is None or len(value) > _LENGTH_MAX or not (found := _TRACEPARENT.fullmatch(value)):
        return None
    version, trace, parent, appended = found.groups()
    if version == "ff" or (version == "00" and appended) or not trace.strip("0") or not parent.strip("0"):
        return None
    return value


def trace_id(traceparent: str) -> str:
    """The trace that a valid `traceparent` belongs to."""
    return traceparent.split("-")[1]


def is_sampled(traceparent: str) -> bool:
    """Whether the spans of this trace are recorded, as far as its sender knows."""
    return bool(int(traceparent.split("-")[3], 16) & 1)
