"""The public holidays of a country, a year at a time."""

from collections.abc import Callable, Mapping
from datetime import date

import holidays
from holidays.registry import COUNTRIES

HolidayNames = Callable[[int], Mapping[date, str]]


class UnknownCountry(ValueError):
    """No such country, or it has no such subdivision."""


def no_holidays(_: int) -> Mapping[date, str]:
    """The holidays of nowhere."""
    return {}


def country_holidays(country: str, subdivision: str | None = None) -> HolidayNames:
    """The names of a country's public holidays by date, in its own language. Raises UnknownCountry."""
    if country not in holidays.list_supported_countries():
        raise UnknownCountry(country)
    # Said, because otherwise the LANG of the process would decide.
    language = getattr(holidays, country).default_language

    def of_year(year: int) -> Mapping[date, str]:
        named = holidays.country_holidays(country, subdiv=subdivision, years=[year], expand=False, language=language)
        return dict(named.items())

    try:
        of_year(2026)
    except NotImplementedError as error:
        raise UnknownCountry(subdivision) from error
    return of_year


def countries() -> list[str]:
    """The codes that are known."""
    return list(holidays.list_supported_countries())


def subdivisions(country: str) -> list[str]:
    """The codes of a country's parts."""
    return list(holidays.list_supported_countries().get(country, ()))


def country_names() -> dict[str, str]:
    """The codes by the countries' English names, in small letters."""
    return {name.replace("_", " "): known[1] for name, known in COUNTRIES.items()}


def subdivision_names(country: str) -> dict[str, str]:
    """The codes of a country's parts by their names."""
    aliases = holidays.country_holidays(country, years=[], expand=False).get_subdivision_aliases()
    return {name: code for code, names in aliases.items() for name in names}
