"""Days pass over two doors and two workers: all that was acknowledged is opened, nothing older than promised can be (D-7)."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.queue import markers
from gateway.queue.key_files import Ring
from gateway.queue.keys import FENCE
from gateway.queue.markers import MARGIN, REST
from gateway.queue.seal import seal
from tests.contract.store.backends import SCRATCH
from tests.harness.midnights import Installation

DAY = 20_778  # 2026-11-21
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Installation:
    made = Installation(tmp_path, (20, -20, 0, 10))
    made.take_over()
    return made


def drained(house: Installation, *, look: bool = True) -> None:
    """Everybody looks, then what waits is taken and settled."""
    for machine in house.machines:
        if look:
            machine.look()
    for worker in house.workers:
        worker.take(1000)
        worker.settle()
        worker.settle()


def test_the_days_of_a_quiet_house(house: Installation) -> None:
    for number in range(20):
        assert house.doors[number % 2].publish(number)
    drained(house)
    assert len(house.world.settled) == 20
    assert len(house.readable()) == 20 * 4
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    drained(house)
    assert {row.day for row in house.world.lanes_passed()} == {DAY}
    assert house.days() == [[DAY, DAY + 1]] * 4
    house.world.pass_by(seconds=REST.total_seconds() + 60)
    drained(house)
    assert house.days() == [[DAY + 1]] * 4
    assert house.readable() == []
    assert house.days(Ring.PARKING) == [[DAY, DAY + 1]] * 4


def test_a_lane_that_cannot_drain_keeps_its_day_and_says_since_when(house: Installation) -> None:
    door, worker = house.doors[0], house.workers[0]
    newer = seal(b"\x09of a version to come", keys=door.keys, lane="deposits.3", receipt="newer")
    house.world.enqueue("deposits.3", "newer", newer)
    house.world.captured.append(("deposits.3", "newer", newer))
    assert door.publish(1)
    drained(house)
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    drained(house)
    house.world.pass_by(hours=2)
    drained(house)
    assert house.days() == [[DAY, DAY + 1]] * 4
    now = house.world.at
    (wait,) = markers.waits(worker.keys.held(), house.world.lanes_passed(), worker.queue.marked_lanes, now)
    assert (wait.day, wait.lane, wait.since) == (DAY, "deposits.3", MIDNIGHT + MARGIN)
    assert markers.broken_since(worker.keys.held(), now) is None
    house.world.at = MIDNIGHT + timedelta(hours=26)
    drained(house)
    assert markers.broken_since(worker.keys.held(), house.world.at) == MIDNIGHT + timedelta(hours=24)
    assert {min(days) for days in house.days()} == {DAY}
    # The newer version takes it: the lane is free, and the keys go.
    (entry,) = [each for each in house.world.lanes["deposits.3"] if each.receipt == "newer"]
    worker.stop()
    entry.settled = True
    worker.start()
    house.take_over()
    drained(house)
    house.world.pass_by(hours=2)
    drained(house)
    assert {min(days) for days in house.days()} == {DAY + 2}
    assert house.readable() == []


def test_a_door_that_was_frozen_over_midnight_acknowledges_nothing_of_the_day_before(house: Installation) -> None:
    """The broker has it and said so; the marker may be before it."""
    house.world.at = MIDNIGHT - timedelta(seconds=25)
    house.world.on_the_way.extend((timedelta(0), FENCE + timedelta(seconds=30)))
    assert not house.doors[0].publish(1)
    house.world.at = MIDNIGHT - timedelta(seconds=25)
    house.world.on_the_way.extend((timedelta(hours=5), timedelta(seconds=1)))
    assert not house.doors[0].publish(2)
    house.world.at = MIDNIGHT - timedelta(seconds=25)
    house.world.on_the_way.extend((timedelta(seconds=5), timedelta(seconds=5)))
    assert house.doors[0].publish(3)
    assert house.missing() == []


def test_what_comes_behind_the_marker_of_its_day_is_given_up_unopened(house: Installation) -> None:
    house.world.at = MIDNIGHT - timedelta(seconds=30)
    late = seal(b"\x01never acknowledged", keys=house.doors[0].keys, lane="bulk", receipt="late")
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    drained(house)
    house.world.pass_by(hours=2)
    drained(house)
    assert house.days() == [[DAY + 1]] * 4
    house.world.enqueue("bulk", "late", late)
    drained(house)
    assert house.world.given_up == []
    drained(house)
    assert house.world.given_up == ["late"]
    house.world.at = MIDNIGHT + timedelta(days=1, hours=3)
    drained(house)
    house.world.pass_by(hours=2)
    drained(house)
    assert house.days() == [[DAY + 2]] * 4, "it is in no marker's way"


def test_a_machine_that_was_off_for_days_comes_back_and_erases_behind(house: Installation) -> None:
    door, worker = house.doors[1], house.workers[1]
    assert door.publish(1)
    door.stop(), worker.stop()
    for day in range(1, 5):
        drained(house)
        house.world.at = MIDNIGHT + timedelta(days=day - 1, minutes=20)
        drained(house)
        house.world.pass_by(hours=3)
        assert house.doors[0].publish(10 + day)
        drained(house)
    assert house.days()[0] == house.days()[2] == [DAY + 4]
    assert house.days()[1] == house.days()[3] == [DAY], "what is off erases nothing"
    door.start(), worker.start()
    drained(house)
    assert house.days() == [[DAY + 4]] * 4
    assert door.publish(99)
    drained(house)
    assert house.world.settled == house.world.acknowledged
    assert set(house.readable()) == {"receipt-000014", "receipt-000099"}


def test_one_machine_with_a_wrong_clock_ends_no_day_of_the_others(house: Installation) -> None:
    wrong = house.workers[1]
    wrong.clock.apart = timedelta(days=1, hours=3)
    wrong.look()
    assert house.doors[0].publish(1)
    house.take_over()
    drained(house)
    assert house.world.captured != []
    assert any(entry.receipt.startswith("marker-2026-11-21") for entry in house.world.lanes["bulk"])
    assert house.world.lanes_passed() == [], "the worker that has the lanes does not believe it"
    assert house.missing() == []
    assert {min(days) for days in house.days()} == {DAY}


def test_killed_between_the_record_and_the_marker(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = house.workers[0]
    assert house.doors[0].publish(1)
    drained(house)
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    for machine in house.machines:
        machine.look()
    worker.take(1000)
    with monkeypatch.context() as patched:
        patched.setattr(worker.queue, "settle_passed", lambda _: (_ for _ in ()).throw(KeyboardInterrupt), raising=False)
        with pytest.raises(KeyboardInterrupt):
            worker.settle()
    recorded = house.world.lanes_passed()
    assert {row.day for row in recorded} == {DAY}
    worker.stop()
    worker.start()
    house.take_over()
    drained(house, look=False)
    assert house.world.lanes_passed() == recorded, "they come again and change nothing"
    assert all(entry.settled for entries in house.world.lanes.values() for entry in entries)


def test_a_marker_does_not_count_while_what_is_before_it_is_in_hand(house: Installation) -> None:
    worker = house.workers[0]
    house.world.at = MIDNIGHT - timedelta(minutes=5)
    assert house.doors[0].publish(5)
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    house.doors[0].look()
    worker.take(1000)
    assert [each.lane for each in worker.batch] == ["bulk"]
    passed = {each.lane for each in worker.queue.passed()}
    assert passed == set(worker.queue.marked_lanes) - {"bulk"}
    worker.deliveries.cut = True
    assert worker.queue.passed() == (), "the broker may not have seen what was acknowledged"
    worker.deliveries.cut = False
    worker.settle()
    assert {row.lane for row in house.world.lanes_passed()} == set(worker.queue.marked_lanes)
    assert worker.queue.passed() == ()


def test_what_comes_again_after_its_day_was_passed_is_opened_within_the_hour(house: Installation) -> None:
    """A node that lost what was acknowledged last: the store finds it by its receipt."""
    worker = house.workers[0]
    assert house.doors[0].publish(5)
    drained(house)
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    drained(house)
    assert {row.day for row in house.world.lanes_passed()} == {DAY}
    house.world.pass_by(minutes=59)
    drained(house)
    (entry,) = [each for each in house.world.lanes["bulk"] if each.receipt == "receipt-000005"]
    entry.settled = False
    worker.stop(), worker.start()
    house.take_over()
    worker.take(10)
    assert [each.receipt for each in worker.batch] == ["receipt-000005"]


def test_the_first_deposits_of_a_day_stand_in_no_marker_s_way(house: Installation) -> None:
    """Between midnight and the marker they are before it; they need not be settled for their own day's sake, but are."""
    house.world.at = MIDNIGHT + timedelta(minutes=5)
    assert house.doors[0].publish(5)
    house.world.at = MIDNIGHT + MARGIN + timedelta(minutes=1)
    drained(house)
    house.world.pass_by(hours=2)
    drained(house)
    assert house.days() == [[DAY + 1]] * 4
    assert len(set(house.readable())) == 1, "today's"


