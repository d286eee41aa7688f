"""Errors become problem documents that say enough to the caller and nothing about the inside."""

import asyncpg
import pytest
from asgi_client import ask
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from shared.errors import Unavailable
from shared.http.problems import FieldError, Problem, install_problem_handlers


class _Lead(BaseModel):
    email: str
    employees: int


def _app(error: Exception | None = None) -> FastAPI:
    async def bare(request: Request) -> Response:
        if error is not None:
            raise error
        return Response("fine")

    app = FastAPI(routes=[Route("/bare", bare)])

    @app.post("/leads")
    async def leads(lead: _Lead) -> str:
        return lead.email

    install_problem_handlers(app)
    return app


async def test_a_problem_says_what_where_and_how_to_go_on() -> None:
    problem = Problem(
        429, "Slow down", "One a second.", errors=[FieldError("lead.email", "missing")], headers={"Retry-After": "2"}
    )
    answer = await ask(_app(problem), "/bare")
    assert answer.status == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"
    assert answer.json == {
        "type": "about:blank",
        "title": "Slow down",
        "status": 429,
        "detail": "One a second.",
        "instance": "/bare",
        "errors": [{"path": "lead.email", "message": "missing"}],
    }


async def test_invalid_input_names_the_fields_and_never_their_values() -> None:
    sent = b'{"email": "ada@example.com", "employees": "ada@example.com"}'
    answer = await ask(_app(), "/leads", method="POST", headers={"content-type": "application/json"}, chunks=[sent])
    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == ["employees"]
    assert b"ada@" not in answer.body


async def test_an_unknown_path_is_a_problem_document_too() -> None:
    answer = await ask(_app(), "/nowhere")
    assert answer.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "Nothing matches the given URI.",
        "instance": "/nowhere",
    }


async def test_a_method_that_a_path_has_not_names_all_that_it_has() -> None:
    app = _app()

    @app.get("/leads")
    async def list_leads() -> str:
        return "nobody"

    answer = await ask(app, "/leads", method="DELETE")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_every_problem_has_a_detail_the_first_error_if_nothing_else_was_said() -> None:
    errors = [FieldError("lead.email", "is required"), FieldError("", "is not JSON")]
    for given, detail in ((errors, "lead.email: is required (and 1 more)."), (errors[1:], "body: is not JSON.")):
        answer = await ask(_app(Problem(422, "Invalid input", errors=given)), "/bare")
        assert answer.json["detail"] == detail


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(retry_after_seconds=1),
        ConnectionRefusedError("refused"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("shutting down"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_is_away_is_503_with_retry_after(error: Exception) -> None:
    answer = await ask(_app(error), "/bare")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    "error", [KeyError("ada@example.com"), asyncpg.UniqueViolationError("Key (email)=(ada@example.com)")]
)
async def test_what_nobody_foresaw_is_500_and_neither_answer_nor_log_repeat_its_message(error: Exception) -> None:
    with capture_logs() as logs:
        answer = await ask(_app(error), "/bare")
    assert answer.status == 500
    assert b"ada@" not in answer.body
    assert [(line["event"], line["error"]) for line in logs] == [("request_failed", type(error).__qualname__)]
    assert "ada@" not in str(logs)
    assert "test_problems.py" in logs[0]["where"]


async def test_what_works_is_left_alone() -> None:
    assert (await ask(_app(), "/bare")).body == b"fine"
