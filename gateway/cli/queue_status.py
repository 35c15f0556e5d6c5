"""The lines of `queue status`, for a broker's lanes and for the embedded file."""

from datetime import datetime
from typing import Any, Final

import msgspec

from gateway.cli import console
from gateway.cli.ages import age, seconds_since
from gateway.cli.waiting_words import undecided_words
from gateway.model.base import Model
from gateway.model.ports import FileUnusable
from gateway.queue import lanes
from gateway.queue.embedded.listing import Waiting, waiting
from gateway.queue.rabbitmq.status import DEAD_LANE, BrokerStatus, LaneStatus
from gateway.queue.rabbitmq.topology import DEAD
from gateway.wiring.clock import SystemClock
from gateway.wiring.control import Request, ask
from gateway.wiring.data import DataDirectory, Owned
from gateway.wiring.lanes import lanes_status

#: What a broker says of a queue that takes or gives nothing.
UNSOUND: Final = frozenset({"down", "minority", "crashed", "stopped", "terminated"})
_COLUMNS: Final = ("lane", "ready", "unacked", "oldest", "consumers", "active", "in", "out", "gives up to")
_UNKNOWN: Final = "?"


class LaneLine(Model, frozen=True, kw_only=True):
    """One lane of `queue status`; null is what nobody tells."""

    #: `dead`: what was given up.
    lane: str
    #: Of the broker; of an embedded gateway the file.
    queue: str
    #: Messages that are neither handed out nor given up; null: the queue is not there.
    ready: int | None
    #: Handed out and not settled.
    unacknowledged: int | None
    #: Reception of the one that waits longest, ISO 8601 UTC; null where nothing waits, too.
    oldest_received_at: str | None
    oldest_age_seconds: float | None
    consumers: int | None
    #: Which consumer the broker gives to; the others stand by.
    active: str | None
    #: Messages published into it and settled since its node counts.
    published: int | None
    settled: int | None
    #: Where what the broker gives up goes, and how many messages are there; null: an embedded gateway gives up nothing.
    dead_letter: str | None
    dead_letter_messages: int | None
    #: The broker's word for its state: `running`, `down`, `minority`.
    state: str | None


def broker_lines(url: str, directory: DataDirectory, place: str, *, as_json: bool) -> list[LaneLine]:
    """
    Print how it stands with a broker's lanes, and return it.

    Args:
        url: The broker.
        directory: Whose keys ask the workers, and whose journal knows what this machine's doors acknowledged.
        place: Of the management plug-in.
        as_json: Lines of JSON.

    Raises:
        BrokerUnusable: the broker cannot be reached.
    """
    found = lanes_status(url, directory, place)
    now = SystemClock().now()
    lines = [_broker_line(each, found, now) for each in found.lanes]
    print_lines(lines, as_json=as_json)
    for what, advice in found.unknown:
        console.err.print(f"{_UNKNOWN} {what}.\n  → {advice}.")
    for worker in found.workers:
        if worker.problem:
            console.err.print(f"{worker.name}: {worker.problem}.")
    ready, in_hand = found.deposits()
    if ready + (in_hand or 0) and found.oldest() is None:
        for words in undecided_words(directory):
            console.err.print(words)
    return lines


def file_lines(directory: DataDirectory) -> list[LaneLine]:
    """Return how it stands with the embedded file: as its owner tells it, or as it lies there."""
    if not directory.queue.exists():
        console.fail(f"There is no queue in {directory.path}.", "Start a gateway with `dmp-gateway serve`, or set AMQP_URL.")
    status = _owner(directory)
    now = SystemClock().now()
    if status is not None:
        if status["queue_problem"]:
            console.err.print(f"The queue has a problem: {status['queue_problem']}.")
        who = f"worker, pid {status['pid']}"
        return [
            _file_line(each["lane"], directory, (each["waiting"], each["in_hand"], each["oldest"]), who, now)
            for each in status["lanes"]
        ]
    try:
        rows = waiting(directory.queue)
    except FileUnusable as unusable:
        console.fail(f"What waits cannot be read: {unusable}.", "`dmp-gateway doctor` tells more.")
    by_lane: dict[str, list[Waiting]] = {lane: [] for lane in lanes.CARRYING}
    for row in rows:
        by_lane.setdefault(row.lane, []).append(row)
    return [
        _file_line(lane, directory, (len(those), 0, min((each.received_at for each in those), default=None)), None, now)
        for lane, those in by_lane.items()
    ]


