"""F2: killed between the commit of an opposition and the review of what is parked; the next life judges it (D-7)."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.demo.process import GatewayProcess, run_verb
from gateway.model.verdict import Verdict
from gateway.queue.keys import Ring
from gateway.queue.seal import seal
from gateway.queue.wire import encode
from gateway.store.port import Parked
from gateway.store.sqlite.reader import SqliteReader
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.rooms import opened
from tests.harness.rig import KILLED
from tests.strategies import records
from tests.strategies.records import ALICE

pytestmark = [pytest.mark.faults, pytest.mark.door]

SECONDS = 10.0


def leave_parked(directory: DataDirectory) -> str:
    """A record, and a deposit of it that was parked and looked at once; nobody runs."""
    clock = SystemClock()
    with directory.owned(), opened(directory, clock, lambda _: None) as rooms:
        later = datetime.now(UTC) + timedelta(minutes=1)
        rooms.store.submit(records.reception("opening", clock.now()), records.opening(), later)
        made = records.deposit("parked", clock.now())
        sealed = seal(encode(made), keys=rooms.keys, lane="parked", receipt="parked", ring=Ring.PARKING)
        keys = tuple(known.key for known in made.submission.identifiers)
        rooms.store.park(Parked(reception=made.reception, code="INTERNAL", place="x:1", identifiers=keys, sealed=sealed))
        assert rooms.store.review(made) is None
        assert rooms.store.awaiting_review(1) == []
    return made.reception.receipt


def verdict(directory: DataDirectory, receipt: str) -> tuple[str, tuple[str, ...]]:
    with SqliteReader(directory.store) as reader:
        page = reader.deposit(receipt)
    assert page is not None
    return page.deposit.verdict, page.deposit.codes


def test_the_next_life_judges_what_the_opposition_refuses(tmp_path: Path) -> None:
    directory, log = DataDirectory(tmp_path / "data"), tmp_path / "gateway.log"
    receipt = leave_parked(directory)
    gateway = GatewayProcess(directory.path, log, environment={"DATABASE_URL": ""})
    try:
        gateway.start({"DMP_GATEWAY_KILL_AT": "event.committed:1"})
        status, _ = run_verb("record", "oppose", "--ins", ALICE.value, "--root", "test", "--data", str(directory.path))
        assert status == 1  # nobody answered
        assert gateway.wait_dead(SECONDS)
        assert gateway.stop() == KILLED
        assert verdict(directory, receipt) == (Verdict.PARKED, ("INTERNAL",))
        gateway.start({"DMP_GATEWAY_KILL_AT": ""})
        limit = time.monotonic() + SECONDS
        while verdict(directory, receipt)[0] == Verdict.PARKED and time.monotonic() < limit:
            time.sleep(0.05)
        assert verdict(directory, receipt) == (Verdict.REFUSED, ("OPPOSED",))
        assert gateway.stop() == 0
    finally:
        gateway.kill()
    with SqliteReader(directory.store) as reader:
        assert reader.stored_against_an_opposition() == []
    assert b'"event": "deposit.refused"' in log.read_bytes()
