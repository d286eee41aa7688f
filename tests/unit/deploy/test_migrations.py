"""Migrations stand in one line: helpers that work side by side must not give one number twice."""

import re
from importlib.resources import files


def test_every_migration_follows_the_one_before_it() -> None:
    line = []
    for file in sorted(files("deploy.migrations.versions").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            text = file.read_text()
            number = re.search(r'^revision = "(\d+)"', text, re.MULTILINE)
            before = re.search(r'^down_revision = "(\d+)"', text, re.MULTILINE)
            assert number is not None
            assert file.name.startswith(f"{number[1]}_"), file.name
            line.append((number[1], before[1] if before else None))
    assert [before for _, before in line] == [None, *(number for number, _ in line[:-1])]