def test_keys_of_what_is_parked_go_after_its_time(house: Installation) -> None:
    house.world.at = MIDNIGHT + timedelta(days=38, minutes=20)
    drained(house)
    assert house.days(Ring.PARKING) == [list(range(DAY + 39 - 31, DAY + 40))] * 4
    house.world.at = MIDNIGHT + timedelta(days=39, minutes=20)
    drained(house)
    assert house.days(Ring.PARKING)[2:] == [list(range(DAY + 40 - 31, DAY + 41))] * 2


MACHINES = st.integers(0, 3)
DOORS = st.integers(0, 1)
APART = st.integers(-29, 29)
STEP = st.one_of(
    st.tuples(st.just("publish"), DOORS, st.sampled_from([(0, 0), (0, 0), (3, 4), (0, 45), (0, 100), (1800, 1), (7200, 7200)])),
    st.tuples(st.just("pass"), st.sampled_from([0.01, 0.2, 1.0, 5.0, 13.0, 26.0])),
    st.tuples(st.just("midnight"), st.integers(-70, 70)),
    st.tuples(st.just("look"), MACHINES),
    st.tuples(st.just("look"), st.just(4)),
    st.tuples(st.just("take"), DOORS, st.sampled_from([1, 3, 1000])),
    st.tuples(st.just("settle"), DOORS),
    st.tuples(st.just("kill"), MACHINES),
    st.tuples(st.just("start"), MACHINES),
    st.tuples(st.just("freeze"), DOORS),
    st.tuples(st.just("wake"), DOORS),
)