def print_lines(lines: list[LaneLine], *, as_json: bool) -> None:
    """Print lanes as JSON or as a table."""
    if as_json:
        for line in lines:
            console.json_line(line)
        return
    # A file counts nothing that passed it, and gives up nothing.
    columns = _COLUMNS if any(line.dead_letter for line in lines) else _COLUMNS[:6]
    console.table(columns, [_cells(line)[: len(columns)] for line in lines])


def _broker_line(each: LaneStatus, found: BrokerStatus, now: datetime) -> LaneLine:
    dead = each.lane == DEAD_LANE
    return LaneLine(
        lane=each.lane,
        queue=each.queue,
        ready=each.ready,
        unacknowledged=each.unacknowledged,
        oldest_received_at=each.oldest,
        oldest_age_seconds=_seconds(each.oldest, now),
        consumers=each.consumers,
        active=each.active,
        published=each.published,
        settled=each.settled,
        # A request that nobody took in time is dropped: its sender was told so (D-2).
        dead_letter=None if dead or each.lane == lanes.REQUESTS else DEAD,
        dead_letter_messages=None if dead or each.lane == lanes.REQUESTS else found.given_up,
        state=each.state,
    )


def _file_line(
    lane: str, directory: DataDirectory, held: tuple[int, int, str | None], who: str | None, now: datetime
) -> LaneLine:
    held_in_all, in_hand, oldest = held
    return LaneLine(
        lane=lane,
        queue=directory.queue.name,
        ready=held_in_all - in_hand,
        unacknowledged=in_hand,
        oldest_received_at=oldest,
        oldest_age_seconds=_seconds(oldest, now),
        consumers=0 if who is None else 1,
        active=who,
        published=None,
        settled=None,
        dead_letter=None,
        dead_letter_messages=None,
        state=None,
    )


def _owner(directory: DataDirectory) -> dict[str, Any] | None:
    """Return what the running gateway says of itself; None where none runs or answers."""
    try:
        owner = directory.owner()
        if owner is None:
            return None
        status: dict[str, Any] = msgspec.json.decode(bytes(ask(owner.socket, Request(verb="status")).result))
    except (Owned, OSError, msgspec.DecodeError):
        console.fail("A process holds the data directory and does not answer.", "`dmp-gateway doctor` tells who it is.")
    # A gateway over a broker tells of its processes: this file is none of theirs.
    return status if "lanes" in status else None


def _seconds(oldest: str | None, now: datetime) -> float | None:
    return None if oldest is None else seconds_since(oldest, now)


def _cells(line: LaneLine) -> tuple[str, ...]:
    if line.ready is None:
        return (line.lane, "missing", *[""] * (len(_COLUMNS) - 2))
    empty = line.ready == 0 and line.unacknowledged == 0
    oldest = "" if empty else _UNKNOWN if line.oldest_age_seconds is None else age(line.oldest_age_seconds)
    given_up = "" if line.dead_letter is None else f"{DEAD_LANE} ({line.dead_letter_messages})"
    if line.lane == DEAD_LANE:
        return (line.lane, str(line.ready), "", "", "", "", "", "", "")
    active = line.active or ("" if not line.consumers else "each" if line.lane == lanes.REQUESTS else _UNKNOWN)
    return (
        line.lane,
        str(line.ready),
        _number(line.unacknowledged),
        oldest,
        str(line.consumers),
        active,
        _number(line.published),
        _number(line.settled),
        given_up,
    )


def _number(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)
