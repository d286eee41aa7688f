"""Commands that run as an ordinary user and end with their parent: Postgres must neither be root nor outlive Accord.

`setpriv` (util-linux) does both; where it is missing a few lines of Python do the same.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_CANDIDATES: Final = ("postgres", "nobody")
_PR_SET_PDEATHSIG: Final = 1

# Runs before the real command: gives up root (if asked to), asks for SIGINT at the parent's death, becomes the command.
# A shell's background job ignores SIGINT, and so would all that it starts.
_SHIM: Final = f"""
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
parent, uid, gid = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if uid >= 0:
    os.setgroups([]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGINT)})
if os.getppid() != parent:
    sys.exit(1)
os.execv(sys.argv[4], sys.argv[4:])
"""


class Account(NamedTuple):
    """The user that Postgres runs as when Accord is root."""

    uid: int
    gid: int


def account_for(folder: Path) -> Account | None:
    """Whom to become for this cluster: nobody else when we aren't root; the folder's owner, if it has one already."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)


def command_as(account: Account | None, command: Sequence[str], *, setpriv: str | None = None) -> list[str]:
    """The command, run as the account, and ended by SIGINT when the thread that starts it ends (so: the main one)."""
    setpriv = shutil.which("setpriv") if setpriv is None else setpriv
    if setpriv:
        demotion = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"] if account else []
        return [setpriv, *demotion, "--pdeathsig", "INT", "--", *command]
    uid, gid = account or (-1, -1)
    program = shutil.which(command[0]) or command[0]
    return [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), str(uid), str(gid), program, *command[1:]]


def can_enter(account: Account | None, folder: Path) -> bool:
    """Whether the account gets as far as this folder, or file, and may use it. Asks the kernel, not the mode bits."""
    if account is None:
        return True
    command = command_as(account, ["test", "-x", str(folder)])
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


def give(folder: Path, account: Account | None) -> None:
    """Makes a folder of ours, and what is in it, the account's."""
    if account is None:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
