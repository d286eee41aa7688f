"""All pages, on one site."""

import time

from starlette.routing import BaseRoute

from services.api.pages.accord import AccordPages
from services.api.pages.clocks import Clocks
from services.api.pages.lead import LeadPage
from services.api.pages.leads import Leads
from services.api.pages.operations import Operations
from services.api.pages.propose import ProposePage
from services.api.pages.reports import Reports
from services.api.pages.sign_in import SignIn
from services.api.pages.site import Foundation, Site
from services.api.pages.sources import Sources
from services.api.pages.today import Today


def page_routes(foundation: Foundation, sign_in: SignIn) -> list[BaseRoute]:
    """The routes of every page, of their styles and scripts, and of the stream that keeps them alive."""
    site = Site(foundation)
    reports = Reports(time.monotonic)
    for page in (
        sign_in,
        Today(reports),
        Leads(foundation.metrics),
        Clocks(reports),
        LeadPage(),
        ProposePage(),
        AccordPages(),
        Sources(reports),
        Operations(),
    ):
        page.register(site)
    return site.routes
