"""A deposit that ends its worker: known by what the dead left, tried alone, parked after the third time (F16)."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.model.submission import Deposit
from gateway.store.port import Contended, Stalled
from gateway.telemetry import points
from gateway.worker import consume, hands
from gateway.worker.consume import Worker
from gateway.worker.hands import DEATHS, KILLS_A_DEATH, Hands
from tests.unit.worker.test_consume import ALL_AT_ONCE, Floor, deposits

_DIES = """
import os, sys
from pathlib import Path
from gateway.worker.hands import Hands

made = Hands(Path(sys.argv[1]))
made.report_crashes()
with made.holding(sys.argv[2:]):
    os.abort()
"""


def die(folder: Path, *receipts: str, crashed: bool = True) -> None:
    """Leave what a process leaves that dies with these in its hands: the file, and no lock."""
    dead = Hands(folder)
    dead._write(receipts)
    os.lseek(dead._file, 0, os.SEEK_END)
    os.write(dead._file, b"Fatal Python error: Aborted\n\nCurrent thread" if crashed else b"")
    os.close(dead._file)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consume, "RETRY_SECONDS", (0.01, 0.02))


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    made = Floor(tmp_path)
    made.hands = Hands(tmp_path / "hands")  # type: ignore[attr-defined]
    made.worker = Worker(
        made.queue,
        made.store,  # type: ignore[arg-type]
        made.seal,
        ALL_AT_ONCE,
        unseal=made.unseal,
        hands=made.hands,  # type: ignore[attr-defined]
    )
    yield made
    points.hooks.clear()
    made.close()
    made.hands.close()  # type: ignore[attr-defined]


def test_only_who_died_with_it_in_hand_accuses(tmp_path: Path) -> None:
    folder = tmp_path / "hands"
    living, beside = Hands(folder), Hands(folder)
    with beside.holding(["A", "B"]):
        assert living.deaths(["A", "B"]) == [0, 0]
    died = subprocess.run([sys.executable, "-c", _DIES, str(folder), "A", "B"], check=False, stderr=subprocess.DEVNULL)
    assert died.returncode == -signal.SIGABRT
    die(folder, "A")
    assert living.deaths(["A", "B", "C"]) == [2, 1, 0]
    beside.close()
    assert living.deaths(["A", "B", "C"]) == [2, 1, 0]
    assert Hands(folder).deaths(["A"]) == [2]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    living.close()


def test_what_was_in_hand_at_a_kill_from_outside_is_tried_alone_and_not_soon_accused(tmp_path: Path) -> None:
    living = Hands(tmp_path)
    for number in range(1, 2 * KILLS_A_DEATH):
        die(tmp_path, "A", crashed=False)
        assert living.suspected(["A", "B"]) == [True, False]
        assert living.deaths(["A"]) == [number // KILLS_A_DEATH]
    die(tmp_path, "A")
    assert living.deaths(["A", "B"]) == [2, 0]
    living.close()


def test_a_process_that_ends_because_it_hangs_accuses_what_it_hangs_at(tmp_path: Path) -> None:
    hung, living = Hands(tmp_path), Hands(tmp_path)
    with hung.holding(["A"]):
        hung.accuse()
        os.close(hung._file)
        assert living.deaths(["A"]) == [1]
        hung._file = -1
    living.close()


def test_the_oldest_dead_are_forgotten_and_those_without_anything_in_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "KEPT", 2)
    for number in range(4):
        die(tmp_path, *([f"R{number}"] if number else []))
        for path in tmp_path.iterdir():
            os.utime(path, (number, number)) if path.stat().st_mtime > 100 else None
    found = Hands(tmp_path)
    assert found.deaths(["R1", "R2", "R3"]) == [0, 1, 1]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_accuses_nobody_and_stops_nothing(tmp_path: Path) -> None:
    found = Hands(tmp_path)
    os.close(found._file)  # whatever is written fails
    with found.holding(["A"]):
        pass
    found._file = -1
    found.close()


def test_what_a_worker_died_at_comes_alone_and_in_order(floor: Floor, tmp_path: Path) -> None:
    made = deposits(floor, 7)
    receipts = [each.reception.receipt for each in made]
    die(tmp_path / "hands", receipts[2], receipts[3])
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    assert floor.store.batches == [2, 1, 1, 3]
    assert floor.verdicts() == dict.fromkeys(receipts, "stored")


def test_after_its_third_death_it_is_parked_untried_and_not_judged_either(floor: Floor, tmp_path: Path) -> None:
    made = deposits(floor, 5)
    receipts = [each.reception.receipt for each in made]
    tried: list[str] = []
    floor.store.fail_apply = lambda batch: tried.extend(each.reception.receipt for each in batch)  # type: ignore[func-returns-value]
    reviewed: list[str] = []
    review = floor.store.review
    floor.store.review = lambda deposit: (reviewed.append(deposit.reception.receipt), review(deposit))[1]  # type: ignore[attr-defined]
    for _ in range(DEATHS):
        die(tmp_path / "hands", receipts[1])
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    limit = time.monotonic() + 30
    while floor.store.awaiting_review(4) and time.monotonic() < limit:  # type: ignore[operator]
        time.sleep(0.01)
    assert not floor.store.awaiting_review(4)  # type: ignore[operator]
    assert (tried, reviewed) == ([each for each in receipts if each != receipts[1]], [])
    assert floor.verdicts() == {each: "parked" if each == receipts[1] else "stored" for each in receipts}
    (row,) = floor.bench.rows("parked")
    assert (row["receipt"], row["code"], row["place"]) == (receipts[1], "INTERNAL", f"ProcessDied at {DEATHS} times")


def test_nothing_is_held_while_the_store_is_away_or_between_two_batches(floor: Floor, tmp_path: Path) -> None:
    """A worker that is killed while it waits accuses nobody."""
    seen: list[tuple[bytes, int]] = []
    (file,) = (tmp_path / "hands").iterdir()
    (made,) = deposits(floor, 1)

    def fail(batch: Sequence[Deposit]) -> Exception | None:
        seen.append((file.read_bytes(), len(batch)))
        return None

    floor.store.fail_apply = fail
    floor.publish(made)
    floor.worker.start()
    floor.settled()
    assert seen == [(f"{made.reception.receipt}\n".encode(), 1)]
    assert file.read_bytes() == b""


def test_a_deposit_at_which_the_server_gives_up_waiting_for_us_is_found_by_halves_and_parked(floor: Floor) -> None:
    made = deposits(floor, 4)
    slow = made[2].reception.receipt

    def fail(batch: Sequence[Deposit]) -> Exception | None:
        return Stalled("25P03") if slow in [each.reception.receipt for each in batch] else None

    floor.store.fail_apply = fail
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    assert floor.store.batches == [4, 2, 2, *[1] * (DEATHS + 1)]
    assert floor.verdicts() == {each.reception.receipt: "parked" if each is made[2] else "stored" for each in made}


def test_a_machine_that_stood_still_parks_nothing(floor: Floor) -> None:
    (made,) = deposits(floor, 1)
    left = [Stalled("25P03")] * (DEATHS - 1)
    floor.store.fail_apply = lambda _: left.pop() if left else None
    floor.publish(made)
    floor.worker.start()
    floor.settled()
    assert floor.verdicts() == {made.reception.receipt: "stored"}


def test_what_others_hold_keeps_nobody_waiting_who_came_before_it(floor: Floor) -> None:
    """A patient's rows are locked for long: a batch is halved down to that deposit, which waits, and is never parked."""
    made = deposits(floor, 4)
    held, free = made[2].reception.receipt, threading.Event()
    tries: list[int] = []

    def fail(batch: Sequence[Deposit]) -> Exception | None:
        if free.is_set() or held not in [each.reception.receipt for each in batch]:
            return None
        tries.append(len(batch))
        if tries.count(1) > DEATHS:
            free.set()
        return Contended("55P03")

    floor.store.fail_apply = fail
    floor.publish(*made)
    floor.worker.start()
    floor.settled()
    assert tries == [4, 2, *[1] * (DEATHS + 1)]
    assert floor.store.batches == [*tries[:1], 2, *tries[1:], 1, 1]
    assert floor.verdicts() == {each.reception.receipt: "stored" for each in made}


