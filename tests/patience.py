"""How long tests wait for what must come: longer where workers share the machine (`make test`), for the same thing."""

import os
from typing import Final

PATIENCE: Final = 4 if "PYTEST_XDIST_WORKER" in os.environ else 1
