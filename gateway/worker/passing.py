"""Putting on record what the lanes have passed, between two batches (D-7)."""

from gateway.model.lane_day import LanePassed
from gateway.model.ports import Unavailable
from gateway.queue.key_files import date_of
from gateway.queue.markers import Marked
from gateway.store.port import Store, Transient
from gateway.telemetry import events
from gateway.telemetry.outage import Outage


def store_outage() -> Outage:
    """Return what says that a store is away, and that it is back."""
    return Outage(lambda seconds: events.StoreRecovered(seconds=seconds))


def on_record(store: Store, passed: LanePassed, away: Outage) -> bool:
    """Put on record that a lane has passed a day; tell whether it is. `away` says that the store is not there."""
    try:
        store.pass_lanes([passed])
    except Transient as failure:
        away.away(events.StoreProblem(reason=events.reason_of(str(failure))))
        return False
    events.LanePassed(lane=passed.lane, day=date_of(passed.day).isoformat()).emit()
    return True


def record(queue: Marked, store: Store, away: Outage) -> tuple[LanePassed, ...]:
    """
    Put on record what lanes have passed, then remove the markers. Killed in between, they come again and change nothing.

    Args:
        queue: Asked by the thread that takes and settles.
        store: Where it is put on record.
        away: Says that the store is not there.

    Returns:
        What is on record now and was not before; nothing if the store or the queue is away: the markers are told again.
    """
    passed = queue.passed()
    if not passed:
        return ()
    try:
        store.pass_lanes(passed)
        queue.settle_passed(passed)
    except Transient as failure:
        away.away(events.StoreProblem(reason=events.reason_of(str(failure))))
        return ()
    except Unavailable:
        events.QueueProblem(reason="settle").emit()
        return ()
    for each in passed:
        events.LanePassed(lane=each.lane, day=date_of(each.day).isoformat()).emit()
    return passed
