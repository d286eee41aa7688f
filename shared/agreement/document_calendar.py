"""`calendar`: the hours that count."""

from typing import Final

from pydantic import Field

from shared.agreement.calendar import BusinessCalendar
from shared.agreement.document_base import Part
from shared.agreement.holidays import country_holidays, no_holidays
from shared.agreement.values import Day, Range, Zone

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RANGES_A_DAY_MAX: Final = 48


class Hours(Part):
    """Open ranges by weekday; a missing day is closed."""

    mon: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)
    tue: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)
    wed: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)
    thu: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)
    fri: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)
    sat: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)
    sun: list[Range] = Field(default=[], max_length=RANGES_A_DAY_MAX)


class Holidays(Part):
    """The public holidays of a country or of a part of it, and extra closed days."""

    country: str | None = None
    """An ISO 3166 code, such as US: its public holidays are closed."""
    subdivision: str | None = None
    """The code of a part of the country, such as NY: its holidays, too."""
    extra: list[Day] = Field(default=[], max_length=2000)
    """More closed days."""


class Calendar(Part):
    """Time zone, weekly hours, closed days."""

    timezone: Zone
    """The IANA time zone in which the hours are read, such as America/New_York."""
    hours: Hours
    """The open ranges of each weekday."""
    holidays: Holidays = Holidays()
    """Days that are closed whatever their weekday."""

    def business_calendar(self) -> BusinessCalendar:
        """The engine that counts by this calendar. Raises UnknownCountry."""
        country = self.holidays.country
        return BusinessCalendar(
            self.timezone,
            {index: getattr(self.hours, weekday) for index, weekday in enumerate(WEEKDAYS)},
            holidays=no_holidays if country is None else country_holidays(country, self.holidays.subdivision),
            extra=self.holidays.extra,
        )
