"""
F17 over a broker: each message one to five times, shuffled over connections and two doors, with kills; then the whole day again.

The day is sent once more in another order, as an operator of a sender does who is not sure what arrived: whatever took effect is
answered AA, and nothing changes.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.harness import postgres, rabbitmq
from tests.harness.broker_stack import Stack, stack
from tests.harness.judge import effects
from tests.harness.load import Load
from tests.harness.traffic import DEPOSITS, STATEMENTS, Step, Traffic
from tests.proof.line import Line, Run

#: Numbers of the connections that send the day again: other ledgers than those of the day.
_REPLAYS: Final = 5_000
_REPLAY_SECONDS: Final = 300.0


def _supply(steps: list[Step]) -> Callable[[], list[Step] | None]:
    waiting, lock = iter(steps), threading.Lock()

    def strand() -> list[Step] | None:
        with lock:
            step = next(waiting, None)
        return None if step is None else [step]

    return strand


def replayed(
    folder: Path,
    seed: int,
    *,
    strands: int = 300,
    copies: int = 5,
    kills: int = 2,
    replays: int = 1,
    node: rabbitmq.Node | None = None,
    patience: float = 1.0,
) -> Run:
    """
    Send a day, each message up to so many times and in any order, then the day again; judge.

    Args:
        folder: Empty.
        seed: Decides traffic, copies and order.
        strands: How many strands the day has.
        copies: How often a message is sent at most.
        kills: How many doors and workers are killed meanwhile.
        replays: How often the whole day is sent again.
        node: The broker; None: one of the run's own.
        patience: How many times longer than promised a recovery may take.
    """
    sent: list[Step] = []
    day: list[Step] = []

    def shuffled(traffic: Traffic) -> Callable[[], list[Step] | None]:
        day.extend(step for _ in range(strands) for step in traffic.strand())
        sent.extend(step for step in day for _ in range(1 + step.strand * 7919 % copies))
        made.chance.shuffle(sent)
        return _supply(sent)

    with stack(folder, seed, node=node, server=postgres.shared(), patience=patience) as made:
        made.load = Load(shuffled(made.traffic), made.rig.ledgers, connections=16)
        made.start()
        for number in range(1, kills + 1):
            while made.load.alive and made.load.answered < len(sent) * number // (kills + 1):
                time.sleep(0.01)
            if made.load.alive:
                made.rig.kill_one(made.chance)
        made.load.join(_REPLAY_SECONDS)
        for number in range(replays):
            made.failures += _again(made, day, _REPLAYS + 100 * number)
        made.faults = made.rig.kills + len(sent) - len(day) + replays * len(day)
        return made.judged()


def _again(made: Stack, day: list[Step], first_name: int) -> list[str]:
    """Send what took effect again in another order, over both doors; return what is wrong."""
    if not made.rig.drained():
        return ["not drained before the replay"]
    took = made.rig.took_effect()
    steps = [step for step in day if step.id in took and step.kind in (*DEPOSITS, *STATEMENTS)]
    made.chance.shuffle(steps)
    before = effects(made.rig.data, made.rig.database)
    load = Load(_supply(steps), made.rig.ledgers, connections=8, first_name=first_name)
    load.start(made.rig.gateway.port)
    load.join(_REPLAY_SECONDS)
    made.rig.drained()
    after = effects(made.rig.data, made.rig.database)
    return [
        *load.failures,
        *(f"{table} changed when the day was sent again" for table in before if before[table] != after[table]),
    ]


LINES: Final = (
    Line(
        name="REPLAYS",
        what="F17 over a broker: each message one to five times, in any order, two doors, kills, then the whole day again",
        unit="messages",
        night=1_000_000,
        share=2,
        least_seconds=120,
        run=lambda folder, seed, _, end: replayed(
            folder,
            seed,
            strands=400 if end > time.monotonic() + 240 else 120,
            kills=4,
            replays=2,
            node=rabbitmq.shared(),
        ),
        units=lambda run: run.judgement.sends,
    ),
)
