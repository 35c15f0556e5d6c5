"""The marker of a day: what it says, what makes a key wait, when the promise is broken (D-7)."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.model.lane_day import LaneDay
from gateway.queue import markers
from gateway.queue.errors import Damaged
from gateway.queue.keys import FENCE, Keys
from gateway.queue.markers import MARGIN, REST, Wait
from gateway.queue.seal import label, open_sealed, seal

DAY = 20_778  # 2026-11-21
END = datetime(2026, 11, 22, tzinfo=UTC)
LANES = ("bulk", "large")


def row(lane: str, day: int, at: datetime) -> LaneDay:
    return LaneDay(lane=lane, day=day, passed_at=at)


def test_two_clocks_may_differ_by_less_than_the_margin_leaves() -> None:
    assert timedelta(minutes=9) <= MARGIN - FENCE
    assert timedelta(seconds=10) < FENCE, "the confirm's own time-out"


def test_a_day_is_marked_once_it_is_over_by_the_margin(keys: Keys, clock) -> None:
    clock.at = END + MARGIN - timedelta(microseconds=1)
    assert markers.last_ended(clock.at) == DAY - 1
    with pytest.raises(ValueError, match="not over"):
        markers.sealed_marker(keys, "bulk", DAY)
    clock.at = END + MARGIN
    assert markers.last_ended(clock.at) == DAY
    receipt, sealed = markers.sealed_marker(keys, "bulk", DAY)
    assert receipt.startswith("marker-2026-11-21-")
    assert label(sealed).day == DAY + 1
    opened = open_sealed(sealed, keys=keys, lane="bulk", receipt=receipt)
    assert markers.marked_day(opened, DAY + 1) == DAY
    assert markers.sealed_marker(keys, "bulk", DAY)[0] != receipt


def test_a_marker_opens_in_its_own_lane_only(keys: Keys, clock) -> None:
    clock.at = END + MARGIN
    receipt, sealed = markers.sealed_marker(keys, "bulk", DAY)
    with pytest.raises(Damaged):
        open_sealed(sealed, keys=keys, lane="large", receipt=receipt)
    with pytest.raises(Damaged):
        open_sealed(sealed, keys=keys, lane="bulk", receipt="marker-2026-11-23-00000000")


@pytest.mark.parametrize(
    "payload",
    [b'M{"day":20778}', b'M{"day":20779}', b'M{"day":-1}', b'M{"day":"20777"}', b'M{"day":20777,"more":1}', b"M", b"M\xff"],
)
def test_a_marker_that_says_what_none_of_ours_says(payload: bytes) -> None:
    with pytest.raises(Damaged):
        markers.marked_day(payload, DAY)


def test_a_deposit_is_no_marker() -> None:
    assert markers.marked_day(b"\x01\x00\x00\x00\x02{}", DAY) is None
    assert markers.marked_day(b"", DAY) is None


def test_a_key_goes_when_the_last_lane_has_passed_and_rested() -> None:
    passed = [row("bulk", DAY, END), row("large", DAY, END + timedelta(hours=5)), row("embedded.1", 1, END)]
    assert markers.erasable(passed, LANES, END + timedelta(hours=5) + REST) == DAY
    assert markers.erasable(passed, LANES, END + timedelta(hours=5) + REST - timedelta(seconds=1)) is None
    assert markers.erasable([row("bulk", DAY + 4, END), row("large", DAY, END)], LANES, END + REST) == DAY
    assert markers.erasable(passed[:1], LANES, END + timedelta(days=9)) is None, "a lane of which nothing is known keeps all"
    assert markers.erasable(passed, (), END + timedelta(days=9)) is None


def test_a_parking_key_outlives_what_is_parked() -> None:
    at = END + timedelta(hours=5)
    assert markers.parking_erasable(at, 30, None) == DAY + 1 - 32
    assert markers.parking_erasable(at, 30, at - timedelta(days=3)) == DAY + 1 - 32
    long_ago = END - timedelta(days=90)
    assert markers.parking_erasable(at, 30, long_ago) == DAY + 1 - 90 - 2, "what the upkeep has not yet taken away keeps its key"


def test_what_a_day_waits_for() -> None:
    now = END + timedelta(hours=3)
    passed = [row("bulk", DAY, END)]
    since = [END - timedelta(days=1) + MARGIN, END + MARGIN]
    assert markers.waits([DAY - 1, DAY, DAY + 1], passed, LANES, now) == [
        Wait(day=DAY - 1, lane="large", since=since[0]),
        Wait(day=DAY, lane="large", since=since[1]),
    ]
    assert markers.waits([DAY, DAY + 1], [], LANES, END + MARGIN - timedelta(seconds=1)) == []


def test_the_promise_is_broken_by_the_first_key_held_48_hours_after_its_day_began() -> None:
    begun = END - timedelta(days=1)
    assert markers.broken_since([DAY, DAY + 1], begun + timedelta(hours=48) - timedelta(seconds=1)) is None
    assert markers.broken_since([DAY, DAY + 1], begun + timedelta(hours=48)) == begun + timedelta(hours=48)
    assert markers.broken_since([DAY, DAY + 1], begun + timedelta(days=9)) == begun + timedelta(hours=48)
    assert markers.broken_since([], END) is None


def test_a_deposit_cannot_be_passed_off_as_a_marker(keys: Keys, clock) -> None:
    """Whoever can write to the broker has no key; a marker of theirs is refused, and so is one of ours under another name."""
    clock.at = END + MARGIN
    receipt, sealed = markers.sealed_marker(keys, "bulk", DAY)
    forged = bytearray(sealed)
    forged[-1] ^= 1
    with pytest.raises(Damaged):
        open_sealed(bytes(forged), keys=keys, lane="bulk", receipt=receipt)
    replayed = seal(b'M{"day":20779}', keys=keys, lane="bulk", receipt="x")
    with pytest.raises(Damaged, match="on the day that it ends"):
        markers.marked_day(open_sealed(replayed, keys=keys, lane="bulk", receipt="x"), label(replayed).day)


@pytest.mark.parametrize("apart", [0, 59, 240, 530])
def test_no_marker_is_published_while_a_deposit_of_its_day_can_be_acknowledged(folder, apart: int) -> None:
    """At no instant, of a slow door's clock and a quick publisher's, are both possible."""

    class Apart:
        at = END
        seconds = 0

        def now(self) -> datetime:
            return Apart.at + timedelta(seconds=self.seconds)

    door, publisher = Apart(), Apart()
    publisher.seconds = apart
    keys = Keys.open(folder, door)
    seen = set()
    for second in range(-60, 900):
        Apart.at = END + timedelta(seconds=second)
        both = (keys.counts(DAY), markers.last_ended(publisher.now()) >= DAY)
        assert both != (True, True), second
        seen.add(both)
    assert seen == {(True, False), (False, False), (False, True)}
