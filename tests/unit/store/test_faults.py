"""The disk is full, the file is locked, the data is wrong: what waits, what is parked, what is never half done (D-9, D-13)."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.model.event import Position
from gateway.model.outcome import Rejection
from gateway.model.ports import FileUnusable, Unavailable
from gateway.model.problem import Problem
from gateway.model.verdict import Verdict
from gateway.store.port import Transient
from gateway.store.sqlite import store as sqlite_store
from gateway.store.sqlite.connection import NewerSchema, migrations, open_reader, open_writer
from gateway.store.sqlite.health import probe
from gateway.store.sqlite.reader import is_readable
from gateway.telemetry import points
from tests.contract.store.backends import Sqlite
from tests.strategies.records import START, adt, reception, stated

IO = Position.OPPOSES


def noise(size: int) -> bytes:
    """Bytes that do not shrink."""
    state, out = 1, bytearray()
    while len(out) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out += state.to_bytes(8, "big")
    return bytes(out[:size])


def limit_pages(bench: Sqlite, pages: int | None) -> None:
    """Let the file grow to so many pages more, or as it likes."""
    connection = bench.store._connection  # type: ignore[attr-defined]
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={2**31 if pages is None else count + pages}")


def test_a_full_file_keeps_the_batch_and_works_again(bench: Sqlite) -> None:
    limit_pages(bench, 2)
    before = bench.tables()
    batch = [bench.deposit(documents=((f"1.2.{n}", noise(20_000)),)) for n in range(4)]
    for _ in range(2):
        with pytest.raises(Transient, match="SQLITE_FULL"):
            bench.store.apply(batch)
        assert bench.tables() == before
    limit_pages(bench, None)
    assert {outcome.verdict for outcome in bench.store.apply(batch)} == {Verdict.STORED}


def test_an_event_on_a_full_file_is_not_promised(bench: Sqlite) -> None:
    limit_pages(bench, 0)

    def state_until_full() -> None:
        for _ in range(200):
            bench.event(adt(stated(IO)))

    with pytest.raises(Unavailable, match="STORE_UNAVAILABLE"):
        state_until_full()
    limit_pages(bench, None)
    assert bench.event(adt(stated(IO))).verdict is Verdict.APPLIED


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs: run as root (max_page_count tests SQLITE_FULL all the same)")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.faults
def test_a_full_disk_keeps_the_batch_and_works_again(small_disk: Path) -> None:
    bench = Sqlite(small_disk)
    bench.open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_200_000))
    before = bench.tables()
    batch = [bench.deposit(documents=((f"1.2.{n}", noise(200_000)),)) for n in range(4)]
    for _ in range(2):
        with pytest.raises(Transient):
            bench.store.apply(batch)
        assert bench.tables() == before
    ballast.unlink()
    for made in batch[:2]:
        assert bench.store.apply([made])[0].verdict is Verdict.STORED
    bench.store.close()
    assert "whole" in probe(bench.path)


def test_a_file_locked_by_another_is_waited_for(bench: Sqlite) -> None:
    bench.store._connection.execute("PRAGMA busy_timeout=20")  # type: ignore[attr-defined]
    made = bench.deposit()
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Transient, match="SQLITE_BUSY"):
            bench.store.apply([made])
        with pytest.raises(Unavailable):
            bench.event(adt(stated(IO)))
        with pytest.raises(Transient):
            bench.park(made)
        other.execute("ROLLBACK")
    assert bench.rows("statement") == bench.rows("parked") == []
    assert bench.store.apply([made])[0].verdict is Verdict.STORED


@pytest.mark.parametrize("point", ["store.begun", "store.resolved", "store.decided", "store.written"])
def test_a_failure_anywhere_leaves_nothing(bench: Sqlite, point: str) -> None:
    before = bench.tables()
    batch = [bench.deposit(documents=((f"1.2.{n}", b"x"),)) for n in range(3)]

    def fail() -> None:
        raise ZeroDivisionError

    points.hooks[point] = fail
    with pytest.raises(ZeroDivisionError):
        bench.store.apply(batch)
    points.hooks.clear()
    assert bench.tables() == before
    assert {outcome.verdict for outcome in bench.store.apply(batch)} == {Verdict.STORED}


@pytest.mark.parametrize(
    ("code", "transient"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_IOERR | 3 << 8, True),
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_NOTADB, True),
        (sqlite3.SQLITE_CONSTRAINT, False),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, False),
        (sqlite3.SQLITE_TOOBIG, False),
        (None, False),
    ],
)
def test_only_what_speaks_of_the_data_may_park_a_deposit(code: int | None, transient: bool) -> None:
    failure = sqlite3.DatabaseError()
    if code is not None:
        failure.sqlite_errorcode = code
    assert sqlite_store.is_transient(failure) is transient


def note(bench: Sqlite, number: int) -> None:
    rejection = Rejection(verdict=Verdict.REJECTED, patient="x", document_ids=("1.2",), problems=(Problem(code="INS_KEY"),))
    bench.store.note(reception(f"n{number:05}", START), rejection)


def test_notes_are_written_down_once(bench: Sqlite) -> None:
    for number in (1, 2, 2):
        note(bench, number)
    bench.restart()
    assert [row["id"] for row in bench.rows("receipt", verdict="rejected")] == ["n00001", "n00002"]
    assert bench.rows("trace", receipt="n00001") == []


def test_notes_wait_while_the_database_is_away_and_are_dropped_beyond_their_limit(
    bench: Sqlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "NOTES_LIMIT", 5)
    bench.store._connection.execute("PRAGMA busy_timeout=1")  # type: ignore[attr-defined]
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            note(bench, number)
            with pytest.raises(Transient):
                bench.apply()
        assert bench.rows("receipt", verdict="rejected") == []
        other.execute("ROLLBACK")
    for number in range(3, 6):
        note(bench, number)
    bench.store.close()
    assert len(bench.rows("receipt", verdict="rejected")) + bench.store.notes_dropped == 6  # type: ignore[attr-defined]
    assert {"n00000", "n00001", "n00002"} <= {row["id"] for row in bench.rows("receipt", verdict="rejected")}


def test_notes_beyond_the_limit_are_counted(bench: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "NOTES_LIMIT", 0)
    note(bench, 1)
    assert bench.store.notes_dropped == 1  # type: ignore[attr-defined]


# -- the file


def test_the_schema_is_numbered_and_read_from_the_package(bench: Sqlite) -> None:
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
    with closing(open_reader(bench.path)) as reader:
        assert reader.execute("PRAGMA user_version").fetchone() == (numbers[-1],)


def test_a_newer_schema_refuses_to_start(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_writer(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA user_version={migrations()[-1][0] + 1}")
    with pytest.raises(NewerSchema):
        open_writer(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (migrations()[-1][0] + 1,)


def test_a_commit_is_durable_and_the_file_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(open_writer(path)) as writer:
        settings = {
            name: writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "mmap_size")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "mmap_size": 0}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_reader_cannot_write(bench: Sqlite) -> None:
    with closing(open_reader(bench.path)) as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("DELETE FROM trace")


def test_what_is_no_store_is_not_readable(tmp_path: Path, bench: Sqlite) -> None:
    other = tmp_path / "other.db"
    assert not is_readable(other)
    other.write_bytes(noise(5000))
    assert not is_readable(other)
    assert is_readable(bench.path)
    with pytest.raises(FileUnusable, match="SQLITE_NOTADB"):
        probe(other)
