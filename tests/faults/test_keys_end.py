"""Gateways over midnight: what waited was sealed, and once its key has ended nothing anywhere opens it (D-7, L5)."""

import asyncio
import contextlib
import gzip
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pika
import psycopg
import pytest
from pika.exceptions import AMQPError

from gateway.config.load import load
from gateway.model.ports import Unavailable
from gateway.queue import lanes
from gateway.queue.errors import KeyMissing
from gateway.queue.keys import Keys
from gateway.queue.markers import MARGIN, REST
from gateway.queue.rabbitmq.topology import DEAD
from gateway.queue.seal import open_sealed
from gateway.queue.wire import decode
from gateway.store.sqlite.reader import SqliteReader
from gateway.telemetry import lines, points
from gateway.wiring import midnight
from gateway.wiring.data import DataDirectory
from gateway.wiring.gateway import Gateway
from tests.contract.queue.test_midnight_walk import broker_copy
from tests.harness import left, postgres, rabbitmq
from tests.harness.breach import Breach
from tests.harness.broker_rig import BrokerRig
from tests.harness.canaries import Canaries, Found, files
from tests.harness.load import Wire, read_answer
from tests.harness.marked import Marked, damaged, report
from tests.harness.rig import Rig
from tests.harness.threaded import Processes
from tests.harness.traffic import RIS_V, patients

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
        self._gateway = Gateway(load(None, {}, {"mllp.port": 0, "http.port": 0}), DataDirectory(data), clock, lambda _: None)
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


# -- over a broker and a database


