"""The busiest paths go straight to their endpoints, and a caller can't tell."""

import asyncio

import pytest
from asgi_client import ask
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from shared.errors import Unavailable
from shared.http.direct import Direct
from shared.http.paths import EncodedSlashes
from shared.http.problems import FieldError, Problem, install_problem_handlers
from shared.http.trace import Traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "ada@example.com"


class House:
    """An app as services/http_app.py builds it; `seen` lists what the app itself was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[str] = []
        busy = Route("/busy", self._busy, methods=["POST"])
        app = FastAPI(routes=[busy, Route("/quiet", self._busy, methods=["POST"])])
        install_problem_handlers(app)
        app.add_middleware(Traceparent)
        self.app = app
        self.direct = Direct(self._watched, [busy])

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(f"{scope.get('method', scope['type'])} {scope.get('path', '')}".strip())
        await self.app(scope, receive, send)

    async def _busy(self, request: Request) -> Response:
        if self.error is not None:
            raise self.error
        body = (await request.body()).decode()
        return JSONResponse({"body": body, "asked": request.query_params.get("asked")}, 202, {"x-by": "endpoint"})


async def test_the_exact_path_and_method_go_straight_to_the_endpoint_with_the_whole_request() -> None:
    house = House()
    answer = await ask(house.direct, "/busy", method="POST", chunks=[b"in ", b"two"])
    assert (answer.status, answer.json["body"], answer.headers["x-by"]) == (202, "in two", "endpoint")
    assert house.seen == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/quiet", 202),
        ("GET", "/busy", 405),
        ("HEAD", "/busy", 405),
        ("post", "/busy", 405),
        ("POST", "/busy/", 307),
        ("POST", "/Busy", 404),
        ("POST", "/busy/more", 404),
        ("GET", "/openapi.json", 200),
    ],
)
async def test_everything_else_goes_to_the_app(method: str, path: str, status: int) -> None:
    house = House()
    answer = await ask(house.direct, path, method=method)
    assert answer.status == status
    assert house.seen == [f"{method} {path}"]
    if status in (404, 405):
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json["status"], answer.json["instance"]) == (status, path)


async def test_what_is_not_http_goes_to_the_app() -> None:
    house = House()
    heard: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    waiting = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, object]:
        return dict(next(waiting))

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        heard.put_nowait(message)

    await house.direct({"type": "lifespan"}, receive, send)
    assert house.seen == ["lifespan"]
    assert [heard.get_nowait()["type"] for _ in range(2)] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(
    "error",
    [
        Problem(422, "Invalid", errors=[FieldError("lead.email", "is required")]),
        Problem(429, "Slow down", "One a second.", headers={"Retry-After": "2"}),
        Unavailable("the log is full", retry_after_seconds=5),
        ConnectionResetError(SECRET),
        RuntimeError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_becomes_the_same_problem_document_as_in_the_app(error: Exception) -> None:
    with capture_logs():
        straight = await ask(House(error).direct, "/busy", method="POST", headers={"traceparent": TRACE})
        through_app = await ask(House(error).app, "/busy", method="POST", headers={"traceparent": TRACE})
    assert straight == through_app
    assert straight.headers["content-type"] == "application/problem+json"
    assert straight.json["instance"] == "/busy"
    assert SECRET.encode() not in straight.body


async def test_an_unforeseen_error_is_a_500_that_is_logged_without_its_words() -> None:
    with capture_logs() as logs:
        answer = await ask(House(RuntimeError(SECRET)).direct, "/busy", method="POST")
    assert (answer.status, answer.json["title"]) == (500, "Internal error")
    [entry] = logs
    assert entry["event"] == "request_failed"
    assert SECRET not in str(entry)


@pytest.mark.parametrize("error", [None, Problem(401, "Unauthorized"), RuntimeError("broken")])
async def test_a_traceparent_is_given_back_whatever_the_answer(error: Exception | None) -> None:
    house = House(error)
    with capture_logs():
        answer = await ask(house.direct, "/busy", method="POST", headers={"traceparent": TRACE})
    assert answer.headers["traceparent"] == TRACE
    assert "traceparent" not in (await ask(House().direct, "/busy", method="POST")).headers
    junk = await ask(House().direct, "/busy", method="POST", headers={"traceparent": "junk"})
    assert "traceparent" not in junk.headers


async def test_every_method_of_a_route_goes_straight() -> None:
    async def endpoint(request: Request) -> Response:
        return Response(request.method)

    direct = Direct(Starlette(), [Route("/a", endpoint, methods=["PUT", "DELETE"]), Route("/b", endpoint)])
    for method, path in (("PUT", "/a"), ("DELETE", "/a"), ("GET", "/b"), ("HEAD", "/b")):
        assert (await ask(direct, path, method=method)).body == method.encode()
    assert (await ask(direct, "/b", method="PUT")).status == 404


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/leads/ada@acme.example", "short"),
        ("/leads/ada@acme.example?at=now", "app"),
        ("/leads/user:shop/7", None),
        ("/leads/ada/timeline", None),
        ("/leads/", None),
    ],
)
async def test_a_bare_route_is_called_without_a_query_and_the_app_with_one(path: str, by: str | None) -> None:
    def named(name: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return Response(f"{name} {request.path_params['lead']}")

        return Route("/leads/{lead}", endpoint)

    app = Starlette(routes=[named("app")])
    answer = await ask(Direct(EncodedSlashes(app), [], bare=[named("short")]), path)
    assert (answer.body.decode().split()[0] if answer.status == 200 else None) == by


@pytest.mark.parametrize("error", [Problem(403, "Not allowed"), Unavailable(), RuntimeError(SECRET)])
async def test_an_error_of_a_bare_route_becomes_the_same_problem_document(error: Exception) -> None:
    async def endpoint(_: Request) -> Response:
        raise error

    route = Route("/leads/{lead}", endpoint)
    app = FastAPI(routes=[route])
    install_problem_handlers(app)
    with capture_logs():
        straight = await ask(Direct(app, [], bare=[route]), "/leads/7")
        through_app = await ask(app, "/leads/7")
    assert straight == through_app
