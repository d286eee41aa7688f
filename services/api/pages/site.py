"""What every page goes through: the session, the form's token, security headers, errors that say what to do next."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

import structlog
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.metrics import Metrics
from services.api.pages.assets import static_route
from services.api.pages.calls import Api, Refused, inside_scope
from services.api.pages.sessions import Sessions, require_own_site, require_token
from services.api.pages.visit import Visit, make_templates
from services.api.pages.words import When, zone_of
from shared.clock import Clock
from shared.http import limits
from shared.http.auth import Authenticate, Principal
from shared.http.problems import Problem, problem_of
from shared.telemetry.logging import describe_error

ZONE_COOKIE: Final = "accord_zone"
FORM_BYTES_MAX: Final = 2_097_152
FORM_FIELDS_MAX: Final = 200
ZIPPED_FROM_BYTES: Final = 1_000
SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_UNAUTHORIZED: Final = 401
_ADVICE: Final[Mapping[int, str]] = {
    403: "Ask whoever administers Accord for a key or a role that may see this.",
    404: "It may have been erased, or the address has a slip. Look for it in Leads.",
    422: "Go back and correct what is named here.",
    503: "Accord can't reach its database just now. Nothing is lost; this page works again as soon as it can.",
}
_ADVICE_OTHERWISE: Final = "Go back and try again. If it stays, whoever runs Accord finds the cause in its log."

log = structlog.get_logger(component="pages")
Page = Callable[[Visit], Awaitable[Response]]


class Foundation(NamedTuple):
    """What the site stands on. `app` answers the calls of the api."""

    app: ASGIApp
    sessions: Sessions
    clock: Clock
    metrics: Metrics


class Site:
    """Registers pages. Each is GET; what changes something is POST, with the token of its session."""

    def __init__(self, foundation: Foundation) -> None:
        self._on = foundation
        self._templates = make_templates()
        self.routes: list[BaseRoute] = [static_route(), Route("/live", self._live)]

    def add(self, path: str, page: Page, *, name: str, is_open: bool = False) -> None:
        """A page for those who are signed in; `is_open`: for everybody."""
        self._route(path, "GET", page, name=name, is_open=is_open)

    def on_post(self, path: str, action: Page, *, name: str, is_open: bool = False) -> None:
        """What a form does. It answers by sending the browser to a page."""
        self._route(path, "POST", action, name=name, is_open=is_open)

    def _route(self, path: str, method: str, page: Page, *, name: str, is_open: bool) -> None:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            loop = asyncio.get_running_loop()
            began_at = loop.time()
            request = Request(scope, receive)
            request.state.page = name
            response = await self._answered(request, page, is_open=is_open)
            response.headers.update(SECURITY)
            status = f"{response.status_code // 100}xx"
            self._on.metrics.request_seconds.labels(f"{name} page", status).observe(loop.time() - began_at)
            await response(scope, receive, send)

        # An instance and not a function, so that Starlette takes it for an ASGI app.
        self.routes.append(Route(path, GZipMiddleware(answer, minimum_size=ZIPPED_FROM_BYTES), methods=[method]))

    async def _answered(self, request: Request, page: Page, *, is_open: bool) -> Response:
        visit = self._visit(request)
        try:
            visit = await self._entered(visit)
            if visit.session is None and not is_open:
                return self._to_sign_in(request)
            if request.method == "POST":
                visit = replace(visit, form=await self._form(request))
                if visit.session is not None and not is_open:
                    require_token(visit.session, visit.form.get("csrf", ""))
            return await page(visit)
        except Exception as error:
            return self._excuse(visit, error)

    async def _entered(self, visit: Visit) -> Visit:
        """With the session of the cookie, if its key still works."""
        session = self._on.sessions.of(visit.request)
        if session is None:
            return visit
        caller = self._on.sessions.caller(session)
        try:
            principal = await caller()
        except Problem as problem:
            if problem.status != _UNAUTHORIZED:
                raise
            return visit
        return replace(visit, session=session, principal=principal, api=Api(self._on.app, caller))

    def _visit(self, request: Request) -> Visit:
        """Of nobody yet."""
        when = When(zone_of(request.cookies.get(ZONE_COOKIE)), self._on.clock.now())
        return Visit(request, self._templates, Api(self._on.app, _nobody), when)

    def _excuse(self, visit: Visit, error: Exception) -> HTMLResponse:
        problem = problem_of(error)
        if isinstance(error, Refused):
            problem = Problem(error.status, str(error.problem["title"]), error.problem.get("detail"))
        if problem is None:
            log.error("page_failed", page=visit.request.state.page, **describe_error(error))
            problem = Problem(500, "Something went wrong", "The error was logged.")
        advice = _ADVICE.get(problem.status, _ADVICE_OTHERWISE)
        return visit.render("error.html", problem.status, problem=problem, advice=advice)

    def _to_sign_in(self, request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        asked = f"{request.url.path}{query}" if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?{urlencode({'next': asked})}", 303)

    async def _form(self, request: Request) -> dict[str, str]:
        """What was posted. Raises Problem 403 when another site's page posted it, 413, 422."""
        require_own_site(request)
        body = await limits.read_body(
            request.scope, request.receive, bytes_max=FORM_BYTES_MAX, on_limit=self._on.metrics.reach
        )
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
        except ValueError:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid input", "The form could not be read.") from None
        return dict(pairs)

    async def _live(self, request: Request) -> Response:
        """The stream of the api, for a page that is open."""
        session = self._on.sessions.of(request)
        if session is None:
            raise Problem(_UNAUTHORIZED, "Signed out", "The session is over.")
        return _Inside(self._on.app, self._on.sessions.caller(session))


class _Inside(Response):
    """Hands a request on to a call of the api in the name of who is signed in."""

    def __init__(self, app: ASGIApp, caller: Authenticate) -> None:
        super().__init__()
        self._app = app
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside = inside_scope("GET", "/v1/stream", scope["query_string"].decode(), self._caller)
        inside["headers"] = [pair for pair in scope["headers"] if pair[0] == b"last-event-id"]
        await self._app(inside, receive, send)


async def _nobody() -> Principal:
    raise Problem(_UNAUTHORIZED, "Signed out", "Nobody is signed in.")
