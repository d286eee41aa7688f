"""One request for a page: who reads, what they may, and how the answer is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.api.pages import words
from services.api.pages.assets import address
from services.api.pages.calls import Api
from services.api.pages.sessions import Session
from services.api.pages.words import When
from shared.events.codec import TOLD_TYPES
from shared.http.auth import Principal

# What the navigation offers, and what a reader must be allowed for it.
NAVIGATION = (
    ("/", "Today", "leads:read"),
    ("/leads", "Leads", "leads:read"),
    ("/clocks", "Clocks", "clocks:read"),
    ("/accord", "Accord", "accords:read"),
    ("/sources", "Sources", "sources:read"),
    ("/operations", "Operations", "operations:read"),
)


def make_templates() -> Environment:
    """Everything is escaped; a value that a page forgot to give is an error."""
    templates = Environment(
        loader=PackageLoader("services.api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        name: getattr(words, name) for name in ("duration", "points", "signed", "share", "count", "person")
    }
    templates.globals |= {
        "static": address,
        "stages": words.STAGES,
        "stage_meanings": words.STAGE_MEANINGS,
        "navigation": NAVIGATION,
        "told_types": TOLD_TYPES,
    }
    return templates


@dataclass(frozen=True)
class Visit:
    """`session` and `principal` are None on the way in. `form` is what was posted, each name's last value."""

    request: Request
    templates: Environment
    api: Api
    when: When
    session: Session | None = None
    principal: Principal | None = None
    form: Mapping[str, str] = field(default_factory=dict)

    def may(self, scope: str) -> bool:
        return self.principal is not None and self.principal.may(scope)

    @property
    def section(self) -> str:
        """Which entry of the navigation this page belongs to."""
        return "/" + self.request.url.path.split("/")[1]

    @property
    def query(self) -> Mapping[str, str]:
        """What the address asks for, without what was left empty in a form."""
        return {name: value for name, value in self.request.query_params.items() if value}

    def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page. Every template also sees `visit`, `when` and `may`."""
        text = self.templates.get_template(template).render(visit=self, when=self.when, may=self.may, **values)
        return HTMLResponse(text, status)

    def go(self, path: str, **query: str) -> Response:
        """Sends the browser to another page with GET."""
        return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
