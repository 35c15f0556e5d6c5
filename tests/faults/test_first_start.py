"""Killed while it makes its folder, keys and files for the first time: the next start goes on, and takes messages."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.queue.keys import initialise
from gateway.wiring.clock import SystemClock
from tests.harness.load import Wire, read_answer
from tests.harness.rig import Rig
from tests.harness.traffic import VALMONT, Traffic

pytestmark = [pytest.mark.faults, pytest.mark.door]


def no_keys_yet(data: Path) -> None:
    (data / "keys").mkdir(mode=0o700, parents=True)


def half_a_key(data: Path) -> None:
    no_keys_yet(data)
    part = data / "keys" / ".receipts.key.part"
    part.write_bytes(b"half")
    part.chmod(0o600)


def without_the_last_key(data: Path) -> None:
    data.mkdir(mode=0o700)
    initialise(data / "keys", SystemClock())
    for key in (data / "keys").glob("flow-*.key"):
        key.unlink()


def an_empty_store(data: Path) -> None:
    data.mkdir(mode=0o700)
    initialise(data / "keys", SystemClock())
    (data / "store.db").touch(0o600)


def empty_files(data: Path) -> None:
    an_empty_store(data)
    (data / "queue.db").touch(0o600)
    (data / "gateway.lock").write_bytes(b'{"pid":1,"soc')


#: What a kill may leave, in the order in which a first start makes things.
LEFT = (no_keys_yet, half_a_key, without_the_last_key, an_empty_store, empty_files)


def takes_messages(rig: Rig) -> None:
    traffic = Traffic(9, people=2)
    patient = traffic.patients[0]
    assert rig.start()
    try:
        wire = Wire(rig.gateway.port)
        assert read_answer(wire.ask(traffic.statement(patient, VALMONT, "oppose").payload))[0] == "AA"
        assert read_answer(wire.ask(traffic.deposit(patient).payload))[0] == "AA"
        wire.close()
        assert rig.drained()
        assert rig.stop() == 0
    finally:
        rig.gateway.kill()


@pytest.mark.parametrize("left", LEFT, ids=lambda each: each.__name__)
def test_a_first_start_that_was_cut_off_is_taken_up(left: Callable[[Path], None], tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    left(rig.data)
    takes_messages(rig)


def test_killed_while_starting_again_and_again(tmp_path: Path) -> None:
    rig, chance = Rig(tmp_path), random.Random(3)
    with rig.log.open("ab") as log:
        for _ in range(12):
            process = subprocess.Popen(
                (
                    sys.executable,
                    "-m",
                    "gateway.cli",
                    "serve",
                    "--data",
                    str(rig.data),
                    "--mllp-port",
                    "0",
                    "--http-port",
                    "0",
                    "--json",
                ),
                stdout=log,
                stderr=log,
                env=os.environ | {"TMPDIR": str(rig.temporary)},
            )
            time.sleep(0.25 + 0.6 * chance.random())
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL, rig.log.read_text()
    takes_messages(rig)
