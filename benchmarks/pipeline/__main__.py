"""`make bench-pipeline`: MLLP to PostgreSQL over RabbitMQ, as ratios to the floor of the same run. See benchmarks/README.md."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.pipeline import tables
from benchmarks.pipeline.messages import LARGE, SMALL, Kind
from benchmarks.pipeline.runs import Run, Turns
from benchmarks.pipeline.servers import Servers, sync_milliseconds
from benchmarks.pipeline.stages import Stage, stages
from benchmarks.pipeline.tables import Machine

#: Messages of a turn, by number of clients.
_LOADS: Final = {SMALL.name: {1: 300, 8: 800, 32: 1_600}, LARGE.name: {1: 40, 8: 80, 32: 160}}
_QUICK: Final = {SMALL.name: {1: 60, 32: 320}, LARGE.name: {32: 64}}
#: What is added to each commit in the last runs: a slow disk.
_SLOWED_MS: Final = 5.0
_STAGE_ROUNDS: Final = 5

#: Everything that a run may give.
Found = Machine | Run | Stage


def measured(
    loads: dict[str, dict[int, int]], turns: int, rounds: int, folder: Path, made: Callable[[], Servers] = Servers
) -> Iterator[Found]:
    """
    Measure; a turn is both pipelines under every load.

    Args:
        loads: Messages by kind and by number of clients.
        turns: How many.
        rounds: Of the stages.
        folder: Where messages and data go; the servers keep theirs in the system's temporary folder.
        made: Gives the servers.
    """
    kinds = [kind for kind in (SMALL, LARGE) if kind.name in loads]
    median, worst = sync_milliseconds()
    yield Machine(cores=os.cpu_count() or 0, load_average=os.getloadavg()[0], sync_ms=median, sync_p99_ms=worst)
    with made() as servers:
        running = Turns(folder, servers, kinds)
        # Before the gateway runs: its worker would take what is published here.
        for kind in kinds:
            _progress(f"stages of {kind.name}")
            count = max(20, min(loads[kind.name].values()) // 2)
            yield from stages(servers, kind, lambda many, kind=kind: running.next(kind, many), rounds, count)
        with running:
            yield from _turns(running, servers, loads, turns)
    _progress("")


def _turns(running: Turns, servers: Servers, loads: dict[str, dict[int, int]], turns: int) -> Iterator[Run]:
    kinds = running.kinds
    for turn in range(1, turns + 1):
        for kind in kinds:
            for clients, count in loads[kind.name].items():
                _progress(f"turn {turn} of {turns}: {kind.name}, {clients} clients, {count} messages")
                yield from running.turn(kind, clients, count, turn=turn)
        kind, clients, count = _most(kinds[0], loads)
        _progress(f"turn {turn} of {turns}: {_SLOWED_MS:.0f} ms more a commit")
        with servers.slow_commits(_SLOWED_MS):
            yield from running.turn(kind, clients, count, turn=turn, slowed_ms=_SLOWED_MS)


def _most(kind: Kind, loads: dict[str, dict[int, int]]) -> tuple[Kind, int, int]:
    clients = max(loads[kind.name])
    return kind, clients, loads[kind.name][clients]


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.pipeline")
    parser.add_argument("--turns", type=int, default=5, help="how often each pipeline meets each load")
    parser.add_argument("--quick", action="store_true", help="does it run, and roughly what: a minute")
    parser.add_argument("--only", choices=("small", "large"), help="one kind of message")
    parser.add_argument("--json", action="store_true", help="one object per line: the machine, runs, stages")
    asked = parser.parse_args()
    loads = dict(_QUICK if asked.quick else _LOADS)
    if asked.only:
        loads.pop((LARGE if asked.only == "small" else SMALL).name)
    turns, rounds = (2, 2) if asked.quick else (asked.turns, _STAGE_ROUNDS)
    with tempfile.TemporaryDirectory(prefix="dmp-gateway-bench-") as folder:
        found: list[Found] = []
        for one in measured(loads, turns, rounds, Path(folder)):
            found.append(one)
            if asked.json:
                print(msgspec.json.encode(one).decode(), flush=True)
    if not asked.json:
        for line in tables.lines(found):
            print(line)


if __name__ == "__main__":
    main()
