"""A slash within a part of a path."""

import pytest
from asgi_client import ask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.http.paths import EncodedSlashes, with_slashes


async def show(request: Request) -> Response:
    return PlainTextResponse(with_slashes(request.path_params["lead"]))


APP = EncodedSlashes(Starlette(routes=[Route("/leads/{lead}/timeline", show)]))


@pytest.mark.parametrize(
    ("path", "lead"),
    [
        ("/leads/user_id:shop%2F7/timeline", "user_id:shop/7"),
        ("/leads/a%2fb%2Fc@acme.example/timeline", "a/b/c@acme.example"),
        ("/leads/%C3%BC%2F%25@acme.example/timeline", "ü/%@acme.example"),
        ("/leads/ann@acme.example/timeline", "ann@acme.example"),
    ],
)
async def test_an_encoded_slash_belongs_to_its_part(path: str, lead: str) -> None:
    assert (await ask(APP, path)).body.decode() == lead


async def test_a_plain_slash_divides() -> None:
    assert (await ask(APP, "/leads/a/b/timeline")).status == 404
