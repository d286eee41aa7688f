"""The rivals' own environment: requirements/rivals.txt, installed once into an ignored folder of the checkout."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.broken import Broken

ROOT = Path(__file__).parents[1]
_LOCKED = ROOT / "requirements" / "rivals.txt"
_VENV = ROOT / ".bench" / "rivals-venv"
_INSTALL_SECONDS = 900


def rivals_bin(tell: Callable[[str], None]) -> Path:
    """The folder with their commands; installs them first if that was not done yet, or another release is locked."""
    stamp, wanted = _VENV / ".installed", hashlib.sha256(_LOCKED.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        tell(f"installing the rivals into {_VENV.relative_to(ROOT)} (once, about a minute)")
        _run(sys.executable, "-m", "venv", "--clear", str(_VENV))
        pip = (str(_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--require-hashes", "--requirement", str(_LOCKED))
        stamp.write_text(wanted)
    return _VENV / "bin"


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if ended.returncode:
        raise Broken(f"the rivals can't be installed: {(ended.stdout + ended.stderr).strip()[-2_000:]}")
