"""What docs/operations.md tells an operator to type into psql is understood by the database of this release."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
STATEMENTS = re.findall(r"```sql\n(.+?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: " ".join(statement.split()[:4]))
async def test_a_documented_statement_is_understood(pool: Any, statement: str) -> None:
    assert await pool.fetch(f"EXPLAIN {statement}")