class Whole:
    """One gateway with its broker and its database, and all that they leave."""

    def __init__(self, folder: Path, clock: Shifted, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.node, self.server = clock, rabbitmq.Node(), postgres.shared()
        self.url = self.server.lend()
        monkeypatch.setenv("DATABASE_URL", self.url)
        monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
        monkeypatch.setattr(tempfile, "tempdir", None)
        (folder / "tmp").mkdir()
        self.folder = folder
        self.rig = BrokerRig(folder / "run", self.node, self.url)
        self.data = self.rig.data
        self.log = (folder / "gateway.log").open("w", encoding="utf-8")
        lines.direct("debug", "json", self.log, None)
        self.database = left.Database(self.server, self.url)

    def start(self) -> None:
        self.gateway = Processes(self.data, self.node.url, self.clock)

    def rows(self, query: str) -> list[tuple]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def search(self, canaries: Canaries) -> list[Found]:
        """Everywhere: broker, database, data directory without its keys, temporary files, log."""
        self.log.flush()
        return [*self.database.search(canaries), *canaries.search_files(left.home(self.node), self.folder)]

    def close(self) -> None:
        lines.direct("info", "json", None, None)
        self.log.close()
        self.rig.close()
        self.database.quiet()
        self.server.give_back(self.url)
        self.node.close()


def nowhere(whole: Whole, canaries: Canaries, when: str) -> None:
    none_of(whole.search(canaries), when)


def at_broker(whole: Whole, canaries: Canaries, when: str) -> None:
    none_of(canaries.search_files(left.home(whole.node)), when)


def none_of(found: list[Found], when: str) -> None:
    if found:
        raise Breach("\n".join([when, *map(str, found[:20])]))


@pytest.fixture
def whole(tmp_path: Path, clock: Shifted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    made = Whole(tmp_path, clock, monkeypatch)
    yield made
    made.close()


@pytest.mark.timeout(300)
def test_broker_and_database_keep_nothing_of_what_was_refused(whole: Whole, clock: Shifted) -> None:
    """
    While it waits, once it is refused, once its key has ended, after crashes of the broker.

    Where something may stand: the day's key, two hours beyond the last lane that passed the day; sealed bytes in the broker's
    files until they are recycled, which nobody opens then; identifiers and ids of the refusal in the record.
    """
    opposed, absent, closed, kept = patients(4, first=910)
    whole.rig.open_records([opposed, closed, kept])
    whole.rig.oppose(opposed)
    whole.rig.close_record(closed)
    begun = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    clock.set(begun + timedelta(hours=23, minutes=59))
    refused = {
        "OPPOSED": [
            report(600, opposed),
            report(601, opposed, charset="8859/15"),
            report(602, opposed, source=RIS_V),
            report(603, opposed, filler=64 * 1024),
        ],
        "RECORD_ABSENT": [report(604, absent)],
        "RECORD_CLOSED": [report(605, closed)],
    }
    gone, stays = Canaries(["CNRY60", "73600.519", "73603.519"], loose=True), Canaries(["CNRY71"], loose=True)
    sealed = Canaries(["CNRY60", "CNRY71", "73600.519", "73711.519"], loose=True)
    captured: list[tuple[str, str, bytes]] = []
    copies, held = broker_copy(whole.node, captured), threading.Event()
    points.hooks["queue.taken"] = lambda: held.wait(60)
    whole.start()
    try:
        wire = Wire(whole.gateway.port)

        def send(marked: Marked) -> str:
            code, receipt = read_answer(wire.ask(marked.payload))
            assert code == "AA"
            return receipt

        expected = {send(each): code for code, messages in refused.items() for each in messages}
        accepted = [send(report(711, kept)), send(report(712, kept, filler=64 * 1024))]
        assert read_answer(wire.ask(damaged(606, "bad/02-ins-key.er7").payload))[0] == "AE"
        nowhere(whole, sealed, "while it waits")
        held.set()
        assert until(lambda: {(receipt,) for receipt in (*expected, *accepted)} <= set(whole.rows("SELECT id FROM receipt")), 60)
        assert dict(whole.rows("SELECT receipt, code FROM refusal")) == expected
        assert {row[0] for row in whole.rows("SELECT DISTINCT receipt FROM document")} == set(accepted)
        nowhere(whole, gone, "once it is refused")
        secret = (whole.data / "keys" / f"flow-{begun:%Y-%m-%d}.key").read_bytes()
        wire.close()
        day = (begun.date() - date(1970, 1, 1)).days
        clock.set(begun + timedelta(days=1) + MARGIN + timedelta(seconds=5))
        passed = "SELECT count(*), min(day), max(passed_at) FROM lane_day"
        assert until(lambda: whole.rows(passed)[0][:2] == (len(lanes.MARKED), day), 60)
        assert (whole.data / "keys" / f"flow-{begun:%Y-%m-%d}.key").exists()
        clock.set(datetime.fromisoformat(whole.rows(passed)[0][2]) + REST + timedelta(seconds=1))
        assert until(lambda: not (whole.data / "keys" / f"flow-{begun:%Y-%m-%d}.key").exists(), 60)
    finally:
        held.set()
        copies.close()
        whole.gateway.stop()
    nowhere(whole, gone, "once its key has ended")
    keys = Keys.open(whole.data / "keys", clock)
    of_the_day = [each for each in captured if each[1] in expected]
    assert len(of_the_day) == len(expected)
    for lane, receipt, body in of_the_day:
        with pytest.raises(KeyMissing):
            open_sealed(body, keys=keys, lane=lane, receipt=receipt)
    everything = [
        *(path.read_bytes() for path in files(left.home(whole.node), whole.folder)),
        *(d for _, d in whole.database.pieces()),
    ]
    if any(secret in data for data in everything):
        raise Breach("the key of the day is in a file")
    assert any(of_the_day[0][2] in data for data in everything), (
        "the sealed bytes are in the broker's files: looked at the right ones"
    )
    # The broker falls, leaves a dump of its memory, and comes back.
    dump = left.crash(whole.node)
    at_broker(whole, gone, "after a crash of the broker")
    assert dump.stat().st_size > 100_000
    whole.node.start()
    at_broker(whole, gone, "after the broker came back")
    _is_found(whole, stays)


def _is_found(whole: Whole, stays: Canaries) -> None:
    """The search finds what must be there, and what is planted in each kind of file."""
    where, log = [each.file for each in whole.database.search(stays)], str(whole.server.folder.parent / "log")
    assert any("/base/" in name for name in where), "titles stand in the record"
    assert any("/pg_wal/" in name for name in where), "and in its write-ahead log"
    planted = Canaries(["CNRY82"], loose=True)
    connection = pika.BlockingConnection(pika.URLParameters(whole.node.url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("", DEAD, b"\x00CNRY820" * 300, pika.BasicProperties(delivery_mode=2))
    assert planted.search_files(left.home(whole.node)), "the log of a quorum queue"
    # In the memory of those that serve it: its name, and what waits in it.
    channel.queue_declare("CNRY825", exclusive=True)
    for _ in range(20):
        channel.basic_publish("", "CNRY825", b"\x00CNRY826" * 300)
    assert planted.search_files(left.crash(whole.node)), "a dump of the broker's memory"
    with contextlib.suppress(AMQPError):
        connection.close()
    with psycopg.connect(whole.url, autocommit=True) as one, psycopg.connect(whole.url) as other:
        assert not whole.database.search(planted, log)
        with pytest.raises(psycopg.Error):
            one.execute("SELECT 'CNRY821'::int")
        assert whole.database.search(planted, log), "the server's log"
        other.execute("SET work_mem = '64kB'")
        other.execute(
            "DECLARE sorted CURSOR FOR SELECT 'CNRY822' || repeat('x', 50) FROM generate_series(1, 20000) g ORDER BY md5(g::text)"
        )
        other.execute("FETCH 1 FROM sorted")
        assert whole.database.search(planted, "pgsql_tmp"), "a temporary file"
        one.execute("CREATE TABLE planted AS SELECT repeat('abc', 2000) || 'CNRY823' || repeat('def', 2000) AS text")
        one.execute("CHECKPOINT")
        (heap,) = one.execute("SELECT pg_relation_filepath('planted'::regclass)").fetchone()
        assert planted.search_files(whole.server.folder / heap), "packed text"
        one.execute("DROP TABLE planted")
    for kind in (whole.data / "answers" / "planted", whole.folder / "tmp" / "planted"):
        kind.write_bytes(gzip.compress(b"-" * 5000 + b"CNRY824"))
        assert planted.search_files(whole.folder), kind
        kind.unlink()
