"""
F10 and F11: a leg of the gateway goes dark without a word, or is slow: towards its clients, its broker, its database.

The gateway is the real one, `serve` with doors and workers. A proxy swallows or delays (`tests.harness.netns_line`); where this
process may make network namespaces, every fourth run of F10 pulls a real cable between them.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.harness import netns, postgres, rabbitmq
from tests.harness.judge import Judgement
from tests.harness.load import Load
from tests.harness.netns_line import Weather
from tests.harness.netns_rig import LEGS, MEMORY_BYTES, WiredRig, loads
from tests.harness.netns_server import FarCluster, freed_after
from tests.harness.traffic import Traffic
from tests.proof.line import Line, Run

#: How long a busy machine may be late with an answer.
_MARGIN_SECONDS: Final = 3.0
#: The first AA after a broker can be reached again (L8), whose lost lines are noticed by their heartbeat: two of ten seconds.
_AFTER_BROKER_SECONDS: Final = 10.0
_NOTICED_SECONDS: Final = 20.0
#: The first outcome after a database can be reached again: a statement that had no answer is given up after 35 s.
_AFTER_DATABASE_SECONDS: Final = 10.0
_GIVEN_UP_SECONDS: Final = 35.0
#: A gateway that cannot be reached any more keeps its locks no longer.
_LOCKED_SECONDS: Final = 30.0
#: What waited is taken in so long.
_DRAIN_SECONDS: Final = 240.0

#: What F11 is made of, each on every leg.
SLOW: Final = (
    Weather(delay=(0.005, 0.005)),
    Weather(delay=(0.005, 0.1)),
    Weather(delay=(0.1, 0.5)),
    Weather(rate=1_000.0, piece=200),
    Weather(rate=20_000.0, piece=1),
    Weather(delay=(0.0, 0.05), piece=7),
)

#: What happens to a gateway whose legs are lines, while two loads send: one over the client's leg, one straight to the door.
Trouble = Callable[[WiredRig, Load, Load], None]


def dark(legs: tuple[str, ...], seconds: float, *, slack: float = 0.0) -> Trouble:
    """Legs swallow everything for a while; `slack` is what a busy machine may take longer to come back."""

    def happens(rig: WiredRig, wired: Load, direct: Load) -> None:
        before = direct.accepted_at
        rig.go_dark(legs, seconds)
        if "broker" in legs:
            rig.wait_accepted(direct, max(_AFTER_BROKER_SECONDS, _NOTICED_SECONDS - seconds) + slack)
        if "database" in legs:
            rig.wait_written(max(_AFTER_DATABASE_SECONDS, _GIVEN_UP_SECONDS - seconds) + slack)
        if legs == ("client",):
            if direct.accepted_at <= before:
                rig.slow.append(f"the line of some clients was dark for {seconds:g} s, and nobody else had an AA meanwhile")
            rig.wait_accepted(wired, 20.0 + _AFTER_BROKER_SECONDS + slack)

    return happens


def slow(leg: str, weather: Weather, seconds: float) -> Trouble:
    """A leg is slow for a while; where it is the clients', nobody else may notice."""

    def happens(rig: WiredRig, wired: Load, direct: Load) -> None:
        before = direct.accepted_at
        rig.leg(leg).weather = weather
        rig.measure()
        time.sleep(seconds)
        rig.fair()
        if leg == "client" and direct.accepted_at <= before:
            rig.slow.append(f"some clients were slow for {seconds:g} s, and nobody else had an AA meanwhile: {weather}")
        rig.wait_accepted(direct, _NOTICED_SECONDS + _AFTER_BROKER_SECONDS)
        rig.wait_accepted(wired, _NOTICED_SECONDS + _AFTER_BROKER_SECONDS)

    return happens


