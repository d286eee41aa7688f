"""An accord as a body: an object, the text of a YAML or JSON file within JSON, or bare YAML; checked whole."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from fastapi import Request

from services.api.routes.bodies import read_body, read_bytes
from services.api.routes.parts import Parts, invalid
from services.api.schemas.accords import ProposalBody
from shared.agreement.canonical import canonical_sha256
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import InvalidAccord, load_accord, warnings
from shared.http.problems import PlacedError, Problem

# RFC 9512, and the names that were used before it.
_YAML: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
MEDIA_TYPES: Final[Mapping[str, Any]] = {
    "application/yaml": {"schema": {"type": "string"}, "example": "accord: 1\nname: Example Corp\n…"}
}


class Loaded(NamedTuple):
    """A valid document as it goes on file."""

    document: dict[str, Any]
    source_text: str
    sha256: bytes
    warnings: list[str]


async def read_proposal(
    request: Request, parts: Parts, *, is_trial: bool = False
) -> tuple[tuple[Loaded, datetime | None], bytes]:
    """The document and its wanted time of effect, and the body's bytes. Raises Problem 413, 415 or 422.

    A document is read in a thread: a big one takes seconds, and other calls go on. Mistakes in a trial are no refusals.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in _YAML:
        raw = await read_bytes(request, parts)
        text, effective_at, has_lines = _decoded(raw), None, True
    elif content_type and content_type != "application/json" and not content_type.endswith("+json"):
        raise Problem(415, "Wrong content type", "Send application/json or application/yaml.")
    else:
        body, raw = await read_body(request, ProposalBody, parts)
        has_lines, effective_at = isinstance(body.document, str), body.effective_at
        text = body.document if isinstance(body.document, str) else _written(body.document)
    try:
        return (await asyncio.to_thread(_load, text), effective_at), raw
    except InvalidAccord as error:
        if not is_trial:
            parts.metrics.accord_refusals.labels("invalid_document").inc()
        raise _refused(error, has_lines=has_lines) from None


def _load(text: str) -> Loaded:
    accord = load_accord(text)
    # What every step will do with it; a document that this release can't execute must not be signed.
    compile_accord(accord, 1)
    return Loaded(accord.as_written(), text, canonical_sha256(accord), warnings(accord))


def _written(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise invalid("", f"must be UTF-8: byte {error.start} is not") from None


def _refused(error: InvalidAccord, *, has_lines: bool) -> Problem:
    errors = []
    for path, line, found, allowed in error.problems:
        at = f"line {line}: " if has_lines and line is not None else ""
        message = f"{at}found {found}, allowed: {allowed}"
        errors.append(PlacedError(path, message, line if has_lines else None, found, allowed))
    return Problem(422, "Invalid accord", errors=errors)
