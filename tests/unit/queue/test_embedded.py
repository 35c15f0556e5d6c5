"""What only the embedded queue promises: its file, its group commit, its full disk."""

import asyncio
import os
import sqlite3
import stat
import threading
import time
from datetime import UTC, datetime

import pytest

from gateway.model.ports import Unavailable
from gateway.queue.embedded import EmbeddedQueue, Settings, file
from gateway.queue.embedded.listing import waiting
from gateway.queue.errors import LayoutNewer
from gateway.queue.receipt import MacReceipts
from gateway.queue.seal import seal
from gateway.queue.wire import encode
from gateway.telemetry import points
from tests.strategies.submissions import deposit, outcome

PLENTY = (1000, 1 << 30, 0.0)
NOISE = os.urandom(200_000)


@pytest.fixture
def connections(monkeypatch) -> list[sqlite3.Connection]:
    """The connections that the queue opens."""
    opened = []
    connect = file.connect

    def remember(path):
        opened.append(connect(path))
        return opened[-1]

    monkeypatch.setattr(file, "connect", remember)
    return opened


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue.db"


@pytest.fixture
def queue(path, keys, connections):
    opened = EmbeddedQueue(path, keys)
    yield opened
    points.hooks.clear()
    opened.close()


def publish(queue, *made):
    async def walk():
        return await asyncio.gather(*(queue.publish(each) for each in made), return_exceptions=True)

    return asyncio.run(walk())


def settle(queue, batch) -> None:
    queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])


