"""
F2 over a broker: doors and workers are killed at every named point of theirs, one after the other, under load.

Where a point is not passed by itself among messages, something is done that leads there: another process dies (what happens at a
start), one is asked to stop, a lane loses its binding for a moment (a message comes back), a stranger writes to a lane.
"""

import random
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pika
import psycopg

from gateway.queue.rabbitmq.topology import EXCHANGE, queue_of
from gateway.telemetry.points import BROKER_POINTS, POINTS
from tests.harness import postgres, rabbitmq
from tests.harness.broker_stack import Stack, stack
from tests.harness.orders import DOOR, WORKER
from tests.proof.line import Line, Run

Place = tuple[str, str]

#: Points that no process of a gateway over a broker passes, and why.
ELSEWHERE: Final = {
    "queue.publish.written": "the embedded queue's file alone",
    "store.read": "SQLite alone: on PostgreSQL each statement is a point",
    "store.write": "SQLite alone: on PostgreSQL each statement is a point",
}
_OF_A_DOOR: Final = (
    *("door.received", "door.read", "queue.publish.begun", "queue.publish.committed", "door.answered"),
    *("broker.connect", "broker.opened", "broker.replies.consume", "broker.publish.waited", "broker.publish", "broker.published"),
    *("broker.returned", "broker.confirmed", "broker.told", "broker.request.begun", "broker.request.waited"),
    *("broker.reply.received", "broker.report.begun", "broker.marker.begun", "broker.marker.confirmed"),
    *("broker.erasable.begun", "broker.erasable.waited", "broker.close"),
)
_OF_A_WORKER: Final = (
    *("queue.taken", "store.lock.asked", "store.lock.granted", "store.begun", "store.resolved", "store.decided", "store.written"),
    *("store.commit.asked", "store.committed", "queue.settle.written", "queue.settle.committed", "event.received"),
    *("event.committed", "broker.connect", "broker.opened", "broker.looked", "broker.consume", "broker.replies.consume"),
    *("broker.publish",),
    *("broker.published", "broker.confirmed", "broker.told", "broker.delivered", "broker.ack", "broker.acked", "broker.reject"),
    *("broker.flush", "broker.request.taken", "broker.request.answered", "broker.reply", "broker.report.taken"),
    *("broker.report.noted", "broker.marker.begun", "broker.marker.confirmed", "broker.marker.taken", "broker.marker.passed"),
    *("broker.marker.settled", "broker.close"),
)
PLACES: Final[tuple[Place, ...]] = (
    *((DOOR, point) for point in _OF_A_DOOR),
    *((WORKER, point) for point in _OF_A_WORKER),
)
#: Passed while a process starts; only the first hits of a life.
_AT_A_START: Final = {"broker.connect", "broker.opened", "broker.looked", "broker.consume", "broker.replies.consume"}
#: Passed only while keys of a day before are there: at the first start of a run.
FIRST: Final[tuple[Place, ...]] = ((DOOR, "broker.erasable.begun"), (DOOR, "broker.erasable.waited"))
#: A gateway is started anew after so many deaths: the supervisor waits longer for each that dies again.
_DEATHS: Final = 12
#: How long a point may take to be passed.
_PASSED_SECONDS: Final = 30.0


def missing_places() -> set[str]:
    """Return the named points that the table of this campaign forgets."""
    return {*POINTS, *BROKER_POINTS} - {point for _, point in PLACES} - ELSEWHERE.keys()


# -- what leads to a point


def _die(role: str) -> Callable[[Stack], None]:
    def lead(made: Stack) -> None:
        pids = made.rig.pids(role)
        if pids:
            made.rig.signal(made.chance.choice(pids), signal.SIGKILL)
            made.rig.kills += 1

    return lead


def _ask_to_stop(role: str) -> Callable[[Stack], None]:
    def lead(made: Stack) -> None:
        pids = made.rig.pids(role)
        if pids:
            made.rig.signal(made.chance.choice(pids), signal.SIGTERM)

    return lead


def _channel(made: Stack, use: Callable[[pika.adapters.blocking_connection.BlockingChannel], None]) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(made.node.url))
    try:
        use(connection.channel())
    finally:
        connection.close()


def _unbind(made: Stack) -> None:
    """For a moment the broker knows nowhere to put a deposit: it sends it back, and confirms it all the same."""
    lanes = [f"deposits.{number}" for number in range(16)]

    def use(channel: pika.adapters.blocking_connection.BlockingChannel) -> None:
        for lane in lanes:
            channel.queue_unbind(queue_of(lane), EXCHANGE, lane)
        time.sleep(0.3)
        for lane in lanes:
            channel.queue_bind(queue_of(lane), EXCHANGE, lane)

    _channel(made, use)


