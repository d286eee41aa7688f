"""What every call of the api goes through: the key, its scope, plain query strings, and a count of how long it took."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from services.api.metrics import Metrics
from services.api.routes.numbers import WHOLE
from services.api.routes.queries import QueryString
from services.api.routes.scopes import LIMITED, SCOPES
from services.api.settings import ApiSettings
from services.api.store.accords import AccordStore
from services.api.store.audit_log import AuditLogStore
from services.api.store.clocks import ClockStore
from services.api.store.configured import ConfiguredStore
from services.api.store.cursors import InvalidCursor, Keys, decode_cursor
from services.api.store.database import ACTING
from services.api.store.idempotency import IdempotencyStore
from services.api.store.leads import LeadStore
from services.api.store.timeline import TimelineStore
from shared.agreement.versions import Accords
from shared.clock import Clock
from shared.events.activity import LeadErased
from shared.events.sales import SalesAction
from shared.http.auth import KeyRing, Principal
from shared.http.openapi import body_schema, refusals
from shared.http.problems import FieldError, Problem

PAGE_MAX: Final = 500
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Parts:
    """What the routes work with; `main` puts it together."""

    leads: LeadStore
    timeline: TimelineStore
    clocks: ClockStore
    accord_store: AccordStore
    configured: ConfiguredStore
    audit_log: AuditLogStore
    idempotency: IdempotencyStore
    keys: KeyRing
    accords: Callable[[], Awaitable[Accords]]
    publish: Callable[[SalesAction, str | None], Awaitable[None]]
    wait_until_applied: Callable[[SalesAction | LeadErased, float], Awaitable[bool]]
    clock: Clock
    metrics: Metrics
    settings: ApiSettings
    public_url: str


# Says in the OpenAPI document how to send a key; the guard reads it.
_BEARER: Final = HTTPBearer(scheme_name="key", bearerFormat="acc_<id>_<secret>", auto_error=False)

PageSize = Annotated[int, Field(ge=1, le=PAGE_MAX), WHOLE]
Limit = Annotated[PageSize, Query(description="How many items at most.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next` of the page before.")]
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255, pattern=r"^[\x20-\x7e]+$")]

Handle = Callable[[Request], Coroutine[Any, Any, Response]]
Guard = Callable[[Request], Awaitable[None]]


class Registrar:
    """Registers calls, each behind its scope."""

    def __init__(self, parts: Parts, belongs_to: Callable[[str, str], Awaitable[bool]]) -> None:
        """`belongs_to` says whether the lead of this id or email has this owner."""
        self._parts = parts
        self._belongs_to = belongs_to
        self.router = APIRouter()
        self.bare: list[Route] = []
        self._guards: dict[str, Guard] = {}

    def add(
        self,
        call: str,
        endpoint: Callable[..., Any],
        *,
        summary: str,
        answer: Any,
        body: type[BaseModel] | None = None,
        status: int = 200,
        also: dict[int | str, dict[str, Any]] | None = None,
        media_types: Mapping[str, Any] | None = None,
    ) -> None:
        """`call` is `GET /v1/…`; its first noun is its tag. `media_types` the body may have beside JSON."""
        method, _, path = call.partition(" ")
        subject = path.split("/")[2]
        guard = self._guards[call] = self._guard(method, path, QueryString(path, endpoint))
        self.router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=_NO_NAME.sub("_", f"{method} {path}".lower()).strip("_"),
            operation_id=_NO_NAME.sub("_", f"{method} {path}".lower()).strip("_"),
            summary=summary,
            tags=[subject],
            response_model=answer,
            status_code=status,
            dependencies=[Depends(_BEARER), Depends(guard)],
            responses={**_refusals_of(path, body), **(also or {})},
            openapi_extra=_described(SCOPES[method, path], body, media_types or {}),
            route_class_override=_timed(self._parts.metrics, subject),
        )

    def add_bare(self, call: str, endpoint: Handle) -> None:
        """A shorter way for a call that was added, for when it comes without a query: behind the same guard, and
        counted alike."""
        method, _, path = call.partition(" ")
        guard = self._guards[call]

        async def guarded(request: Request) -> Response:
            await guard(request)
            return await endpoint(request)

        self.bare.append(Route(path, _counted(self._parts.metrics, path.split("/")[2], guarded), methods=[method]))

    def _guard(self, method: str, path: str, query: QueryString) -> Guard:
        scope, is_for_limited = SCOPES[method, path], (method, path) in LIMITED

        async def guard(request: Request) -> None:
            principal = await self._parts.keys.caller_of(request)()
            principal.require_any(*scope.split(" or "))
            request.state.principal = principal
            ACTING.set(principal)
            if principal.owner is not None:
                await self._require_own(request, principal.owner, is_for_limited)
            query.check(request.query_params)

        return guard

    async def _require_own(self, request: Request, owner: str, is_for_limited: bool) -> None:
        """Another's lead is as unknown as one that doesn't exist."""
        asked = request.query_params.getlist("owner")
        if not is_for_limited or any(other != owner for other in asked):
            raise Problem(403, "Not allowed", "This key is limited to the leads of one owner.")
        lead = request.path_params.get("lead")
        if lead is not None and not await self._belongs_to(lead, owner):
            raise no_such_lead()


def no_such_lead() -> Problem:
    return Problem(404, "No such lead", "No lead has this id or email.")


def erased_lead() -> Problem:
    detail = "Somebody asked for this person to be forgotten: what Accord held about them is gone, for good."
    return Problem(404, "This lead was erased", detail)


def owner_of(request: Request, asked: str | None) -> str | None:
    """Whose leads a list may show: those of the owner that was asked for, or that the key is limited to."""
    return principal_of(request).owner or asked


def principal_of(request: Request) -> Principal:
    """Who calls, once the guard has let them in."""
    principal: Principal = request.state.principal
    return principal


def invalid(path: str, message: str) -> Problem:
    return Problem(422, "Invalid input", errors=[FieldError(path, message)])


def keys_of(cursor: str | None, kind: str, types: Sequence[type]) -> Keys | None:
    """The sort keys in a cursor. Raises Problem 422."""
    try:
        return decode_cursor(cursor, kind, types)
    except InvalidCursor as error:
        raise invalid("cursor", str(error)) from error


def _refusals_of(path: str, body: type[BaseModel] | None) -> dict[int | str, dict[str, Any]]:
    of_path, of_body = (404,) if "{" in path else (), (413, 415) if body else ()
    return refusals(401, 403, *of_path, *of_body, 422, 503)


def _described(scope: str, body: type[BaseModel] | None, media_types: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"x-scope": scope}
    if body is not None:
        schema = body_schema(body)
        content = {"application/json": {"schema": schema}, **media_types}
        described["requestBody"] = {"required": bool(schema.get("required")), "content": content}
    return described


def _timed(metrics: Metrics, subject: str) -> type[APIRoute]:
    class TimedRoute(APIRoute):
        """Counts how long each call took, refused ones too. Where GET is answered HEAD is (RFC 9110, 9.3.2): it is no
        call of its own and stands in no list of them, and the server leaves the body out."""

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            match, found = super().matches(scope)
            return (Match.FULL if match is Match.PARTIAL and self._is_head(scope) else match), found

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await (self.app if self._is_head(scope) else super().handle)(scope, receive, send)

        def _is_head(self, scope: Scope) -> bool:
            return scope["method"] == "HEAD" and "GET" in (self.methods or ())

        def get_route_handler(self) -> Handle:
            return _counted(metrics, subject, super().get_route_handler())

    return TimedRoute


def _counted(metrics: Metrics, subject: str, handle: Handle) -> Handle:
    async def counted(request: Request) -> Response:
        time = asyncio.get_running_loop().time
        started, status = time(), 500
        try:
            response = await handle(request)
            status = response.status_code
            return response
        except Problem as problem:
            status = problem.status
            raise
        finally:
            metrics.request_seconds.labels(subject, f"{status // 100}xx").observe(time() - started)

    return counted
