"""When a deadline may be announced (DESIGN.md "Time"): a stop that was in time may still be on the line.

A deadline d may be announced once now >= d, stages has read [sales] to the end seen at or after d, and then this
service has read [lifecycle] to the end seen after that; or once it has waited as long as patience lasts.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

End = Mapping[str, int]  # the last number of each emitter on one partition of a topic


class Clearance(NamedTuple):
    """What is due at or before `until` may be announced; `is_lagging` if the line was not waited for to the end."""

    until: datetime
    is_lagging: bool = False


class Gate(NamedTuple):
    """A wait for the line. It covers every deadline up to `began_at`, when the end of [sales] was seen.

    `lifecycle_end` is the end of [lifecycle] seen when stages had read that far; None until then."""

    began_at: datetime
    sales_end: End
    lifecycle_end: End | None = None

    def clearance(self) -> Clearance:
        """The clearance once this service has read [lifecycle] to `lifecycle_end`."""
        return Clearance(self.began_at)

    def out_of_patience(self, now: datetime, patience: timedelta) -> Clearance | None:
        """While the line lags: what has waited this long, since its deadline and since this wait began."""
        waited_since = now - patience
        return Clearance(waited_since, is_lagging=True) if self.began_at <= waited_since else None
