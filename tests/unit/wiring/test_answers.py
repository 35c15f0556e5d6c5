"""The journal of answers: what is written of each, when it is on disk, and what happens where it cannot be written."""

import asyncio
import errno
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.model.event import Position
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.telemetry import metrics
from gateway.wiring.answers import Answers, Journal, noting
from gateway.wiring.ports import QueuedDeposits
from tests.strategies.records import ALICE, START, Ticking, adt, deposit, opening, reception, stated

TODAY = "2026-03-10.jsonl"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "answers"


@pytest.fixture
def answers(folder: Path) -> Any:
    made = Answers(folder, Ticking())
    yield made
    made.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were made durable, in order."""
    seen: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


class Full:
    """A disk that takes so many bytes more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "full")
        taken = data[: self.room]
        self.room -= len(taken)
        return self._write(descriptor, taken)


def lines(folder: Path) -> list[dict[str, Any]]:
    texts = [text for path in sorted(folder.glob("*.jsonl")) for text in path.read_bytes().splitlines()]
    return [msgspec.json.decode(text) for text in texts if text]


def unnoted(kind: str) -> float:
    return metrics.snapshot().get(f'dmpgw_answers_unnoted_total{{reason="{kind}"}}', 0.0)


def test_a_line_has_ids_codes_and_times_only(answers: Answers, folder: Path) -> None:
    answers.deposit(reception("r1", START, message_id="015", digest="d1"))
    answers.event(reception("r2", START, digest="d2"), adt(stated(Position.ALLOWS), stated(Position.OPPOSES)))
    answers.event(reception("r3", START, digest="d3"), adt(stated(Position.ALLOWS)))
    answers.event(reception("r4", START, digest="d4"), opening())
    said = {"received_at": "2026-03-10T08:00:00.000000+00:00", "source": "ris-h1", "establishment": "h1", "application": "RIS"}
    assert lines(folder) == [
        {"at": "2026-03-10T08:00:00.001+00:00", "receipt": "r1", **said, "message_id": "015", "digest": "d1", "kind": "deposit"},
        {"at": "2026-03-10T08:00:00.002+00:00", "receipt": "r2", **said, "message_id": "r2", "digest": "d2", "kind": "event",
         "stated": "opposition"},
        {"at": "2026-03-10T08:00:00.003+00:00", "receipt": "r3", **said, "message_id": "r3", "digest": "d3", "kind": "event",
         "stated": "lifting"},
        {"at": "2026-03-10T08:00:00.004+00:00", "receipt": "r4", **said, "message_id": "r4", "digest": "d4", "kind": "event"},
    ]  # fmt: skip
    assert ALICE.value not in (folder / TODAY).read_text()
    assert (folder.stat().st_mode & 0o777, (folder / TODAY).stat().st_mode & 0o777) == (0o700, 0o600)


def test_what_states_something_is_on_disk_when_it_is_noted_and_nothing_else_waits(answers: Answers, synced: list[str]) -> None:
    answers.deposit(reception("r1", START))
    assert synced == ["answers"]
    answers.event(reception("r2", START), opening())
    assert synced == ["answers"]
    answers.event(reception("r3", START), adt(stated(Position.OPPOSES)))
    assert synced == ["answers", TODAY]