def test_a_worker_that_does_not_come_back_is_said_to_hang(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consume, "HANGS_SECONDS", 0.05)
    inside, go = threading.Event(), threading.Event()

    def wait(_: Sequence[Deposit]) -> None:
        inside.set()
        go.wait(30)

    floor.store.fail_apply = wait
    assert not floor.worker.hangs
    floor.publish(*deposits(floor, 1))
    floor.worker.start()
    assert inside.wait(30)
    limit = time.monotonic() + 30
    while not floor.worker.hangs and time.monotonic() < limit:
        time.sleep(0.01)
    assert floor.worker.hangs
    go.set()
    floor.settled()
    limit = time.monotonic() + 30
    while floor.worker.hangs and time.monotonic() < limit:
        time.sleep(0.01)
    assert not floor.worker.hangs


def test_who_is_asked_to_end_accuses_nobody_unless_it_hangs(
    floor: Floor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked table, and an operator who starts again three times: what is killed in the end was not at fault."""
    (made,) = deposits(floor, 1)
    begun, go_on = threading.Event(), threading.Event()

    def fail(_: Sequence[Deposit]) -> None:
        begun.set()
        go_on.wait(60)

    floor.store.fail_apply = fail
    floor.publish(made)
    floor.worker.start()
    assert begun.wait(60)
    (file,) = (tmp_path / "hands").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(consume, "HANGS_SECONDS", -1.0)
        assert not floor.worker.stop(0)
        assert file.read_bytes() == f"{made.reception.receipt}\n".encode()
    assert not floor.worker.stop(0)
    assert list((tmp_path / "hands").iterdir()) == []
    go_on.set()
    assert floor.worker.stop(60)
