"""How long tests wait for what must come: longer where workers share the machine (`make test`), for the same thing."""

import asyncio
import os
from typing import Final

PATIENCE: Final = 4 if "PYTEST_XDIST_WORKER" in os.environ else 1


def within(seconds: float) -> asyncio.Timeout:
    """Ends its block at the deadline, for what is awaited; `builders.eventually` waits for a condition."""
    return asyncio.timeout(seconds * PATIENCE)
