"""
The marker of a day: what tells that nothing sealed on it is waited for any more, so that its keys may go (D-7).

A marker of day d is a sealed message put into every lane. It says: every deposit sealed on day d or before, and acknowledged to
its sender, is before me. Why that is true, whatever the machines:

1. A door acknowledges a deposit of day d only if its confirm came while the door's clock said no later than d's end and `FENCE`
   (`Keys.counts`, asked after the confirm). Frozen, suspended, or waiting for a disk: later than that the answer is AR.
2. A marker of d is sealed, under a later day's key, and published when its publisher's clock says d's end and `MARGIN`, or later.
3. So while no two clocks differ by `MARGIN` - `FENCE` (nine minutes), each acknowledged deposit of d was confirmed before any
   marker of d was sent: in every lane it stands before every marker.
4. A lane has one consumer at a time, which takes in the lane's order and settles what it took before it takes more. A marker
   counts when all that the same channel delivered before it in its lane is settled and the broker has seen it, and nothing of d
   or before is kept unopened (`Marked.passed`). What a dead consumer left comes again before the marker.
5. It counts for nobody whose own clock says that d is not over: one machine with a wrong clock ends no day of the others.

A key goes when every lane has passed its day, and `REST` later: what is delivered again because an acknowledgement was lost with
a node or a connection can still be opened meanwhile, and is found by its receipt (D-6).

What comes behind a marker of its own day was never acknowledged: it is given up without being opened.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from gateway.model.lane_day import LaneDay, LanePassed
from gateway.queue.errors import Damaged
from gateway.queue.key_files import date_of, day_of, midnight
from gateway.queue.keys import Keys
from gateway.queue.seal import seal

#: A marker of a day is published so much after its end: clocks differ by less than this, less `keys.FENCE`.
MARGIN: Final = timedelta(minutes=10)
#: A key goes so much after the last lane has passed its day.
REST: Final = timedelta(hours=1)
#: What is promised: nothing is readable outside the store so long after its reception (D-7).
PROMISE: Final = timedelta(hours=48)
#: Keys of the ring `parking` outlive what is parked by so much.
PARKING_MARGIN_DAYS: Final = 2

#: First byte of the payload; the wire form of a deposit begins with its version, which never gets there.
_KIND: Final = b"M"


class _Marker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    #: Days since 1970-01-01, UTC.
    day: Annotated[int, Meta(ge=0, le=100_000)]


_DECODER: Final = msgspec.json.Decoder(_Marker)


class Marked(Protocol):
    """A queue that markers travel in."""

    @property
    def marked_lanes(self) -> tuple[str, ...]:
        """The lanes that a day must have passed before its keys may go."""
        ...

    def mark(self, lanes: Sequence[str], day: int) -> tuple[str, ...]:
        """
        Put a marker of a day, which is over by `MARGIN`, into lanes. Blocks.

        Returns:
            The lanes where it is durable. In the others it may be there all the same: a second one does no harm.
        """
        ...

    def passed(self) -> tuple[LanePassed, ...]:
        """
        Return the days that lanes have passed: markers that were taken, all before them settled.

        Called by the thread that takes and settles, between two batches. They are told again until `settle_passed`.
        """
        ...

    def settle_passed(self, passed: Sequence[LanePassed]) -> None:
        """
        Remove the markers of what is on record now.

        Raises:
            gateway.model.ports.Unavailable: not removed: told again.
        """
        ...


def last_ended(now: datetime) -> int:
    """Return the last day whose marker may be published: over by `MARGIN`."""
    return day_of(now - MARGIN) - 1


def sealed_marker(keys: Keys, lane: str, day: int) -> tuple[str, bytes]:
    """
    Return the id and the sealed form of a marker.

    Raises:
        KeysUnusable: it cannot be sealed.
        ValueError: the day is not over by `MARGIN`.
    """
    if day > last_ended(keys.now()):
        raise ValueError("a day that is not over has no marker")
    receipt = f"marker-{date_of(day).isoformat()}-{secrets.token_hex(4)}"
    return receipt, seal(_KIND + msgspec.json.encode(_Marker(day=day)), keys=keys, lane=lane, receipt=receipt)


def marked_day(payload: bytes, sealed_on: int) -> int | None:
    """
    Return the day of a marker; None where the payload is none.

    Args:
        payload: As opened: nobody without the keys made it.
        sealed_on: The day it was sealed on.

    Raises:
        Damaged: a marker that says what no gateway of ours says.
    """
    if payload[:1] != _KIND:
        return None
    try:
        day = _DECODER.decode(memoryview(payload)[1:]).day
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Damaged("marker") from None
    if day >= sealed_on:
        raise Damaged("a marker sealed on the day that it ends")
    return day


def erasable(rows: Iterable[LaneDay], lanes: Sequence[str], now: datetime) -> int | None:
    """
    Return the last day whose keys of the ring `flow` may go: every lane passed it, and rests since; None if there is none.

    Args:
        rows: What the store has on record, of these lanes and of any others.
        lanes: Those that count.
        now: The present instant.
    """
    passed = {row.lane: row.day for row in rows if row.passed_at + REST <= now}
    return min(passed[lane] for lane in lanes) if lanes and all(lane in passed for lane in lanes) else None


def parking_erasable(now: datetime, parked_days: int, first_parked: datetime | None) -> int:
    """
    Return the last day whose key of the ring `parking` may go: nothing that was parked on it is kept any more.

    Args:
        now: The present instant.
        parked_days: How long what is parked is kept.
        first_parked: When the first of what is parked now was; the day before may be that of its key.
    """
    last = day_of(now) - parked_days
    if first_parked is not None:
        last = min(last, day_of(first_parked))
    return last - PARKING_MARGIN_DAYS


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """A day whose keys are kept because a lane has not passed it."""

    day: int
    lane: str
    #: Since when it could have.
    since: datetime


def waits(held: Iterable[int], rows: Iterable[LaneDay], lanes: Sequence[str], now: datetime) -> list[Wait]:
    """
    Return what each day of the ring `flow` waits for, days that are over only.

    Args:
        held: Days whose keys a machine holds.
        rows: What the store has on record.
        lanes: Those that count.
        now: The present instant.
    """
    passed = {row.lane: row.day for row in rows}
    return [
        Wait(day=day, lane=lane, since=midnight(day + 1) + MARGIN)
        for day in sorted(held)
        if day <= last_ended(now)
        for lane in lanes
        if passed.get(lane, -1) < day
    ]


def broken_since(held: Iterable[int], now: datetime) -> datetime | None:
    """
    Return since when the promise of 48 hours is not kept on a machine; None while it is.

    Args:
        held: Days of the ring `flow` whose keys it holds: what was received at the beginning of the first can be read.
        now: The present instant.
    """
    first = min(held, default=None)
    if first is None or midnight(first) + PROMISE > now:
        return None
    return midnight(first) + PROMISE
