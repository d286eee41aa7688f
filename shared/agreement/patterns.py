"""RE2 patterns: linear in the text, whatever the pattern."""

from collections.abc import Callable
from typing import Final

import re2

PATTERN_LENGTH_MAX: Final = 1000


def compile_pattern(pattern: str) -> Callable[[str], object | None]:
    """RE2's unanchored search, without captures and without its own log on stderr."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    search: Callable[[str], object | None] = re2.compile(pattern, options).search
    return search


def pattern_problem(pattern: str) -> str | None:
    """What would be allowed, if this pattern isn't."""
    if len(pattern) > PATTERN_LENGTH_MAX:
        return f"a pattern of at most {PATTERN_LENGTH_MAX} characters"
    try:
        compile_pattern(pattern)
    except (re2.error, UnicodeEncodeError) as error:
        said = error.args[0]
        return f"an RE2 regular expression ({said.decode(errors='replace') if isinstance(said, bytes) else said})"
    return None
