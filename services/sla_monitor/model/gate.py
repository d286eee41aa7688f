"""When a deadline may be announced (DESIGN.md "Time"): a stop that was in time may still be on the line.

A deadline d may be announced once now >= d, stages has read [sales] to the end seen at or after d, and then this
service has read [lifecycle] to the end seen after that; or once it has waited as long as patience lasts.
"""

from datetime import datetime, timedelta
from typing import NamedTuple


class Clearance(NamedTuple):
    """What is due at or before `until` may be announced; `is_lagging` if the line was not waited for to the end."""

    until: datetime
    is_lagging: bool = False


class Gate(NamedTuple):
    """A wait for the line. It covers every deadline up to `began_at`, when the end of [sales] was seen.

    `lifecycle_end` is the end of [lifecycle] seen when stages had read that far; None until then."""

    began_at: datetime
    sales_end: int
    lifecycle_end: int | None = None

    def has_stages_read(self, position: int) -> bool:
        """Whether stages, at this position of [sales], has read what was there when the wait began."""
        return position >= self.sales_end

    def clearance(self, position: int) -> Clearance | None:
        """The clearance at this position of [lifecycle], if it is far enough."""
        if self.lifecycle_end is None or position < self.lifecycle_end:
            return None
        return Clearance(self.began_at)

    def out_of_patience(self, now: datetime, patience: timedelta) -> Clearance | None:
        """While the line lags: what has waited this long, since its deadline and since this wait began."""
        waited_since = now - patience
        return Clearance(waited_since, is_lagging=True) if self.began_at <= waited_since else None
