"""Timing: a subject beside its floor, round by round, so that a noisy machine is noisy for both."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Final

import msgspec

#: A side of a round lasts at least so long, so that the clock's grain and a wake-up do not count.
_ROUND_SECONDS: Final = 0.02


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tables: medians over the rounds."""

    group: str
    name: str
    #: What the ratio is taken to.
    floor: str
    #: Microseconds of one call.
    micros: float
    floor_micros: float
    #: Median of the rounds' ratios: not the quotient of the two medians, which drift apart.
    ratio: float


def compare(
    group: str,
    name: str,
    subject: Callable[[], object],
    floor: tuple[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.thread_time,
) -> Row:
    """
    Time a call beside its floor.

    Args:
        group: Which table the row belongs to.
        name: What is called.
        subject: The call.
        floor: Name of the floor, and its call.
        rounds: How many rounds; each times both, one after the other.
        clock: The time of this thread on a core, which neighbours do not lengthen; for what waits, that of the wall.
    """
    floor_name, bare = floor
    gc.collect()
    loops, floor_loops = _loops(subject), _loops(bare)
    pairs = [(_seconds(subject, loops, clock), _seconds(bare, floor_loops, clock)) for _ in range(rounds)]
    return row(group, name, floor_name, pairs)


def row(group: str, name: str, floor: str, pairs: list[tuple[float, float]]) -> Row:
    """
    Return the row of pairs of times.

    Args:
        group: Which table the row belongs to.
        name: What was timed.
        floor: Name of the floor.
        pairs: Seconds of one call of the subject and of the floor, a pair a round.
    """
    return Row(
        group=group,
        name=name,
        floor=floor,
        micros=statistics.median(mine for mine, _ in pairs) * 1e6,
        floor_micros=statistics.median(bare for _, bare in pairs) * 1e6,
        ratio=statistics.median(mine / bare for mine, bare in pairs),
    )


def _loops(call: Callable[[], object]) -> int:
    """Return how often to call in a round; the first call warms caches."""
    call()
    return max(1, round(_ROUND_SECONDS / max(_seconds(call, 1, time.perf_counter), 1e-7)))


def _seconds(call: Callable[[], object], loops: int, clock: Callable[[], float]) -> float:
    """Return the seconds of one call, over `loops` of them; the collector waits meanwhile."""
    gc.disable()
    try:
        begun = clock()
        for _ in range(loops):
            call()
        return (clock() - begun) / loops
    finally:
        gc.enable()
