"""The figures of a run as lines of text: medians over the turns, and their spread."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec

from benchmarks.pipeline.runs import Run
from benchmarks.pipeline.stages import Stage

#: What is aimed at: of the floor's rate and milliseconds at the most clients, messages a second of a lone one.
AIM_SHARE: Final = 0.40
AIM_P99_MS: Final = 25.0
AIM_LONE_RATE: Final = 300.0


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    cores: int
    #: Processes that wanted a core in the last minute before the run.
    load_average: float
    #: A page written with its fsync where the servers keep their files.
    sync_ms: float
    sync_p99_ms: float


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway beside the floor of the same turn, over the turns."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        """As per cent."""
        return f"{self.median:.0%} ({self.least:.0%} to {self.most:.0%})"


def share(runs: Sequence[Run], value: Callable[[Run], float]) -> Share:
    """Return the quotients of gateway and floor, each of one turn."""
    turns = sorted({run.turn for run in runs})
    found = []
    for turn in turns:
        both = {run.pipeline: value(run) for run in runs if run.turn == turn}
        found.append(both["gateway"] / both["floor"])
    return Share(median=statistics.median(found), least=min(found), most=max(found))


def lines(found: Iterable[Machine | Run | Stage]) -> Iterator[str]:
    """Give the lines of a whole run."""
    every = list(found)
    runs = [one for one in every if isinstance(one, Run)]
    for one in every:
        if isinstance(one, Machine):
            yield f"{one.cores} cores, load average {one.load_average:.1f} before and {_most(runs):.1f} at most meanwhile."
            yield f"A page with its fsync takes {one.sync_ms:.2f} ms, the 99th of a hundred {one.sync_p99_ms:.2f} ms."
            yield "Medians over the turns, spread in brackets. Figures drift with the machine: compare ratios, of one run."
    yield from _runs(runs)
    yield from _stages([one for one in every if isinstance(one, Stage)])
    yield from _aims(runs)


def _most(runs: Sequence[Run]) -> float:
    return max((run.load_average for run in runs), default=0.0)


def _runs(runs: Sequence[Run]) -> Iterator[str]:
    def load(run: Run) -> tuple[str, float, int]:
        return run.kind, run.slowed_ms, run.clients

    for (kind, slowed, clients), group in groupby(sorted(runs, key=load), key=load):
        of_load = list(group)
        slow = f", {slowed:.0f} ms more a commit" if slowed else ""
        yield f"\n{f'{kind}, {clients} clients{slow}':44} {'AA/s':>7} {'stored/s':>8} {'p50 ms':>7} {'p99 ms':>7} {'core µs':>8}"
        for name in ("floor", "gateway"):
            those = [run for run in of_load if run.pipeline == name]
            yield (
                f"  {name:42} {_median(those, 'accepted_rate'):7.0f} {_median(those, 'stored_rate'):8.0f}"
                f" {_median(those, 'p50_ms'):7.2f} {_median(those, 'p99_ms'):7.2f} {_median(those, 'core_us'):8.0f}"
                f"   {_parts(those)}"
            )
        confirms = [run.confirm_p99_ms for run in of_load if run.confirm_p99_ms is not None]
        yield f"  of the floor's rate stored {share(of_load, lambda run: run.stored_rate)}"
        yield f"  of its core time {share(of_load, lambda run: run.core_us)}"
        yield f"  p99 of its bare confirm {statistics.median(confirms):.2f} ms"


def _median(runs: Sequence[Run], name: str) -> float:
    return statistics.median(getattr(run, name) for run in runs)


def _parts(runs: Sequence[Run]) -> str:
    names = runs[0].core_us_of
    return ", ".join(f"{name} {statistics.median(run.core_us_of[name] for run in runs):.0f}" for name in names)


def _stages(stages: Sequence[Stage]) -> Iterator[str]:
    for kind, group in groupby(stages, key=lambda stage: stage.kind):
        yield f"\n{f'{kind}: stages':44} {'core µs':>8} {'budget':>7} {'x walk':>7}"
        for one in group:
            budget = "" if one.budget is None else f"{one.budget:.0f}"
            spread = f"({one.least:.0f} to {one.most:.0f})"
            yield f"  {one.stage:42} {one.micros:8.0f} {budget:>7} {one.of_walk:7.2f}   {spread}"


def _aims(runs: Sequence[Run]) -> Iterator[str]:
    small = [run for run in runs if not run.slowed_ms and run.kind == runs[0].kind]
    if not small:
        return
    most = max(run.clients for run in small)
    at_most = [run for run in small if run.clients == most]
    stored = share(at_most, lambda run: run.stored_rate).median
    p99 = _median([run for run in at_most if run.pipeline == "gateway"], "p99_ms")
    yield ""
    yield f"aim, {most} clients: {stored:.0%} of the floor's rate (aim {AIM_SHARE:.0%}): {_met(stored >= AIM_SHARE)}"
    yield f"aim, {most} clients: p99 {p99:.1f} ms (aim {AIM_P99_MS:.0f}): {_met(p99 < AIM_P99_MS)}"
    lone = [run for run in small if run.clients == 1 and run.pipeline == "gateway"]
    if lone:
        rate = _median(lone, "accepted_rate")
        yield f"aim, a lone client: {rate:.0f} a second (aim {AIM_LONE_RATE:.0f}): {_met(rate >= AIM_LONE_RATE)}"


def _met(met: bool) -> str:  # noqa: FBT001
    return "met" if met else "missed"
