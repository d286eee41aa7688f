"""Debian's Alertmanager and its amtool: installed, or unpacked by `.ci/run`."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

_TEMPLATES: Final = Path("/usr/share/prometheus/alertmanager/default.tmpl")
_UNPACKED: Final = Path(__file__).parents[1] / ".tools" / "prometheus" / "usr" / "bin"


def find(name: str) -> str | None:
    """The path of this binary; None where there is none that would start. Fails the test where one is required."""
    found = shutil.which(name) or (str(_UNPACKED / name) if (_UNPACKED / name).exists() else None)
    if found is not None and _TEMPLATES.exists():
        return found
    if os.environ.get("ACCORD_REQUIRE_ALERTMANAGER") == "1":
        pytest.fail(_lacking(name))
    return None


def binary(name: str) -> str:
    """The path of this binary. Skips the test where there is none that would start."""
    return find(name) or pytest.skip(_lacking(name))


def _lacking(name: str) -> str:
    return f"no {name} with its templates: install Debian's package prometheus-alertmanager, or run .ci/run once"
