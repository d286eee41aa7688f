"""JMESPath, compiled once per expression. An expression is the source's, the value it looks into is the sender's."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

Query = Callable[[Any], Any]


class Failed(Exception):
    """An expression can't be applied to a value."""


@lru_cache(maxsize=10_000)
def query(expression: str) -> Query:
    """What finds the expression's value in another. Raises ValueError where it doesn't compile."""
    try:
        compiled = jmespath.compile(expression)
    except (JMESPathError, RecursionError):
        raise ValueError("is no JMESPath expression; a constant is written in single quotes") from None

    def find(value: Any) -> Any:
        try:
            return compiled.search(value)
        except JMESPathError:
            raise Failed("the expression can't be applied to this body") from None
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            # The library lets some of Python's own errors through, such as those of sorting what can't be compared.
            raise Failed("the expression can't be applied to this body") from None

    return find
