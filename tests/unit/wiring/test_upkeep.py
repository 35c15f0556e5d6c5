"""The upkeep of a running gateway: at its start, daily, again soon where the store was away, and gone at its end."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.settings import Retention
from gateway.store.port import Transient
from gateway.store.retention import Busy, JobDone, Periods
from gateway.wiring import upkeep
from gateway.wiring.upkeep import Upkeep, periods
from tests.contract.store.backends import Sqlite
from tests.strategies.records import Ticking

SECONDS = 10


class Asked:
    """A store that tells how often the upkeep was asked for."""

    def __init__(self) -> None:
        self.times = 0
        self.answer: Callable[[], tuple[JobDone, ...]] = tuple
        self.changed = threading.Condition()

    def retain(self, kept: Periods, *, stopping: Callable[[], bool]) -> tuple[JobDone, ...]:
        assert kept == Periods() and not stopping()
        with self.changed:
            self.times += 1
            self.changed.notify_all()
        return self.answer()

    def until(self, times: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.times >= times, SECONDS)


@pytest.fixture(autouse=True)
def _looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.005)


def raising(failure: Exception) -> tuple[JobDone, ...]:
    raise failure


@pytest.mark.parametrize(
    ("answer", "hours"),
    [
        (tuple, 24.0),
        (lambda: raising(Busy()), 24.0),
        (lambda: raising(Transient("away")), 10 / 60),
        (lambda: raising(ValueError("value")), 10 / 60),
    ],
    ids=("done", "another at it", "away", "a fault"),
)
def test_at_the_start_and_then_when_it_is_due(answer: Callable[[], tuple[JobDone, ...]], hours: float) -> None:
    store, clock = Asked(), Ticking()
    store.answer = answer
    running = Upkeep(store, Periods(), clock)  # type: ignore[arg-type]
    running.start()
    store.until(1)
    clock.pass_by(hours=hours * 0.9)
    with store.changed:
        assert not store.changed.wait_for(lambda: store.times > 1, 0.05)
    clock.pass_by(hours=hours * 0.2)
    store.until(2)
    assert running.stop(SECONDS)


def test_a_clock_that_jumps_by_days_takes_nothing_away_until_it_has_gone_on_for_a_day() -> None:
    store, clock, passed = Asked(), Ticking(), Ticking()
    running = Upkeep(store, Periods(), clock, lambda: passed.now().timestamp())  # type: ignore[arg-type]

    def pass_by(hours: float) -> None:
        passed.pass_by(hours=hours)
        clock.pass_by(hours=hours)

    def never(times: int) -> None:
        with store.changed:
            assert not store.changed.wait_for(lambda: store.times > times, 0.05)

    running.start()
    store.until(1)
    clock.pass_by(days=366)
    never(1)
    pass_by(20)
    never(1)
    clock.pass_by(days=-366)
    never(1)
    pass_by(20)
    never(1)  # twenty hours after the second jump
    pass_by(5)
    store.until(2)  # a day after it
    clock.pass_by(days=400)
    never(2)
    pass_by(25)
    store.until(3)  # it was set right: believed after a day
    assert running.stop(SECONDS)


def test_one_that_was_never_started_stops() -> None:
    assert Upkeep(Asked(), Periods(), Ticking()).stop(SECONDS)  # type: ignore[arg-type]


def test_the_store_of_a_gateway_is_kept(tmp_path: Path) -> None:
    bench = Sqlite(tmp_path)
    bench.open(), bench.send()
    bench.clock.pass_by(days=91)
    assert Upkeep(bench.store, Periods(), bench.clock).once()
    assert bench.rows("receipt") == []
    bench.store.close()
    assert not Upkeep(bench.store, Periods(), bench.clock).once()


def test_the_settings_are_the_periods() -> None:
    assert periods(Retention()) == Periods()
    assert periods(Retention(parked_days=7, records_years=20)) == Periods(parked_days=7, records_years=20)
