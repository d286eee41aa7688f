"""Every message of the validator, word for word; one that no case here shows fails the last test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from shared.agreement.loading import InvalidAccord, default_accord_text, load_accord, warnings

AGREEMENT = Path(__file__).parents[3] / "shared" / "agreement"
_MESSAGES = YAML(typ="safe", pure=True).load(Path(__file__).with_name("messages.yaml"))
CHANGED, TEXTS, WARNINGS = ([tuple(case.values()) for case in _MESSAGES[kind]] for kind in _MESSAGES)
# Who says something to people about a document, and which of its arguments are the words.
SPEAKERS = {"refusal", "refusals", "refuse", "ParseProblem", "_unreadable", "_problem", "did_you_mean"}
NAMES = ("allowed", "_ALLOWED", "_BOUNDS", "PATTERNS", "known", "found")
FRAGMENT_LENGTH_MIN = 6


@pytest.mark.parametrize(("right", "wrong", "message"), CHANGED, ids=range(len(CHANGED)))
def test_a_wrong_value_is_answered_with_its_place_what_was_found_and_what_is_allowed(
    right: str, wrong: str, message: str
) -> None:
    text = default_accord_text()
    assert right in text
    with pytest.raises(InvalidAccord) as refused:
        load_accord(text.replace(right, wrong, 1))
    told = [re.sub(r"^line \d+: ", "", line) for line in str(refused.value).splitlines()]
    assert message in told
    assert all(problem.line is not None for problem in refused.value.problems)


@pytest.mark.parametrize(("text", "message"), TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_is_no_document_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(InvalidAccord) as refused:
        load_accord(text)
    assert message in str(refused.value).splitlines()


@pytest.mark.parametrize(("right", "wrong", "message"), WARNINGS)
def test_a_likely_slip_is_warned_of(right: str, wrong: str, message: str) -> None:
    text = default_accord_text()
    assert right in text
    assert message in warnings(load_accord(text.replace(right, wrong, 1)))


def test_every_message_of_the_validator_has_a_case() -> None:
    shown = "\n".join(case[-1] for case in (*CHANGED, *TEXTS, *WARNINGS))
    missing = [f"{path.name}: {words!r}" for path, words in fragments() if words not in shown]
    assert not missing, "\n" + "\n".join(missing)


def fragments() -> Iterator[tuple[Path, str]]:
    """What stands literally in messages, between the values that are filled in."""
    for path in sorted(AGREEMENT.glob("*.py")):
        if path.stem in ("wording", "phrases", "difference", "life", "decay", "compiled"):
            continue
        for words in _said(ast.parse(path.read_text())):
            for literal in re.split(r"\{\w*\}", words):
                if len(literal.strip()) >= FRAGMENT_LENGTH_MIN and " " in literal.strip():
                    yield path, literal


def _said(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in SPEAKERS:
            yield from _literals(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_named(
            node, ("allowed", "_ALLOWED", "_BOUNDS", "PATTERNS", "known", "found")
        ):
            yield from _literals(node.value) if node.value is not None else ()
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.JoinedStr):
            yield from _literals(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name in ("_operand_problem", "pattern_problem", "shown"):
            yield from (literal for statement in node.body[1:] for literal in _literals(statement))


def _is_named(node: ast.Assign | ast.AnnAssign, names: tuple[str, ...]) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id in names for target in targets)


def _literals(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value
