"""Styles and scripts: first-party files, in the package. Their address has a hash of all, so browsers keep them."""

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.http.problems import Problem

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_HASH_CHARACTERS: Final = 12


class _File(NamedTuple):
    plain: bytes
    zipped: bytes
    media_type: str


@cache
def _files() -> dict[str, _File]:
    found = {}
    for file in files("services.api.pages").joinpath("static").iterdir():
        content = file.read_bytes()
        found[file.name] = _File(content, gzip.compress(content, mtime=0), _TYPES[file.name.rpartition(".")[2]])
    return found


@cache
def _version() -> str:
    everything = hashlib.sha256()
    for name, file in sorted(_files().items()):
        everything.update(name.encode() + b"\0" + file.plain)
    return everything.hexdigest()[:_HASH_CHARACTERS]


def address(name: str) -> str:
    """Of one file. Scripts import each other by name, because the version is a folder."""
    assert name in _files(), name
    return f"/static/{_version()}/{name}"


async def _show(request: Request) -> Response:
    file = _files().get(request.path_params["name"])
    if file is None:
        raise Problem(404, "No such file")
    is_current = request.path_params["version"] == _version()
    headers = {
        "Cache-Control": _FOR_EVER if is_current else "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.zipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.plain, headers=headers, media_type=file.media_type)


def static_route() -> Route:
    return Route("/static/{version}/{name}", _show)
