"""A backup is one state of the store, whoever writes meanwhile; one that fails leaves nothing."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.ports import FileUnusable
from gateway.store.sqlite import backup
from gateway.store.sqlite.reader import SqliteReader
from tests.contract.store.backends import Sqlite


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Sqlite]:
    (tmp_path / "store").mkdir()
    made = Sqlite(tmp_path / "store")
    made.open()
    yield made
    made.close()


def receipts(path: Path) -> list[str]:
    with SqliteReader(path) as reader:
        return sorted(line.id for line in reader.deposits({}, limit=1000))


def test_what_is_written_while_it_is_copied_is_not_in_it(bench: Sqlite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_STEP", 1)
    before = receipts(bench.path)
    told: list[tuple[int, int]] = []

    def write(copied: int, total: int) -> None:
        told.append((copied, total))
        if len(told) <= 20:
            bench.send(documents=((f"1.2.{len(told)}", b"x" * 5000),))

    made = backup.back_up(bench.path, tmp_path / "copy.db", write)
    assert receipts(tmp_path / "copy.db") == before
    assert len(receipts(bench.path)) == len(before) + 20
    assert [copied for copied, _ in told] == list(range(1, told[-1][1] + 1))
    assert (made.schema, made.size) == (3, (tmp_path / "copy.db").stat().st_size)


def test_a_backup_never_takes_the_place_of_a_file_that_came_meanwhile(bench: Sqlite, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with pytest.raises(FileExistsError):
        backup.back_up(bench.path, target, lambda *_: target.write_text("another's"))
    assert target.read_text() == "another's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "store"]


def test_without_hard_links_it_gets_its_name_all_the_same(bench: Sqlite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    backup.back_up(bench.path, tmp_path / "copy.db", lambda *_: None)
    assert receipts(tmp_path / "copy.db") == receipts(bench.path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "store"]


def test_a_disk_that_fails_leaves_nothing(bench: Sqlite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no"):
        backup.back_up(bench.path, tmp_path / "copy.db", lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_is_no_store_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "none.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(FileUnusable):
        backup.back_up(tmp_path / "none.db", tmp_path / "copy.db", lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["none.db"]
