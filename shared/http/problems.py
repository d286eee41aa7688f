"""Errors as RFC 9457 problem documents. Nothing internal leaks: no messages of exceptions, no values that were sent."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.db.faults import is_unreachable
from shared.errors import Unavailable
from shared.telemetry.logging import describe_error

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1
_REQUEST_PARTS: Final = ("body", "query", "path", "header", "cookie")

# Where pydantic says that the name of a field is at fault, not its value.
_NAME: Final = "[key]"
_WORDS: Final = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
}

logger = structlog.get_logger(component="http")


class FieldError(NamedTuple):
    """What is wrong with one field; `path` is dotted (`lead.email`), empty for the whole body."""

    path: str
    message: str


class PlacedError(NamedTuple):
    """What is wrong with one place of a document that was sent; `line` is null where it was no text."""

    path: str
    message: str
    line: int | None
    found: str
    allowed: str


class Problem(Exception):
    """An answer that isn't the one that was asked for."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError | PlacedError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def problem_response(problem: Problem, instance: str) -> Response:
    """The document; `instance` is the path that was asked for."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail or _detail_of(problem),
        "instance": instance,
    }
    if problem.errors:
        document["errors"] = [error._asdict() for error in problem.errors]
    return Response(to_json(document), problem.status, problem.headers, MEDIA_TYPE)


def _detail_of(problem: Problem) -> str:
    """The first error; without errors what the status means."""
    if not problem.errors:
        return f"{HTTPStatus(problem.status).description or problem.title}."
    path, message = problem.errors[0][:2]
    more = len(problem.errors) - 1
    return f"{path or 'body'}: {message}{f' (and {more} more)' if more else ''}."


def unavailable(retry_after_seconds: int = RETRY_AFTER_SECONDS) -> Problem:
    """503: nothing durable can be reached just now."""
    headers = {"Retry-After": str(retry_after_seconds)}
    return Problem(503, "Unavailable", "Nothing durable can be reached; try again later.", headers=headers)


def field_errors(error: ValidationError | RequestValidationError) -> list[FieldError]:
    """Where and what, without what was found there (it may be personal data)."""
    return [FieldError(_path(found["loc"]), _words(found)) for found in error.errors()]


def problem_of(error: Exception) -> Problem | None:
    """The problem that an exception stands for; None for one that nobody foresaw."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return Problem(422, "Invalid input", errors=field_errors(error))
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            detail = error.detail if error.detail != phrase else None
            return Problem(error.status_code, phrase, detail, headers=error.headers)
        case Unavailable():
            return unavailable(error.retry_after_seconds)
        case _ if is_unreachable(error):
            return unavailable()
    return None


def install_problem_handlers(app: FastAPI) -> None:
    """Makes every error of this app a problem document, those of bare Starlette routes too."""
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(Unforeseen)


class Unforeseen:
    """Answers what no handler took: 503 when the database is away, else 500, logged without its message."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def watch(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            response = answer_to(error, scope)
            if has_started:
                raise ConnectionError("the response had begun; the connection is cut") from None
            await response(scope, receive, send)


def answer_to(error: Exception, scope: Scope) -> Response:
    """The answer to a request that ended so; what nobody foresaw is logged."""
    problem = problem_of(error)
    if problem is None:
        logger.error("request_failed", method=scope["method"], **describe_error(error))
        problem = Problem(500, "Internal error", "The error was logged.")
    elif problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("request_refused", status=problem.status, **describe_error(error))
    return problem_response(problem, scope["path"])


async def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem is None:
        raise error
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        problem.headers["Allow"] = ", ".join(_allowed(request))
    return problem_response(problem, request.url.path)


def _allowed(request: Request) -> list[str]:
    """The methods of the path that was asked for; the router names only those of the first route that has it."""
    matching = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in matching for method in getattr(route, "methods", None) or ()}
    head = {**request.scope, "method": "HEAD"}
    if any(route.matches(head)[0] is Match.FULL for route in matching):
        methods.add("HEAD")
    return sorted(methods)


def _words(found: Mapping[str, Any]) -> str:
    """pydantic's message, in words for those who don't know that it is pydantic's."""
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    if found["type"] == "too_long":
        return f"has more than the {found['ctx']['max_length']} that are allowed"
    words = _WORDS.get(found["type"]) or str(found["msg"])
    return f"its name: {words}" if found["loc"][-1:] == (_NAME,) else words


def _path(location: tuple[str | int, ...]) -> str:
    parts = location[1:] if location and location[0] in _REQUEST_PARTS else location
    return ".".join(map(str, parts[:-1] if parts[-1:] == (_NAME,) else parts))
