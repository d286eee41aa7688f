"""Migrations are one chain, numbered as their files are: two with one number, or two that follow one, would stop every
start."""

import ast
from pathlib import Path

VERSIONS = Path(__file__).parents[3] / "deploy" / "migrations" / "versions"


def test_every_migration_follows_the_one_before_it() -> None:
    before: str | None = None
    for path in sorted(VERSIONS.glob("*.py")):
        names = {
            target.id: ast.literal_eval(node.value)
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id.endswith("revision")
        }
        assert names["revision"] == path.name.partition("_")[0], path.name
        assert names["down_revision"] == before, path.name
        before = names["revision"]


def test_no_migration_promises_a_way_back() -> None:
    """docs/operations.md: schemas are not migrated back. What nobody can run and nothing tries would only look so."""
    promising = [path.name for path in VERSIONS.glob("*.py") if "def downgrade" in path.read_text()]
    assert not promising