def test_an_opposition_that_cannot_be_noted_is_not_acknowledged(
    answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Committed:
        verdict = Verdict.APPLIED

        def submit(self, *_: object) -> Outcome:
            return Outcome(verdict=self.verdict)

    store = Committed()
    noted = noting(store, answers)  # type: ignore[arg-type]
    disk = Full(monkeypatch, 0)
    before = unnoted("event")
    with pytest.raises(Unavailable) as caught:
        noted.submit(reception("r1", START), adt(stated(Position.OPPOSES)), START)
    assert caught.value.code == "STORE_UNAVAILABLE"
    assert noted.submit(reception("r2", START), adt(), START).verdict is Verdict.APPLIED
    assert unnoted("event") == before + 2
    disk.room = 10_000
    store.verdict = Verdict.REFUSED
    noted.submit(reception("r3", START), adt(stated(Position.OPPOSES)), START)
    store.verdict = Verdict.DUPLICATE
    noted.submit(reception("r4", START), adt(stated(Position.OPPOSES)), START)
    assert [line["receipt"] for line in lines(folder)] == ["r4"]


def test_a_deposit_is_noted_after_its_confirm_and_acknowledged_even_where_it_cannot_be(
    answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Confirmed:
        async def publish(self, _: object) -> str:
            seen.append(len(lines(folder)))
            return "outcome"

    made = deposit("r1", START)
    door = QueuedDeposits(Confirmed(), None, answers)  # type: ignore[arg-type]

    def publish() -> Any:
        return asyncio.run(door.publish(made.reception, made.submission, made.parts))  # type: ignore[arg-type]

    assert publish() == "outcome" and seen == [0] and len(lines(folder)) == 1
    Full(monkeypatch, 0)
    before = unnoted("deposit")
    assert publish() == "outcome" and len(lines(folder)) == 1
    assert unnoted("deposit") == before + 1


@pytest.mark.parametrize("room", [2, 50])
def test_half_a_line_spoils_none_of_the_others(
    answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    answers.deposit(reception("r1", START))
    disk = Full(monkeypatch, room)
    answers.deposit(reception("r2", START))
    disk.room = 10_000
    answers.deposit(reception("r3", START))
    journal = Journal(folder)
    assert [line.receipt for line in journal.lines(LONG_AGO)] == ["r1", "r3"]
    assert journal.unreadable == 1


def test_half_a_line_of_a_dead_process_is_passed_over(answers: Answers, folder: Path) -> None:
    folder.mkdir()
    (folder / TODAY).write_bytes(b'{"at":"2026-')
    answers.deposit(reception("r1", START))
    journal = Journal(folder)
    assert [line.receipt for line in journal.lines(LONG_AGO)] == ["r1"] and journal.unreadable == 1


def test_a_day_has_its_file_and_is_forgotten_in_time(folder: Path) -> None:
    clock = Ticking()
    answers = Answers(folder, clock)
    answers.keep(timedelta(days=2))
    for number in range(4):
        answers.deposit(reception(f"r{number}", START))
        clock.pass_by(days=1)
    answers.close()
    (folder / "notes.txt").write_text("somebody's")
    (folder / "2020-01-01.jsonl").touch()
    assert [str(day) for day in Journal(folder).days] == ["2020-01-01", "2026-03-11", "2026-03-12", "2026-03-13"]
    assert [line.receipt for line in Journal(folder).lines(START + timedelta(days=2))] == ["r2", "r3"]
    Answers(folder, clock).keep(timedelta(days=1))
    assert sorted(path.name for path in folder.iterdir()) == ["2026-03-13.jsonl", "notes.txt"]


def test_half_a_line_of_one_process_spoils_none_of_another(
    answers: Answers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two doors of one machine, a disk that is full for an instant: the second one's opposition was acknowledged."""
    other = Answers(folder, Ticking())
    other.deposit(reception("r1", START))
    answers.deposit(reception("r2", START))
    disk = Full(monkeypatch, 60)
    answers.deposit(reception("r3", START))
    disk.room = 10_000
    other.event(reception("r4", START), adt(stated(Position.OPPOSES)))
    other.close()
    journal = Journal(folder)
    assert [line.receipt for line in journal.lines(LONG_AGO)] == ["r1", "r2", "r4"] and journal.unreadable == 1


def test_a_clock_that_jumps_ahead_takes_no_day_away(folder: Path) -> None:
    clock = Ticking()
    answers = Answers(folder, clock)
    answers.keep(timedelta(days=3))
    for number in range(3):
        answers.deposit(reception(f"r{number}", START))
        clock.pass_by(days=1)
    clock.pass_by(days=365)
    answers.deposit(reception("far", START))
    clock.pass_by(days=-365)
    answers.deposit(reception("back", START))
    answers.close()
    days = ["2026-03-11", "2026-03-12", "2026-03-13", "2027-03-13"]
    assert [str(day) for day in Journal(folder).days] == days
    assert [line.receipt for line in Journal(folder).lines(LONG_AGO)] == ["r1", "r2", "back", "far"]


def test_what_a_failed_sync_may_have_lost_is_never_said_to_be_on_disk(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next fsync of the same file succeeds, and says nothing about what the failed one dropped."""
    answers.event(reception("r1", START), adt(stated(Position.OPPOSES)))
    real = os.fsync

    def fsync(_: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(os, "fsync", fsync)
    before = answers._append(answers._line(reception("r2", START), "event", "opposition"))
    with pytest.raises(OSError, match="bad sector"):
        answers.event(reception("r3", START), adt(stated(Position.OPPOSES)))
    with pytest.raises(OSError, match="Input/output"):
        answers._sync(before)
    answers.event(reception("r4", START), adt(stated(Position.OPPOSES)))


def test_a_line_costs_a_door_next_to_nothing(answers: Answers) -> None:
    """Tens of microseconds, beside a commit with fsync of milliseconds; the bound leaves room for a busy machine."""
    taken = reception("r1", START)
    answers.deposit(taken)
    best = min(_seconds(answers, taken) for _ in range(5))
    assert best / 200 < 0.0005


def _seconds(answers: Answers, taken: Any) -> float:
    begun = time.perf_counter()
    for _ in range(200):
        answers.deposit(taken)
    return time.perf_counter() - begun
