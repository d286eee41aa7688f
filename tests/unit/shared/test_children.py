"""A child is ended in good order, or by force when it doesn't listen."""

import signal
import subprocess
import sys

import pytest

from shared.children import end, ending_with_us

DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); signal.pause()"
LISTENING = "import signal; signal.signal(signal.SIGINT, lambda *_: exit(7)); print(flush=True); signal.pause()"


def started(program: str, by: signal.Signals = signal.SIGINT) -> subprocess.Popen[bytes]:
    """Once it listens to signals as it means to."""
    process = subprocess.Popen([*ending_with_us(by), sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


@pytest.mark.parametrize(("program", "is_in_order", "code"), [(LISTENING, True, 7), (DEAF, False, -signal.SIGKILL)])
def test_it_is_asked_first_and_then_made_to(program: str, is_in_order: bool, code: int) -> None:
    process = started(program)
    assert end(process, 30 if is_in_order else 0.1) is is_in_order
    assert process.returncode == code


def test_one_that_has_ended_by_itself_stays_so() -> None:
    process = started("print()", signal.SIGKILL)
    assert process.wait() == 0
    assert end(process, 0.1)
    assert process.returncode == 0
