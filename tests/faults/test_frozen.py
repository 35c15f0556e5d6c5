"""F3: a writer frozen in mid transaction and woken beside another one; an embedded process, frozen, begins nothing too late."""

import time
from pathlib import Path

import pytest

from tests.harness.revival import UNAVAILABLE, Revival, embedded, revivals

pytestmark = [pytest.mark.faults]


def test_a_frozen_writer_loses_its_locks_and_applies_nothing_twice(tmp_path: Path) -> None:
    found = revivals(tmp_path, 20_261_121, most=10, until=time.monotonic() + 60)
    print(found.line())
    assert found.violations == []
    assert found.frozen == 10
    assert found.deposits == 30


@pytest.mark.parametrize(
    ("what", "point"),
    [
        # Between the reads: where they were sent in a pipeline, the server counted no idle time.
        ("batch", "sql.read_statements"),
        ("batch", "store.decided"),
        ("batch", "sql.commit"),
        ("opposition", "sql.copy_trace"),
    ],
)
def test_the_other_one_goes_on_within_the_time_out(tmp_path: Path, what: str, point: str) -> None:
    made = Revival(tmp_path)
    try:
        made.freeze(what, point, 1, "an opposition, the batch" if what == "batch" else "the batch, an opposition")
    finally:
        made.close()
    assert made.found.violations == []
    assert made.found.slowest >= 0.1, "the frozen one held no lock: nothing was shown"


@pytest.mark.parametrize("point", ["store.begun", "store.decided", "store.written", "store.commit.asked"])
def test_an_event_whose_deadline_passed_while_all_was_frozen_is_not_begun(tmp_path: Path, point: str) -> None:
    heard, bench = embedded(tmp_path, point)
    try:
        assert [each[1] for each in heard["told"]] == ["stored"] * 3
        assert heard["event"] == UNAVAILABLE
        assert bench.rows("statement") == []
        assert len(bench.rows("document")) == 3
        assert bench.against() == []
    finally:
        bench.close()


def test_an_event_that_was_frozen_before_it_had_the_lock_is_not_begun(tmp_path: Path) -> None:
    heard, bench = embedded(tmp_path, "store.lock.asked", what="opposition")
    try:
        assert heard["told"] == UNAVAILABLE
        assert bench.rows("statement") == []
    finally:
        bench.close()


def test_an_event_that_had_begun_is_committed_and_found_again(tmp_path: Path) -> None:
    """What was begun in time may commit after its deadline; the same event again is the same (D-2, D-6)."""
    heard, bench = embedded(tmp_path, "store.commit.asked", what="opposition")
    try:
        ((receipt, verdict, codes, _),) = heard["told"]
        assert (verdict, codes) == ("applied", [])
        assert [row["receipt"] for row in bench.rows("statement")] == [receipt]
    finally:
        bench.close()
