"""What the answer to one try means: delivered, tried again when, or given up."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, NamedTuple

# The waits that the Standard Webhooks specification recommends: ten tries over about 75 hours.
WAITS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
TRIES_MAX: Final = len(WAITS) + 1
JITTER_SHARE_MAX: Final = 0.1
RETRY_AFTER_MAX: Final = timedelta(hours=24)
# Through this try a delivery holds back the later ones of its lead and subscription; after it they pass.
ORDERED_TRIES: Final = 3


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Outcome(StrEnum):
    """What one try came to: a closed set, for rows and metrics."""

    DELIVERED = "delivered"
    GONE = "gone"
    ASKED_TO_WAIT = "asked to wait"
    REDIRECTED = "redirected"
    REFUSED = "refused by receiver"
    FAILED = "failed at receiver"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"
    FORBIDDEN_ADDRESS = "forbidden address"
    INVALID_SUBSCRIPTION = "invalid subscription"
    EXPIRED = "expired"


PERMANENT: Final = frozenset({Outcome.GONE, Outcome.FORBIDDEN_ADDRESS, Outcome.INVALID_SUBSCRIPTION, Outcome.EXPIRED})


class Try(NamedTuple):
    """One try as it happened. `status` is None when no answer came; `answer` is its first KiB."""

    outcome: Outcome
    started_at: datetime
    latency_seconds: float
    status: int | None = None
    answer: bytes = b""
    retry_after: timedelta | None = None


class Verdict(NamedTuple):
    """What becomes of the delivery."""

    state: DeliveryState
    next_attempt_at: datetime | None


_DELIVERED: Final = Verdict(DeliveryState.DELIVERED, None)


def outcome_of(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == 410:
        return Outcome.GONE
    if status in (429, 503):
        return Outcome.ASKED_TO_WAIT
    if 300 <= status < 400:
        return Outcome.REDIRECTED
    return Outcome.FAILED if status >= 500 else Outcome.REFUSED


def judge(tried: Try, *, attempts: int, now: datetime, roll: float) -> Verdict:
    """`attempts` counts this try; `roll` is random in [0, 1) and spreads the retries of one outage."""
    if tried.outcome is Outcome.DELIVERED:
        return _DELIVERED
    if tried.outcome in PERMANENT or attempts >= TRIES_MAX:
        return Verdict(DeliveryState.DEAD, None)
    wait = WAITS[attempts - 1] * (1 + JITTER_SHARE_MAX * roll)
    if tried.outcome is Outcome.ASKED_TO_WAIT and tried.retry_after is not None:
        wait = max(wait, min(tried.retry_after, RETRY_AFTER_MAX))
    return Verdict(DeliveryState.PENDING, now + wait)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Retry-After in seconds or as a date; None for what is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), RETRY_AFTER_MAX.total_seconds()))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # an offset of more hours than a number holds
        return None
    return max(timedelta(0), at.replace(tzinfo=at.tzinfo or UTC) - now)
