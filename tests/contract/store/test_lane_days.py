"""Which days the lanes of a queue have passed: kept once, never going back, on both stores (D-7)."""

import threading
from datetime import datetime

import pytest

from gateway.model.lane_day import LanePassed
from gateway.telemetry import points
from tests.contract.store.backends import Bench


def days(bench: Bench) -> dict[str, int]:
    return {each.lane: each.day for each in bench.store.lanes_passed()}


def test_a_lane_goes_forward_only(bench: Bench) -> None:
    assert bench.store.lanes_passed() == []
    bench.store.pass_lanes([LanePassed(lane="bulk", day=20_000), LanePassed(lane="deposits.0", day=20_001)])
    (first, second) = bench.store.lanes_passed()
    assert (first.lane, first.day, second.lane, second.day) == ("bulk", 20_000, "deposits.0", 20_001)
    bench.store.pass_lanes([LanePassed(lane="bulk", day=20_003), LanePassed(lane="deposits.0", day=19_999)])
    (later, same) = bench.store.lanes_passed()
    assert (later.day, same) == (20_003, second)
    assert later.passed_at > first.passed_at
    bench.store.pass_lanes([LanePassed(lane="bulk", day=20_003)])
    assert bench.store.lanes_passed() == [later, same], "said again, it is since the first time"


def test_it_is_kept_over_a_restart_and_seen_by_a_reader(bench: Bench) -> None:
    bench.store.pass_lanes([LanePassed(lane="large", day=20_000)])
    told = bench.store.lanes_passed()
    bench.restart()
    assert bench.store.lanes_passed() == told
    with bench.read() as reader:
        assert reader.lanes_passed() == told
    assert (told[0].lane, told[0].day) == ("large", 20_000)
    assert isinstance(told[0].passed_at, datetime)
    assert told[0].passed_at.utcoffset() is not None


def test_two_workers_that_pass_the_same_lanes_wait_for_nobody(bench: Bench) -> None:
    lanes = [f"deposits.{number}" for number in range(16)]
    together = threading.Barrier(2)

    def work(names: list[str]) -> None:
        together.wait()
        for day in range(20_000, 20_010):
            bench.store.pass_lanes([LanePassed(lane=name, day=day) for name in names])

    workers = [threading.Thread(target=work, args=(names,)) for names in (lanes, lanes[::-1])]
    for each in workers:
        each.start()
    for each in workers:
        each.join(30)
    assert days(bench) == dict.fromkeys(lanes, 20_009)


def test_cut_off_before_its_commit_nothing_is_on_record(bench: Bench) -> None:
    lanes = [LanePassed(lane=lane, day=20_000) for lane in ("bulk", "large")]

    def cut() -> None:
        raise ZeroDivisionError

    points.hooks["store.commit.asked"] = cut
    with pytest.raises(ZeroDivisionError):
        bench.store.pass_lanes(lanes)
    points.hooks.clear()
    bench.restart()
    assert bench.store.lanes_passed() == []
    bench.store.pass_lanes(lanes)
    assert days(bench) == {"bulk": 20_000, "large": 20_000}


def test_when_the_first_of_what_is_parked_was_parked(opened: Bench) -> None:
    assert opened.store.first_parked() is None and opened.store.parked() == 0
    opened.park(opened.deposit(documents=(("1.2.1", b"a"),)))
    first = opened.store.first_parked()
    assert first is not None and first.utcoffset() is not None
    opened.clock.pass_by(days=1)
    opened.park(opened.deposit(documents=(("1.2.2", b"b"),)))
    assert opened.store.first_parked() == first
    assert opened.store.parked() == 2
