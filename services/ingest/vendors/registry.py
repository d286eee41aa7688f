"""Every kind of source. A new one is a file beside this, a line here, a folder of fixtures, a section in the docs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from services.ingest.model import Fault
from services.ingest.vendors import (
    calendly,
    cloudevents_hook,
    eventbrite,
    generic,
    hubspot,
    mailchimp,
    marketo,
    pipedrive,
    salesforce,
    segment,
    surveymonkey,
    typeform,
)
from services.ingest.vendors.source_settings import InvalidSettings, SourceOptions, check
from services.ingest.vendors.vendor import Vendor

_MODULES: Final = (
    segment,
    hubspot,
    marketo,
    mailchimp,
    typeform,
    surveymonkey,
    eventbrite,
    calendly,
    pipedrive,
    salesforce,
    cloudevents_hook,
    generic,
)

VENDORS: Final[Mapping[str, Vendor]] = MappingProxyType({module.VENDOR.kind: module.VENDOR for module in _MODULES})


def settings_model(kind: str) -> type[SourceOptions]:
    """What settings a source of this kind may have. Raises InvalidSettings for a kind that isn't known."""
    vendor = VENDORS.get(kind)
    if vendor is None:
        raise InvalidSettings(Fault("kind", f"unknown; allowed: {', '.join(sorted(VENDORS))}"))
    return vendor.settings


def check_settings(kind: str, settings: Mapping[str, Any]) -> SourceOptions:
    """The settings, fit to be used. Raises InvalidSettings with every fault, each with its path and what is allowed."""
    return check(settings_model(kind), settings)
