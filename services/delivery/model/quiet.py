"""Quiet hours: the part of each day in which a person gets no message; what came then is one message afterwards."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo


class QuietHours(NamedTuple):
    """From `begins` to `ends` by the clocks of `zone`, past midnight if `ends` is not later."""

    zone: ZoneInfo
    begins: time
    ends: time

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that `now` lies in are over; None outside of them.

        By the clocks of the zone: hours that daylight saving skips or repeats are as long as they really are."""
        local = now.astimezone(self.zone)
        reading = local.time().replace(tzinfo=None)
        if self.begins < self.ends:
            is_quiet, day = self.begins <= reading < self.ends, local.date()
        else:
            is_quiet = reading >= self.begins or reading < self.ends
            day = local.date() + timedelta(days=reading >= self.begins)
        return self._end(day, now) if is_quiet else None

    def _end(self, day: date, now: datetime) -> datetime:
        end = datetime.combine(day, self.ends, self.zone).astimezone(now.tzinfo)
        # In the hour that is repeated the first reading may lie behind.
        return end if end > now else datetime.combine(day, self.ends.replace(fold=1), self.zone).astimezone(now.tzinfo)


def quiet_hours(stored: Mapping[str, Any] | None) -> QuietHours | None:
    """From `{"timezone": "Europe/Paris", "from": "20:00", "to": "07:30"}`. Raises ValueError (and its children) when it
    can't be read."""
    if stored is None:
        return None
    begins, ends = time.fromisoformat(stored["from"]), time.fromisoformat(stored["to"])
    return QuietHours(ZoneInfo(stored["timezone"]), begins, ends)