def _forge(made: Stack) -> None:
    """Somebody else writes to the lanes."""

    def use(channel: pika.adapters.blocking_connection.BlockingChannel) -> None:
        for number in range(16):
            channel.basic_publish(EXCHANGE, f"deposits.{number}", b"\x01 not sealed by a door of ours")

    _channel(made, use)


def _mark_again(made: Stack) -> None:
    """What lanes have passed is not on record any more: the next worker marks them again."""
    with psycopg.connect(made.rig.database or "", autocommit=True) as connection:
        connection.execute("DELETE FROM lane_day")
    _die(WORKER)(made)


#: What leads to points that are not passed among messages.
_LEADS: Final[dict[Place, Callable[[Stack], None]]] = {
    **{place: _die(place[0]) for place in PLACES if place[1] in _AT_A_START},
    **{(DOOR, point): _die(DOOR) for point in ("broker.marker.begun", "broker.marker.confirmed")},
    # A door that begins marks every lane: it cannot know what they have passed.
    **{(WORKER, f"broker.marker.{step}"): _die(DOOR) for step in ("taken", "passed", "settled")},
    **{(WORKER, f"broker.marker.{step}"): _mark_again for step in ("begun", "confirmed")},
    (WORKER, "broker.flush"): _ask_to_stop(WORKER),
    (DOOR, "broker.returned"): _unbind,
    (WORKER, "broker.reject"): _forge,
    (DOOR, "broker.close"): _ask_to_stop(DOOR),
    (WORKER, "broker.close"): _ask_to_stop(WORKER),
}


# -- the campaign


def killed_at_points(
    folder: Path,
    seed: int,
    places: Iterable[Place],
    *,
    first: Place | None = None,
    most_hits: int = 20,
    node: rabbitmq.Node | None = None,
    patience: float = 1.0,
    until: float = 0.0,
) -> tuple[Run, list[str]]:
    """
    Kill at places, one after the other, under load; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic and hits.
        places: Role and point.
        first: One that is passed at the first start only.
        most_hits: The n-th hit is drawn up to here.
        node: The broker; None: one of the run's own.
        patience: How many times longer than promised a recovery may take.
        until: `time.monotonic` at which to stop early; 0 for never.

    Returns:
        The run, and the places that were not passed.
    """
    with stack(
        folder, seed, node=node, server=postgres.shared(), patience=patience, key_days=2, hostile=0.1, standby=1.0
    ) as made:
        if first is not None:
            made.orders.kill(*first)
        made.start()
        if first is not None:
            _wait(made, first)
        deaths = 0
        for place in places:
            if until and time.monotonic() > until:
                break
            deaths += _killed(made, place, most_hits)
            if deaths >= _DEATHS:
                deaths = 0
                _start_anew(made)
        return made.judged(), made.missed


def _killed(made: Stack, place: Place, most_hits: int) -> int:
    """Kill at one place; return how many died."""
    made.wait_there(place[0])
    before = made.rig.kills
    made.orders.kill(*place, 1 if place in _LEADS else made.chance.randint(1, most_hits))
    lead = _LEADS.get(place)
    if lead is not None:
        time.sleep(0.2 * made.chance.random())
        lead(made)
    if _wait(made, place):
        made.rig.wait_accepted(made.load)
    return made.rig.kills - before


def _wait(made: Stack, place: Place) -> bool:
    done = made.orders.wait(_PASSED_SECONDS, lambda: made.load.alive)
    if done is None:
        made.missed.append(" ".join(place))
        return False
    made.rig.kills += 1
    made.faults += 1
    return True


def _start_anew(made: Stack) -> None:
    """`kill -9` of everything, and a new start."""
    made.rig.kill(made.load)
    made.rig.start()
    made.load.listening(made.rig.gateway.port)
    # Five processes start: what any of them had to wait for a processor does not count.
    made.rig.wait_accepted(made.load)


def _line(folder: Path, seed: int, number: int, end: float) -> Run:
    chance = random.Random(seed)
    places = [place for place in PLACES if place not in FIRST]
    chance.shuffle(places)
    run, missed = killed_at_points(
        folder, seed, places, first=FIRST[number % len(FIRST)], most_hits=20, until=end - 30, node=rabbitmq.shared()
    )
    if missed:
        print(f"not passed: {', '.join(missed)}", flush=True)
    return run


LINES: Final = (
    Line(
        name="POINTS",
        what="kill of a door or a worker at every named point of theirs, at random hits, over a broker and a database",
        unit="points × seeds",
        night=20 * len(PLACES),
        share=3,
        least_seconds=90,
        run=_line,
        units=lambda run: run.faults,
    ),
)
