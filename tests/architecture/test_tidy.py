"""What no linter checks: sizes, names, docstrings, and that nothing was left for later. STYLE.md's rules, as a test."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("shared", "services", "deploy")
EVERYTHING: Final = (*PRODUCT, "tests", "benchmarks")

MODULE_LINES_MAX: Final = 300
FUNCTION_LINES_MAX: Final = 50
PARAMETERS_MAX: Final = 5
DOCSTRING_LINES_MAX: Final = 5
COMMENT_SHARE_MAX: Final = 0.15
BANNED_NAMES: Final = frozenset({"utils", "util", "common", "manager", "helpers", "misc"})
# The error tree is drawn in its module's docstring.
LONG_DOCSTRING: Final = "shared/errors.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Finding = Iterator[str]


def _modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _functions(path: Path) -> Iterator[Function]:
    yield from (node for node in ast.walk(_tree(path)) if isinstance(node, Function))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=_name(path))


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def long_modules() -> Finding:
    for path in _modules(*EVERYTHING):
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES_MAX:
            yield f"{_name(path)}: {lines} lines, {MODULE_LINES_MAX} at most: it has two jobs"


def long_functions() -> Finding:
    for path in _modules(*EVERYTHING):
        for function in _functions(path):
            if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX:
                yield f"{_name(path)}:{function.lineno} {function.name}: {lines} lines, {FUNCTION_LINES_MAX} at most"


def functions_with_many_positional_parameters() -> Finding:
    for path in _modules(*PRODUCT):
        for function in _functions(path):
            positional = [*function.args.posonlyargs, *function.args.args]
            count = len([parameter for parameter in positional if parameter.arg not in {"self", "cls"}])
            if count > PARAMETERS_MAX:
                yield f"{_name(path)}:{function.lineno} {function.name}: {count} parameters by position"


def names_that_say_nothing() -> Finding:
    for path in _modules(*EVERYTHING):
        words = {path.stem, *path.relative_to(ROOT).parts[:-1]}
        if banned := words & BANNED_NAMES:
            yield f"{_name(path)}: {', '.join(sorted(banned))} is no name for a thing of this house"


def modules_without_their_role() -> Finding:
    for path in _modules(*EVERYTHING):
        tree = _tree(path)
        docstring = ast.get_docstring(tree)
        if tree.body and docstring is None:
            yield f"{_name(path)}: no docstring that says its role and limits"
        elif docstring and len(docstring.splitlines()) > DOCSTRING_LINES_MAX and _name(path) != LONG_DOCSTRING:
            yield f"{_name(path)}: a docstring of more than {DOCSTRING_LINES_MAX} lines"


def work_left_for_later() -> Finding:
    left = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    for path in _modules(*EVERYTHING):
        for line, comment in _comments(path):
            if left.search(comment):
                yield f"{_name(path)}:{line} {comment}: do it, or write it in an issue"


def commented_out_code() -> Finding:
    code = re.compile(
        r"#\s*(from \w+ import |import \w+$|def \w+\(|class \w+[(:]|return \w+\(|if .+:$|for .+ in .+:$|print\()"
    )
    for path in _modules(*EVERYTHING):
        for line, comment in _comments(path):
            if code.match(comment):
                yield f"{_name(path)}:{line} {comment}: the history keeps what was"


def modules_that_talk_more_than_they_do() -> Finding:
    for path in _modules(*PRODUCT):
        lines = len(path.read_text().splitlines())
        comments = len(list(_comments(path)))
        if comments > max(3, COMMENT_SHARE_MAX * lines):
            yield f"{_name(path)}: {comments} comments in {lines} lines: names say what, comments only why"


def wall_clocks_and_random_ids() -> Finding:
    """Belt beside ruff's braces: attribute calls that its banned-api can't resolve to a module."""
    banned = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.time(_ns)?|uuid[14])\(")
    for path in _modules(*PRODUCT):
        if _name(path) == "shared/clock.py":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if banned.search(line.partition("#")[0]):
                yield f"{_name(path)}:{number} {line.strip()}: time and ids are arguments; shared/clock.py has both"


def sleeps_in_tests() -> Finding:
    for path in _modules("tests"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\b(asyncio|time)\.sleep\([^0)]", line):
                yield f"{_name(path)}:{number} {line.strip()}: wait for a condition, with a deadline"


def deadlines_of_a_tests_own() -> Finding:
    """Under a second is for what must not come; for what must, `within` knows how busy the machine may be."""
    own = re.compile(r"\basyncio\.(timeout\((?!0\.)|wait_for\((?!.*, 0\.))")
    for path in _modules("tests"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if own.search(line) and _name(path) not in ("tests/patience.py", "tests/architecture/test_tidy.py"):
                yield f"{_name(path)}:{number} {line.strip()}: `within` of tests/patience.py waits long enough"


def log_actions_that_vary() -> Finding:
    """A log line's first argument is a constant snake_case action; what varies is a field."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    for path in _modules(*PRODUCT):
        for call in (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)):
            target = call.func
            if not (isinstance(target, ast.Attribute) and target.attr in levels and isinstance(target.value, ast.Name)):
                continue
            if not target.value.id.lower().endswith(("log", "logger")):
                continue
            action = call.args[0] if call.args else None
            if not (
                isinstance(action, ast.Constant) and re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", str(action.value))
            ):
                yield f"{_name(path)}:{call.lineno}: a log action is a constant in snake_case"


CHECKS: Final[tuple[Callable[[], Finding], ...]] = (
    long_modules,
    long_functions,
    functions_with_many_positional_parameters,
    names_that_say_nothing,
    modules_without_their_role,
    work_left_for_later,
    commented_out_code,
    modules_that_talk_more_than_they_do,
    wall_clocks_and_random_ids,
    sleeps_in_tests,
    deadlines_of_a_tests_own,
    log_actions_that_vary,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_has_no(check: Callable[[], Finding]) -> None:
    findings = list(check())
    assert not findings, "\n" + "\n".join(findings)


def test_every_package_of_the_product_has_an_init_and_tests_have_none() -> None:
    product = chain.from_iterable((ROOT / folder).rglob("*.py") for folder in PRODUCT)
    missing = {_name(path.parent) for path in product if not (path.parent / "__init__.py").exists()}
    assert missing <= {"deploy/migrations/versions"}
    assert [_name(path) for path in (ROOT / "tests").rglob("__init__.py")] == []
