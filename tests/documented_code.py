"""The code that stands in the documentation, as tests run it."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def program(page: str, name: str) -> str:
    """The Python block of a page that begins with its file's name."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(f"# {name}\n")]
    return str(found)


def shell(page: str, word: str) -> str:
    """The shell block of a page that has this in it."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return str(found)
