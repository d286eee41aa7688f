"""One list for each vocabulary, and each of its words documented: metrics, settings, event types, commands, links.

A failure prints the lines to add; write what the thing means behind each.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeGuard

from shared.events.codec import EVENT_TYPES
from shared.events.topics import TOPICS

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ("shared", "services", "deploy")
METRIC_KINDS: Final = frozenset({"Counter", "Gauge", "Histogram", "BatchHistogram", "Summary", "Info"})
PREFIX: Final = "ACCORD_"
VARIABLE: Final = re.compile(r"\bACCORD_[A-Z][A-Z0-9_]*[A-Z0-9]\b")


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _document(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def _undocumented(words: set[str], name: str) -> str:
    documented = set(re.findall(r"`([^`\s{]+)", _document(name)))
    return "\n".join(f"| `{word}` |  |" for word in sorted(words - documented))


def _metric_names() -> Iterator[str]:
    """Names as the code gives them; what an f-string fills in is shown as `<name>`."""
    for path in _sources(*PRODUCT):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            kind = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if kind not in METRIC_KINDS or not call.args:
                continue
            if name := _text(call.args[0]):
                yield f"{name}_total" if kind == "Counter" and not name.endswith("_total") else name


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"<{ast.unparse(node.value).removeprefix('self.').strip('_')}>"
    return ""


def _settings_variables() -> set[str]:
    """`<prefix><FIELD>` of every class that is built on pydantic-settings."""
    found = set()
    for path in _sources("shared", "services"):
        for kind in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)):
            if not any(ast.unparse(base).endswith("Settings") for base in kind.bases):
                continue
            prefix = re.search(r"env_prefix='(\w+)'", ast.unparse(kind))
            fields = [node.target.id for node in kind.body if isinstance(node, ast.AnnAssign) and _is_name(node.target)]
            found |= {f"{prefix[1] if prefix else PREFIX}{field}".upper() for field in fields}
    return found


def _mentioned_variables() -> set[str]:
    """Those that code reads by name, in tests too, and those of the files that start things."""
    found = set()
    for path in _sources(*PRODUCT, "tests", "benchmarks"):
        strings = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
        found |= {text for text in strings if isinstance(text, str) and VARIABLE.fullmatch(text)}
    for name in ("Makefile", "docker-compose.yml", "deploy/Dockerfile", ".ci/run"):
        found |= set(VARIABLE.findall((ROOT / name).read_text()))
    return found


def _is_name(node: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def test_every_metric_is_documented() -> None:
    missing = _undocumented(set(_metric_names()), "metrics.md")
    assert not missing, f"add to docs/metrics.md:\n{missing}"


def test_every_metric_is_named_after_its_service_its_thing_and_its_unit() -> None:
    odd = [name for name in _metric_names() if not re.fullmatch(r"accord(_<[a-z_]+>|_[a-z0-9]+)+", name)]
    assert not odd


def test_every_setting_is_documented() -> None:
    missing = _undocumented(_settings_variables() | _mentioned_variables(), "settings.md")
    assert not missing, f"add to docs/settings.md:\n{missing}"


def test_every_documented_setting_exists() -> None:
    described = set(re.findall(r"^\| `(ACCORD_\w+)`", _document("settings.md"), re.MULTILINE))
    gone = described - _settings_variables() - _mentioned_variables()
    assert not gone, f"docs/settings.md describes what no longer exists: {sorted(gone)}"


def test_every_documented_metric_exists() -> None:
    described = set(re.findall(r"^\| `(accord_\w+)`", _document("metrics.md"), re.MULTILINE))
    gone = described - set(_metric_names())
    assert not gone, f"docs/metrics.md describes what no longer exists: {sorted(gone)}"


def test_every_event_type_and_topic_is_documented() -> None:
    missing = _undocumented({*EVENT_TYPES, *TOPICS}, "events.md")
    assert not missing, f"add to docs/events.md:\n{missing}"


def test_every_relative_link_in_the_documentation_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path = target.partition("#")[0]
            if path and "://" not in target and not target.startswith("mailto:") and not (page.parent / path).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, "\n" + "\n".join(broken)


def test_every_make_target_that_the_documentation_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {target for page in pages for target in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named <= targets