def act(house: Installation, number: int, step: tuple) -> None:  # noqa: C901 - a table of what may happen
    world = house.world
    kind, *more = step
    if kind == "publish" and house.doors[more[0]].running:
        world.on_the_way.extend(timedelta(seconds=each) for each in more[1])
        house.doors[more[0]].publish(number)
    elif kind == "pass":
        world.pass_by(hours=more[0])
    elif kind == "midnight":
        ahead = datetime(world.at.year, world.at.month, world.at.day, tzinfo=UTC) + timedelta(days=1, seconds=more[0])
        world.at = max(world.at, ahead)
    elif kind == "look":
        for machine in house.machines if more[0] == 4 else [house.machines[more[0]]]:
            machine.look()
    elif kind == "take":
        house.workers[more[0]].take(more[1])
    elif kind == "settle":
        house.workers[more[0]].settle()
    elif kind == "kill":
        house.machines[more[0]].stop()
    elif kind == "start" and not house.machines[more[0]].running:
        house.machines[more[0]].start()
    elif kind == "freeze" and house.workers[more[0]].running:
        house.workers[more[0]].freeze()
    elif kind == "wake" and house.workers[more[0]].deliveries.cut:
        house.workers[more[0]].wake()
    house.take_over()


@given(apart=st.tuples(APART, APART, APART, APART), steps=st.lists(STEP, min_size=5, max_size=40))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_days_bring(apart: tuple[int, int, int, int], steps: list[tuple]) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        house = Installation(Path(folder), apart)
        house.take_over()
        for number, step in enumerate(steps):
            act(house, number, step)
            assert house.missing() == [], step
        house.finish()
        world = house.world
        assert world.acknowledged <= world.settled, "acknowledged and never opened"
        assert not world.acknowledged & set(world.given_up)
        assert {min(days) for days in house.days()} == {house.workers[0].keys.today()}
        assert house.readable() == [], "two quiet days later"
