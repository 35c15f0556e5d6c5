"""The tests' own broker: what a killed run left of it is swept by the next."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness import owned, rabbitmq

_MAKER = """
import time
from tests.harness import rabbitmq
made = rabbitmq.Node(prepared=False)
print(made._home, flush=True)
time.sleep(60)
"""


@pytest.mark.faults
def test_what_a_killed_run_left_is_swept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server's user must be able to reach its folder.
    monkeypatch.setattr(owned.tempfile, "tempdir", None)
    maker = subprocess.Popen([sys.executable, "-c", _MAKER], cwd=root, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    home = Path(maker.stdout.readline().strip())
    assert owned.at_home(home)
    rabbitmq.sweep()
    assert owned.at_home(home), "its maker lives"
    maker.send_signal(signal.SIGKILL)
    maker.wait(10)
    maker.stdout.close()
    assert owned.at_home(home), "the broker ended by itself: the test shows nothing"
    rabbitmq.sweep()
    until = time.monotonic() + 30
    while owned.at_home(home) and time.monotonic() < until:
        time.sleep(0.05)
    assert owned.at_home(home) == []
    assert not home.exists()
