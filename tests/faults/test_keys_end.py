"""The embedded gateway over midnight: what waited was sealed, and once its key has ended nothing anywhere opens it (D-7)."""

import asyncio
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from gateway.config.load import load
from gateway.model.ports import Unavailable
from gateway.queue.errors import KeyMissing
from gateway.queue.keys import Keys
from gateway.queue.markers import MARGIN, REST
from gateway.queue.seal import open_sealed
from gateway.queue.wire import decode
from gateway.store.sqlite.reader import SqliteReader
from gateway.telemetry import points
from gateway.wiring import midnight
from gateway.wiring.data import DataDirectory
from gateway.wiring.gateway import Gateway
from tests.harness.canaries import Canaries
from tests.harness.load import Wire, read_answer
from tests.harness.marked import report
from tests.harness.rig import Rig
from tests.harness.traffic import patients

pytestmark = [pytest.mark.faults, pytest.mark.door]


class Shifted:
    """The machine's clock, set forward by the test."""

    by = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by

    def set(self, at: datetime) -> None:
        self.by = at - datetime.now(UTC)


class Running:
    """`serve` without a configuration, in this process, under a clock of the test."""

    def __init__(self, data: Path, clock: Shifted) -> None:
        self.data = data
        self._ready = threading.Event()
        self._gateway = Gateway(load(None, {}, {"mllp.port": 0}), DataDirectory(data), clock, lambda _: None)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

        def ready(made) -> None:
            self.port = made.mllp_port
            self._ready.set()

        await self._gateway.run(ready, self._stop)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()


def until(condition, seconds: float = 20.0) -> bool:
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.02)
    return bool(condition())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shifted]:
    monkeypatch.setattr(midnight, "LOOK_SECONDS", 0.02)
    yield Shifted()
    points.hooks.clear()


def test_what_waited_is_readable_by_nobody_once_its_key_has_ended(tmp_path: Path, clock: Shifted) -> None:
    rig = Rig(tmp_path / "run")
    (opposed,) = patients(1, first=900)
    rig.open_records([opposed])
    rig.oppose(opposed)
    data, copy = rig.data, tmp_path / "copy"
    begun = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    clock.set(begun + timedelta(hours=23, minutes=59))
    today, tomorrow = f"flow-{begun:%Y-%m-%d}.key", f"flow-{begun + timedelta(days=1):%Y-%m-%d}.key"
    held, marked = threading.Event(), report(1, opposed)
    points.hooks["queue.taken"] = lambda: held.wait(30)
    gateway = Running(data, clock)
    try:
        wire = Wire(gateway.port)
        assert read_answer(wire.ask(marked.payload))[0] == "AA"
        # Somebody copies the queue and, against every advice, the keys while it waits.
        copy.mkdir()
        for path in data.glob("queue.db*"):
            shutil.copy(path, copy / path.name)
        secret = (data / "keys" / today).read_bytes()
        # Midnight, and no lane has passed: the worker is held.
        clock.set(begun + timedelta(days=1) + MARGIN + timedelta(seconds=5))
        assert until((data / "keys" / tomorrow).exists)
        clock.set(begun + timedelta(days=1, hours=3))
        time.sleep(0.2)
        assert (data / "keys" / today).exists()
        with closing(sqlite3.connect(copy / "queue.db")) as queue:
            ((lane, receipt, sealed),) = queue.execute("SELECT lane, receipt, sealed FROM queued").fetchall()
        keys = Keys.open(data / "keys", clock)
        assert decode(open_sealed(sealed, keys=keys, lane=lane, receipt=receipt)).reception.receipt == receipt
        canaries = Canaries(marked.marks)
        assert not canaries.search_files(data, copy, tmp_path), "sealed while it waits"
        # It goes on: refused, the file passes the day, the key rests and ends.
        held.set()
        with SqliteReader(data / "store.db") as reader:
            assert until(lambda: reader.deposit(receipt) is not None)
            assert reader.deposit(receipt).deposit.state == "refused"
            day = (begun.date() - date(1970, 1, 1)).days
            assert until(lambda: [row.day for row in reader.lanes_passed()] == [day])
            (passed,) = reader.lanes_passed()
            assert passed.lane.startswith("embedded.")
            assert (data / "keys" / today).exists()
            clock.set(passed.passed_at + REST + timedelta(seconds=1))
            assert until(lambda: not (data / "keys" / today).exists())
        wire.close()
    finally:
        held.set()
        gateway.stop()
    assert {path.name for path in (data / "keys").glob("flow-*")} == {tomorrow}
    left = Keys.open(data / "keys", clock)
    with pytest.raises(KeyMissing):
        open_sealed(sealed, keys=left, lane=lane, receipt=receipt)
    for path in [each for each in tmp_path.rglob("*") if each.is_file()]:
        assert secret not in path.read_bytes(), path
    assert not canaries.search_files(data, copy, tmp_path)
    with closing(sqlite3.connect(data / "queue.db")) as queue:
        assert queue.execute("SELECT count(*) FROM queued").fetchone() == (0,)


def test_a_gateway_that_was_off_for_days_opens_what_waited_and_erases_behind(tmp_path: Path, clock: Shifted) -> None:
    rig = Rig(tmp_path / "run")
    (patient,) = patients(1, first=901)
    rig.open_records([patient])
    begun = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    clock.set(begun + timedelta(hours=12))
    data = rig.data

    def stay() -> None:
        raise Unavailable("QUEUE_UNAVAILABLE")  # to the end of this life

    points.hooks["queue.taken"] = stay
    gateway = Running(data, clock)
    wire = Wire(gateway.port)
    code, receipt = read_answer(wire.ask(report(2, patient).payload))
    assert code == "AA"
    wire.close()
    gateway.stop()
    points.hooks.clear()
    clock.set(begun + timedelta(days=5, hours=6))
    gateway = Running(data, clock)
    try:
        with SqliteReader(data / "store.db") as reader:
            assert until(lambda: reader.deposit(receipt) is not None)
            assert reader.deposit(receipt).deposit.state == "stored"
            day = (begun.date() - date(1970, 1, 1)).days + 4
            assert until(lambda: [row.day for row in reader.lanes_passed()] == [day])
            assert len(list((data / "keys").glob("flow-*"))) == 6
            clock.set(reader.lanes_passed()[0].passed_at + REST + timedelta(seconds=1))
            assert until(lambda: len(list((data / "keys").glob("flow-*"))) == 1)
    finally:
        gateway.stop()
    assert [path.name for path in (data / "keys").glob("flow-*")] == [f"flow-{begun + timedelta(days=5):%Y-%m-%d}.key"]
