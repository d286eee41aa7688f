"""JSON bodies: read after the key was checked, bounded, and refused when two readers could read them differently."""

import json
import math
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from services.api.routes.parts import Parts
from shared.http import limits
from shared.http.problems import FieldError, Problem, field_errors

Model = TypeVar("Model", bound=BaseModel)


async def read_body(
    request: Request, model: type[Model], parts: Parts, *, is_optional: bool = False
) -> tuple[Model, bytes]:
    """The body as the model, and its bytes; an optional one may be empty. Raises Problem 413, 415 or 422."""
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    raw = await read_bytes(request, parts)
    if is_optional and not raw.strip():
        return model(), raw
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise Problem(415, "Wrong content type", "Send application/json.")
    value = _parse(raw, parts)
    try:
        return model.model_validate_json(json.dumps(value)), raw
    except ValidationError as error:
        raise Problem(422, "Invalid input", errors=field_errors(error)) from None


async def read_bytes(request: Request, parts: Parts) -> bytes:
    """The body within its limit. Raises Problem 413 or 415."""
    limits.require_uncompressed(request.headers)
    return await limits.read_body(
        request.scope, request.receive, bytes_max=parts.settings.body_bytes_max, on_limit=parts.metrics.reach
    )


def _parse(raw: bytes, parts: Parts) -> Any:
    try:
        # As bytes it would be taken for UTF-16 too, where it looks like that.
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant, parse_float=_finite)
    except _Refused as error:
        raise _invalid(str(error)) from None
    except RecursionError:
        parts.metrics.reach("depth")
        raise _invalid("is nested too deeply") from None
    except ValueError:
        raise _invalid("is not valid JSON in UTF-8, or has a number too long to read") from None
    _check(value, parts)
    return value


def _check(value: Any, parts: Parts) -> None:
    """Refuses what Postgres or another JSON reader could not hold."""
    level = [value]
    for _ in range(parts.settings.depth_max):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following += [*item, *item.values()]
            elif isinstance(item, list):
                following += item
            elif isinstance(item, str):
                _check_text(item)
        if not following:
            return
        level = following
    parts.metrics.reach("depth")
    raise _invalid("is nested too deeply")


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _invalid("must not contain a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _invalid("must not contain a lone surrogate") from None


class _Refused(ValueError):
    pass


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("must not contain the same key twice")
    return found


def _no_constant(_: str) -> Any:
    raise _Refused("must not contain NaN or Infinity")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused("must not contain a number beyond what a double holds")
    return number


def _invalid(message: str) -> Problem:
    return Problem(422, "Invalid input", errors=[FieldError("", message)])