def troubled(
    folder: Path,
    seed: int,
    troubles: Sequence[Trouble],
    *,
    node: rabbitmq.Node | None = None,
    connections: int = 8,
    workers: int = 2,
    answer_seconds: float = 10.0,
    margin: float = _MARGIN_SECONDS,
    until: float = 0.0,
) -> Run:
    """
    Put a gateway under load, let things happen to its legs, one after the other; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic and moments.
        troubles: What happens.
        node: The broker; None: one of the run's own.
        connections: How many send over the client's leg, and as many straight to the door.
        workers: How many workers.
        answer_seconds: What is not durable by then is answered AR.
        margin: How long a busy machine may be late with it.
        until: `time.monotonic` at which to stop early; 0 for never.
    """
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 20))
    own = None if node else rabbitmq.Node()
    broker, server = node or own, postgres.shared()
    assert broker is not None
    broker.empty()
    database = server.lend(clean=False)
    rig = WiredRig(folder, broker, database, seed=seed, workers=workers, answer_seconds=answer_seconds)
    happened = 0
    try:
        rig.open_records(traffic.patients)
        rig.start()
        wired, direct = loads(rig, traffic.strand, connections)
        direct.wait_heard(rig.gateway.port, 30)
        for trouble in troubles:
            time.sleep(0.2 + 0.5 * chance.random())
            trouble(rig, wired, direct)
            happened += 1
            if until and time.monotonic() > until:
                break
        rig.measure()
        for load in (wired, direct):
            load.finish()
        rig.drained(_DRAIN_SECONDS)
        found = rig.judged()
        found.violations["unexpected"] += rig.promised_in_the_dark()
        failures = [*wired.failures, *direct.failures, *rig.unanswered_in_the_dark(margin)]
        if rig.peak_bytes > MEMORY_BYTES:
            failures.append(f"a process took {rig.peak_bytes >> 20} MiB")
        return Run(
            judgement=found,
            faults=happened,
            recoveries=rig.recoveries,
            failures=failures,
            seconds=time.monotonic() - begun,
        )
    finally:
        rig.close()
        server.give_back(database, thoroughly=False)
        if own is not None:
            own.close()
        else:
            broker.empty()


def cable(margin: float = _MARGIN_SECONDS) -> Run:
    """F10 on a real cable: a session that holds a lock, idle or in the middle of a COPY, is cut off; the lock is freed."""
    begun, run = time.monotonic(), Run(judgement=Judgement())
    apart = netns.Apart()
    try:
        cluster = FarCluster(apart)
        try:
            for copying in (False, True):
                run.recoveries.append(freed_after(apart, cluster, copying=copying))
                run.faults += 1
        finally:
            cluster.close()
    finally:
        apart.close()
    run.failures += [f"a lock was kept for {each:.1f} s" for each in run.recoveries if each > _LOCKED_SECONDS + margin]
    run.seconds = time.monotonic() - begun
    return run


def _dark(folder: Path, seed: int, number: int, end: float) -> Run:
    """F10: legs go dark in turn, alone and together; three minutes long in every eighth run; by turns on a real cable."""
    if number % 4 == 1 and netns.can_be_made():
        return cable()
    chance = random.Random(seed)
    long = number % 8 == 7 and end > time.monotonic() + 600
    seconds = 180.0 if long else chance.choice((5.0, 15.0, 40.0))
    legs = [("broker",), ("database",), ("client",), ("broker", "database")]
    chance.shuffle(legs)
    fitting = max(1, min(len(legs), int((end - time.monotonic() - 60) / (seconds + 25))))
    return troubled(folder, seed, [dark(each, seconds) for each in legs[:fitting]], until=end - 30)


def _slow(folder: Path, seed: int, _number: int, end: float) -> Run:
    """F11: every kind of slowness on every leg, shuffled, as much as fits."""
    chance = random.Random(seed)
    kinds = [(leg, weather) for leg in LEGS for weather in SLOW]
    chance.shuffle(kinds)
    seconds = 10.0
    fitting = max(1, min(len(kinds), int((end - time.monotonic() - 60) / (2 * seconds))))
    return troubled(folder, seed, [slow(leg, weather, seconds) for leg, weather in kinds[:fitting]], until=end - 60)


LINES: Final = (
    Line(
        name="F10",
        what="the line to clients, broker or database dark without a word (5 to 40 s; 3 min in every eighth run)",
        unit="holes",
        night=30,
        share=3,
        least_seconds=150,
        run=_dark,
        units=lambda run: run.faults,
    ),
    Line(
        name="F11",
        what="the line to clients, broker or database slow: 5 to 500 ms, 1 kB/s, byte by byte",
        unit="spells of 10 s",
        night=720,
        share=3,
        least_seconds=150,
        run=_slow,
        units=lambda run: run.faults,
    ),
)
