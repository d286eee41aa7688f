"""How a path or a query spells a number: one way for each, so that no two addresses are the same thing."""

import re
from typing import Any, Final

from pydantic import BeforeValidator

_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]*")
# A number of JSON, as OpenAPI promises it.
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def is_whole(text: str) -> bool:
    """Digits from 0 to 9, without a plus sign, leading zeros, spaces or underscores."""
    return _WHOLE.fullmatch(text) is not None


def _whole(value: Any) -> Any:
    if isinstance(value, str) and not is_whole(value):
        raise ValueError("must be a whole number, like 50")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("must be a number, like 40 or 12.5")
    return value


# For types: `Annotated[int, Field(ge=1), WHOLE]`. Bounds stand before it; those behind it would not be told in OpenAPI.
WHOLE: Final = BeforeValidator(_whole)
DECIMAL: Final = BeforeValidator(_decimal)
