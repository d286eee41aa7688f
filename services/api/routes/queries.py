"""Query strings: a parameter that a call does not have is refused, because it is most often a misspelt one: a list that
it did not narrow down would be taken for what was asked for."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from shared.http.problems import FieldError, Problem

_SHOWN_MAX: Final = 100


class QueryString:
    """What one call may be asked with."""

    def __init__(self, path: str, endpoint: Callable[..., Any]) -> None:
        self._path = path
        self._endpoint = endpoint

    @cached_property
    def _may_repeat(self) -> Mapping[str, bool]:
        """Every parameter as the OpenAPI document has it. Worked out when the call is first asked with one: for all
        calls together that would be a tenth of a start."""
        alone = APIRoute(self._path, self._endpoint, response_model=None)
        (call,) = get_openapi(title="", version="", routes=[alone])["paths"].values()
        told = call["get"].get("parameters", ())
        return {one["name"]: _is_list(one["schema"]) for one in told if one["in"] == "query"}

    def check(self, asked: QueryParams) -> None:
        """Raises Problem 422 with every fault."""
        if asked and (errors := list(self._faults(asked.multi_items()))):
            raise Problem(422, "Invalid input", errors=errors)

    def _faults(self, pairs: Sequence[tuple[str, str]]) -> Iterator[FieldError]:
        if any("\0" in part for pair in pairs for part in pair):
            yield FieldError("query", "must not contain a NUL character")
        for name, count in Counter(name for name, _ in pairs).items():
            if name not in self._may_repeat:
                allowed = ", ".join(self._may_repeat) or "none"
                yield FieldError(name[:_SHOWN_MAX], f"is not a parameter of this call; allowed: {allowed}")
            elif count > 1 and not self._may_repeat[name]:
                yield FieldError(name, "must be given once")


def _is_list(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", ())))