async def until(condition) -> None:
    """Wait for something that a thread does."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("waited in vain")


def settled_size(path) -> int:
    """Bytes of the write-ahead file once the queue had time to tidy."""
    wal = path.with_name("queue.db-wal")
    for _ in range(100):
        time.sleep(0.05)
        if not wal.stat().st_size:
            break
    return wal.stat().st_size


def test_its_file_is_its_owners_alone(queue, path) -> None:
    publish(queue, deposit(1))
    for each in path.parent.glob("queue.db*"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert {each.name for each in path.parent.glob("queue.db*")} == {"queue.db", "queue.db-wal", "queue.db-shm"}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 1), ("auto_vacuum", 2), ("user_version", 1)],
)
def test_what_durability_rests_on(queue, connections, pragma, value) -> None:
    assert connections[0].execute(f"PRAGMA {pragma}").fetchone() == (value,)
    assert connections[0].isolation_level is None


def test_a_setting_that_is_not_taken_stops_the_start(path, monkeypatch) -> None:
    monkeypatch.setattr(file, "_PRAGMAS", (("synchronous", "NORMAL", 2),))
    with pytest.raises(sqlite3.NotSupportedError, match="synchronous"):
        file.connect(path)


def test_a_newer_layout_is_left_alone(path, keys) -> None:
    EmbeddedQueue(path, keys).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(LayoutNewer, match="layout 2"):
        EmbeddedQueue(path, keys)
    assert path.read_bytes() == before


def test_those_who_wait_together_share_a_commit(queue, connections) -> None:
    commits = []
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        points.hooks.clear()
        held.set()
        go_on.wait(20)

    async def walk() -> None:
        first = asyncio.create_task(queue.publish(deposit(0)))
        await asyncio.to_thread(held.wait, 20)
        others = [asyncio.create_task(queue.publish(deposit(number))) for number in range(1, 201)]
        await until(lambda: len(queue._writer._waiting) == 200)
        go_on.set()
        await asyncio.gather(first, *others)

    points.hooks["queue.publish.begun"] = hold
    connections[0].set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    asyncio.run(walk())
    assert len(commits) == 2
    assert [int(each.receipt[-6:]) for each in queue.take(*PLENTY)] == list(range(201))


def test_a_group_is_bounded_by_its_bytes(queue, connections, monkeypatch) -> None:
    monkeypatch.setattr("gateway.queue.embedded.writer._GROUP_BYTES", 10_000)
    commits = []
    connections[0].set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    publish(queue, *(deposit(number) for number in range(40)))
    assert len(queue.take(*PLENTY)) == 40
    assert len(commits) >= 10


def test_an_empty_queue_leaves_nothing_lying_around(queue, path) -> None:
    publish(queue, *(deposit(number, contents=(NOISE,)) for number in range(5)))
    full = path.with_name("queue.db-wal").stat().st_size
    assert full > 1_000_000
    batch = queue.take(*PLENTY)
    settle(queue, batch)
    assert settled_size(path) == 0
    assert path.stat().st_size < 50_000
    assert not any(delivery.receipt.encode() in path.read_bytes() for delivery in batch)


def test_another_process_may_list_what_waits(path, keys) -> None:
    receipts = MacReceipts(keys.receipts)
    made = [deposit(number, receipt=receipts.issue("ris-valmont", datetime.now(UTC))) for number in range(3)]
    queue = EmbeddedQueue(path, keys)
    publish(queue, *made)
    for _ in range(2):
        listed = waiting(path)
        assert [line.receipt for line in listed] == [each.reception.receipt for each in reversed(made)]
        assert {(line.source, line.lane) for line in listed} == {("ris-valmont", "deposits.3")}
        assert listed[0].received_at == made[2].reception.received_at
        queue.close()


def test_a_reader_in_the_way_delays_the_tidying(queue, path) -> None:
    publish(queue, deposit(1, contents=(NOISE,)))
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM queued").fetchone()
    settle(queue, queue.take(*PLENTY))
    time.sleep(0.5)
    assert path.with_name("queue.db-wal").stat().st_size > 0
    began = time.monotonic()
    publish(queue, deposit(2))
    settle(queue, queue.take(*PLENTY))
    assert time.monotonic() - began < 3, "a reader holds up those who publish"
    reader.execute("COMMIT")
    reader.close()
    assert settled_size(path) == 0


def test_a_queue_that_is_not_empty_is_not_tidied(queue, path) -> None:
    publish(queue, deposit(1), deposit(2))
    settle(queue, queue.take(1, 1, 0.0))
    time.sleep(0.5)
    assert path.with_name("queue.db-wal").stat().st_size > 0


def left_of(sealed: bytes, path) -> int:
    """Count the samples of sealed bytes that lie in any file of the queue."""
    files = [each.read_bytes() for each in path.parent.glob("queue.db*")]
    return sum(any(sealed[at : at + 32] in each for each in files) for at in range(0, len(sealed) - 32, 1000))


def sealed_of(path, receipt: str) -> bytes:
    """The sealed bytes of a queued deposit, read as another process would."""
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return reader.execute("SELECT sealed FROM queued WHERE receipt = ?", (receipt,)).fetchone()[0]
    finally:
        reader.close()


@pytest.fixture
def never_empty(path, keys):
    """A queue with a row that nobody can open, tidied often."""
    before = EmbeddedQueue(path, keys)
    publish(before, deposit(1))
    before.close()
    other = sqlite3.connect(path)
    other.execute("UPDATE queued SET sealed = zeroblob(length(sealed))")
    other.commit()
    other.close()
    queue = EmbeddedQueue(path, keys, Settings(tidy_seconds=0.5))
    assert queue.take(*PLENTY) == []
    assert "cannot open" in queue.problem()
    yield queue
    queue.close()


def test_what_was_settled_leaves_the_files_although_a_row_stays(never_empty, path) -> None:
    publish(never_empty, deposit(2, contents=(NOISE,)))
    sealed = sealed_of(path, deposit(2).reception.receipt)
    assert len(sealed) > 200_000
    assert left_of(sealed, path) > 150
    settle(never_empty, never_empty.take(*PLENTY))
    deadline = time.monotonic() + 20
    while left_of(sealed, path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_of(sealed, path) == 0
    assert sum(depth.waiting for depth in never_empty.depth()) == 1


def test_what_was_settled_leaves_the_files_under_constant_traffic(never_empty, path) -> None:
    """Neither silent nor empty: the time that passed is enough."""
    publish(never_empty, deposit(2, contents=(NOISE,)))
    sealed = sealed_of(path, deposit(2).reception.receipt)
    settle(never_empty, never_empty.take(*PLENTY))
    number, slowest, deadline = 3, 0.0, time.monotonic() + 20
    while left_of(sealed, path) and time.monotonic() < deadline:
        began = time.monotonic()
        publish(never_empty, deposit(number))
        slowest = max(slowest, time.monotonic() - began)
        if number > 3:
            settle(never_empty, never_empty.take(1, 1, 1.0))
        number += 1
    assert left_of(sealed, path) == 0
    assert slowest < 2, "tidying holds up those who publish"


def test_nothing_settled_is_left_by_a_queue_that_was_closed(path, keys) -> None:
    queue = EmbeddedQueue(path, keys)
    publish(queue, deposit(1, contents=(NOISE,)), deposit(2))
    sealed = sealed_of(path, deposit(1).reception.receipt)
    settle(queue, queue.take(1, 1, 0.0))
    queue.close()
    assert left_of(sealed, path) == 0


def full_disk(connections) -> None:
    """Let SQLite find no more room than there is."""
    (pages,) = connections[0].execute("PRAGMA page_count").fetchone()
    connections[0].execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_refuses_and_lets_go(queue, connections) -> None:
    publish(queue, deposit(1, contents=(NOISE,)), deposit(2))
    full_disk(connections)
    (refused,) = publish(queue, deposit(3, contents=(NOISE,)))
    assert isinstance(refused, Unavailable) and refused.code == "QUEUE_UNAVAILABLE"
    assert queue.problem() == "cannot write: SQLITE_FULL"
    settle(queue, queue.take(1, 1, 0.0))
    assert queue.problem() is None
    (waiting,) = publish(queue, deposit(4, contents=(NOISE,)))
    assert not isinstance(waiting, BaseException), "what was let go made room"
    assert [int(each.receipt[-6:]) for each in queue.take(*PLENTY)] == [2, 4]
    assert sum(depth.waiting for depth in queue.depth()) == 2


def test_on_a_full_disk_what_leaves_does_not_wait_for_what_comes(queue, connections) -> None:
    publish(queue, deposit(1), deposit(2))
    batch = queue.take(1, 1, 0.0)
    full_disk(connections)
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        points.hooks.clear()
        held.set()
        go_on.wait(20)

    async def walk():
        points.hooks["queue.publish.begun"] = hold
        first = asyncio.create_task(queue.publish(deposit(3, contents=(NOISE,))))
        await asyncio.to_thread(held.wait, 20)
        second = asyncio.create_task(queue.publish(deposit(4, contents=(NOISE,))))
        removal = asyncio.create_task(asyncio.to_thread(settle, queue, batch))
        await until(lambda: len(queue._writer._waiting) == 2)
        go_on.set()
        return await asyncio.gather(first, second, removal, return_exceptions=True)

    first, second, removal = asyncio.run(walk())
    assert isinstance(first, Unavailable) and isinstance(second, Unavailable)
    assert removal is None
    assert [int(each.receipt[-6:]) for each in queue.take(*PLENTY)] == [2]


def test_what_failed_is_not_counted(path, keys, connections) -> None:
    queue = EmbeddedQueue(path, keys, Settings(limit_messages=2))
    try:
        for _ in range(3):
            full_disk(connections)
            assert isinstance(publish(queue, deposit(1, contents=(NOISE,)))[0], Unavailable)
        connections[0].execute("PRAGMA max_page_count = 1000000")
        assert not any(isinstance(each, BaseException) for each in publish(queue, deposit(2), deposit(3)))
        assert isinstance(publish(queue, deposit(4))[0], Unavailable)
    finally:
        queue.close()


def test_what_was_withdrawn_never_lands(path, keys) -> None:
    queue = EmbeddedQueue(path, keys, Settings(confirm_timeout_seconds=0.2, limit_messages=3))
    go_on = threading.Event()
    points.hooks["queue.publish.begun"] = lambda: (go_on.wait(20), None)[1]

    async def walk():
        first = asyncio.create_task(queue.publish(deposit(1)))
        await until(lambda: queue._messages and not queue._writer._waiting)
        return await asyncio.gather(first, queue.publish(deposit(2)), queue.publish(deposit(3)), return_exceptions=True)

    try:
        assert [type(each) for each in asyncio.run(walk())] == [Unavailable] * 3
        go_on.set()
        points.hooks.clear()
        assert not any(isinstance(each, BaseException) for each in publish(queue, deposit(4), deposit(5))), "room was given back"
        assert [int(each.receipt[-6:]) for each in queue.take(*PLENTY)] == [1, 4, 5]
    finally:
        go_on.set()
        points.hooks.clear()
        queue.close()


def test_without_a_key_nothing_is_published(queue, clock, folder) -> None:
    clock.pass_days(1)
    folder.rename(folder.with_name("gone"))
    (refused,) = publish(queue, deposit(1))
    assert isinstance(refused, Unavailable)
    assert queue.problem() == "cannot seal: keys unusable"
    folder.with_name("gone").rename(folder)
    (waiting,) = publish(queue, deposit(2))
    assert not isinstance(waiting, BaseException)
    assert queue.problem() is None


def test_midnight_passes_over_what_waits(queue, clock) -> None:
    publish(queue, deposit(1))
    clock.pass_days(1)
    publish(queue, deposit(2))
    assert [int(each.receipt[-6:]) for each in queue.take(*PLENTY)] == [1, 2]


def test_a_deposit_that_says_another_receipt_inside_is_refused(path, keys) -> None:
    queue = EmbeddedQueue(path, keys)
    publish(queue, deposit(1), deposit(2))
    queue.close()
    other = sqlite3.connect(path, isolation_level=None)
    (lane, receipt) = other.execute("SELECT lane, receipt FROM queued ORDER BY id").fetchone()
    forged = seal(encode(deposit(2)), keys=keys, lane=lane, receipt=receipt)
    other.execute("UPDATE queued SET sealed = ? WHERE receipt = ?", (forged, receipt))
    other.close()
    queue = EmbeddedQueue(path, keys)
    try:
        assert [each.receipt for each in queue.take(*PLENTY)] == [deposit(2).reception.receipt]
        assert queue.problem() == f"cannot open: {receipt} (Damaged)"
    finally:
        queue.close()


def test_a_file_that_cannot_be_read_gives_the_batch_later(queue, monkeypatch) -> None:
    publish(queue, deposit(1), deposit(2))

    def fail(_connection, _identifiers):
        raise sqlite3.OperationalError("disk I/O error CANARI")

    with monkeypatch.context() as patched:
        patched.setattr(file, "sealed", fail)
        with pytest.raises(Unavailable):
            queue.take(*PLENTY)
    assert "CANARI" not in queue.problem()
    assert len(queue.take(*PLENTY)) == 2


def test_each_point_of_the_path_is_reached_in_order(queue) -> None:
    seen = []
    names = [name for name in points.POINTS if name.startswith("queue.")]
    for name in names:
        points.hooks[name] = lambda name=name: seen.append(name)
    publish(queue, deposit(1))
    settle(queue, queue.take(*PLENTY))
    assert seen == names
