"""
F3 over a broker: a worker or a door is frozen (SIGSTOP) for seconds, at a named point or wherever it is, and woken.

Two workers live at once: where the broker gave up the frozen one, the other has taken its lanes, and what it held in hand, before
it wakes. It goes on with a batch that is committed by then, on a connection that is gone: nothing may be doubled or inverted.
"""

import random
import time
from pathlib import Path
from typing import Final

from tests.harness import postgres, rabbitmq
from tests.harness.broker_stack import Stack, stack
from tests.harness.orders import DOOR, WORKER
from tests.proof.line import Line, Run

Place = tuple[str, str]

#: Where a frozen worker holds a batch and no lock: whoever takes its lanes can settle it meanwhile.
HOLDING: Final[tuple[Place, ...]] = (
    (WORKER, "queue.taken"),
    (WORKER, "store.committed"),
    (WORKER, "queue.settle.written"),
    (WORKER, "broker.ack"),
)
#: Everywhere else.
_OTHERS: Final[tuple[Place, ...]] = (
    *((WORKER, f"store.{step}") for step in ("lock.asked", "begun", "resolved", "decided", "written", "commit.asked")),
    *((WORKER, point) for point in ("broker.delivered", "broker.acked", "broker.request.taken", "broker.request.answered")),
    *((WORKER, point) for point in ("event.received", "event.committed", "broker.reply", "queue.settle.committed")),
    *((DOOR, point) for point in ("door.received", "queue.publish.begun", "queue.publish.committed", "door.answered")),
    *((DOOR, point) for point in ("broker.publish", "broker.published", "broker.confirmed", "broker.told")),
    *((DOOR, point) for point in ("broker.request.begun", "broker.request.waited", "broker.reply.received")),
)
PLACES: Final = (*HOLDING, *_OTHERS)
#: A freeze of the campaign, in seconds.
_SHORTEST, _LONGEST = 1.0, 20.0
_PASSED_SECONDS: Final = 30.0
#: A lane whose consumer is frozen is taken over after two heartbeats and a little: measured 13 s with 5 s.
_TAKEN_OVER_SECONDS: Final = 45.0


def freeze(made: Stack, place: Place, seconds: float) -> bool:
    """Freeze the process that passes a place next; wake it after so many seconds. Tell whether it was passed."""
    made.wait_there(place[0])
    made.orders.freeze(*place, made.chance.randint(1, 5))
    done = made.orders.wait(_PASSED_SECONDS, lambda: made.load.alive)
    if done is None:
        made.missed.append(" ".join(place))
        return False
    time.sleep(seconds)
    made.orders.wake(done.pid)
    made.faults += 1
    return True


def freeze_anywhere(made: Stack, role: str, seconds: float) -> bool:
    """Freeze a process of a role wherever it is."""
    pids = made.wait_there(role)
    if not pids:
        return False
    pid = made.chance.choice(pids)
    made.orders.stop(pid)
    time.sleep(seconds)
    made.orders.wake(pid)
    made.faults += 1
    return True


def revive(made: Stack, place: Place, seconds: float = _TAKEN_OVER_SECONDS) -> bool:
    """
    Freeze a worker with a batch in hand until the other one has settled all that was answered by then; wake it.

    Returns:
        Whether the frozen one had something in hand, and the other one took it over.
    """
    made.orders.freeze(*place, made.chance.randint(1, 5))
    done = made.orders.wait(_PASSED_SECONDS, lambda: made.load.alive)
    if done is None:
        made.missed.append(" ".join(place))
        return False
    frozen, limit = time.time(), time.monotonic() + seconds
    over = False
    # What it had taken, and what the broker had handed to it, was answered before; some of it a moment ago.
    while not over and time.monotonic() < limit:
        time.sleep(0.2)
        over = made.rig.unsettled(frozen) == 0 and made.taken_over(done.pid)
    made.orders.wake(done.pid)
    made.faults += 1
    if not over:
        made.missed.append(f"{place[1]}: nobody took over")
    return over


def frozen(
    folder: Path,
    seed: int,
    freezes: int,
    *,
    revivals: tuple[Place, ...] = (),
    longest: float = _LONGEST,
    node: rabbitmq.Node | None = None,
    heartbeat: int = 5,
    patience: float = 1.0,
    until: float = 0.0,
) -> tuple[Run, int, list[str]]:
    """
    Freeze and wake, one after the other, under load; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic, places and seconds.
        freezes: How many of any kind, after the revivals.
        revivals: Where workers are frozen until another one has their lanes.
        longest: Seconds of a freeze at most.
        node: The broker; None: one of the run's own.
        heartbeat: Seconds.
        patience: How many times longer than promised a recovery may take.
        until: `time.monotonic` at which to stop early; 0 for never.

    Returns:
        The run, how many lanes were taken over from a frozen worker, and what did not come about.
    """
    with stack(folder, seed, node=node, server=postgres.shared(), patience=patience, heartbeat=heartbeat, standby=1.0) as made:
        made.start()
        over = 0
        # Both stand by for the lanes of the other from now on.
        time.sleep(2.0)
        for place in revivals:
            over += revive(made, place)
            if until and time.monotonic() > until:
                break
        for _ in range(freezes):
            if until and time.monotonic() > until:
                break
            seconds = made.chance.uniform(min(_SHORTEST, longest), longest)
            if made.chance.random() < 0.3:
                freeze_anywhere(made, made.chance.choice((DOOR, WORKER)), seconds)
            else:
                freeze(made, made.chance.choice(PLACES), seconds)
        return made.judged(), over, made.missed


def _line(folder: Path, seed: int, number: int, end: float) -> Run:
    chance = random.Random(seed)
    revivals = tuple(chance.sample(HOLDING, 1 + (number % 2)))
    run, over, missed = frozen(
        folder, seed, 1_000, revivals=revivals, node=rabbitmq.shared(), until=min(end - 60, time.monotonic() + 300)
    )
    print(f"{over} batches taken over from a frozen worker{'; not passed: ' if missed else ''}{', '.join(missed)}", flush=True)
    return run


LINES: Final = (
    Line(
        name="FREEZES",
        what="a door or a worker frozen for 1 to 20 s and woken, two of each at once, over a broker and a database",
        unit="freezes",
        night=500,
        share=2,
        least_seconds=120,
        run=_line,
        units=lambda run: run.faults,
    ),
)
