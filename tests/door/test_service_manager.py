"""`serve`, `mllp` and `worker` under a service manager: what each tells it, from ready to stopping."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from gateway.demo.process import COMMAND
from tests.harness.broker_door import BrokerDoor
from tests.harness.door import Door
from tests.harness.listening import Listening

pytestmark = [pytest.mark.door, pytest.mark.faults]

STOPPING = "STOPPING=1\nSTATUS=stopping: what was received is finished"


def test_serve_tells_when_it_is_ready_that_it_lives_and_that_it_stops(tmp_path: Path) -> None:
    with Listening(tmp_path / "notify") as manager:
        with Door(tmp_path, environment={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}) as door:
            begun = manager.until("READY=1")
            assert set(begun[:-1]) <= {"WATCHDOG=1\nSTATUS=starting", "WATCHDOG=1"}
            assert begun[-1] == f"READY=1\nSTATUS=MLLP 127.0.0.1:{door.process.port}, test"
            assert manager.read(1) == [f"WATCHDOG=1\nSTATUS=MLLP 127.0.0.1:{door.process.port}, at work"]
            at = time.monotonic()
            assert manager.read(5) == ["WATCHDOG=1"] * 5
            assert 0.8 < time.monotonic() - at < 10
        ended = manager.until("STOPPING=1")
        assert ended[-1] == STOPPING
        assert set(ended[:-1]) <= {"WATCHDOG=1"}


def test_doors_and_workers_speak_for_themselves_and_never_for_their_supervisor(tmp_path: Path) -> None:
    with Listening(tmp_path / "of-serve") as manager:
        told = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000"}
        with BrokerDoor(tmp_path, environment=told) as door:
            begun = manager.until("READY=1")
            assert begun[-1] == f"READY=1\nSTATUS=MLLP 127.0.0.1:{door.process.port}, test"
            # One voice: a process of its own would have said READY of a worker first, and its WATCHDOG.
            assert [line for line in begun[:-1] if not re.fullmatch(r"WATCHDOG=1\nSTATUS=\d of \d processes run", line)] == []
            for verb in (("mllp", "--mllp-port", "0"), ("http", "--http-port", "0"), ("worker", "--number", "2", "--of", "2")):
                _alone(door, tmp_path / verb[0], verb)
        assert manager.until("STOPPING=1")[-1] == STOPPING
        # It lives until its last process has drained, and says so; that it stops it has said.
        while manager.waiting():
            assert manager.read(1) == ["WATCHDOG=1"]


def _alone(door: BrokerDoor, address: Path, verb: tuple[str, ...]) -> None:
    with Listening(address) as manager:
        process = subprocess.Popen(
            (*COMMAND, *verb, "--data", str(door.data), "--json"),
            env=os.environ | door.environment | {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            ready = manager.until("READY=1")[-1].removeprefix("READY=1\nSTATUS=")
            assert ready == "worker 2 of 2" if verb[0] == "worker" else ready.startswith(f"{verb[0].upper()} 127.0.0.1:")
            (at_work,) = manager.read(1)
            assert at_work.startswith("WATCHDOG=1\nSTATUS=") and at_work.endswith("at work")
            assert manager.read(2) == ["WATCHDOG=1"] * 2
        finally:
            process.terminate()
            status = process.wait(60)
        assert status == 0
        assert manager.until("STOPPING=1")[-1] == STOPPING
