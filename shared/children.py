"""Child processes: they end with this one, and are ended in good order or else by force."""

import shutil
import signal
import subprocess
from collections.abc import Sequence


def ending_with_us(by: signal.Signals) -> Sequence[str]:
    """What goes before a command so that the kernel sends it this signal when the thread that started it ends (so:
    start it from the main one); nothing where the tool for that is missing."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", by.name.removeprefix("SIG"), "--") if setpriv else ()


def end(process: subprocess.Popen[bytes], patience_seconds: float) -> bool:
    """Ends it as Ctrl-C does; False if it took longer than that, and had to be killed. Blocks."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(patience_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True
