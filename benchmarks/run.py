"""`make bench`: what the gateway costs, as ratios to the least that anybody does with the same bytes. See README.md."""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Final

import msgspec

# Run by its path: the repository is not where Python looks by itself.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import door, inputs, stages
from benchmarks.door import Run
from benchmarks.measure import Row

#: Messages by number of connections.
_LOADS: Final = {1: 600, 8: 1_500, 32: 1_500}
_QUICK_LOADS: Final = {1: 100, 8: 300}


def inside(folder: Path, rounds: int) -> Iterator[Row]:
    """Give the rows of everything that is measured in this process."""
    yield from stages.reading(rounds)
    yield from stages.wires(folder, rounds)
    yield from stages.disk(folder, rounds)
    yield from stages.storing(folder, rounds)


def tables(rows: Iterable[Row]) -> Iterator[str]:
    """Give the lines of the tables, as rows come."""
    for group, of_group in groupby(rows, key=lambda row: row.group):
        yield f"\n{group:58} {'µs':>10} {'floor µs':>10} {'ratio':>7}  floor"
        for row in of_group:
            yield f"{row.name:58} {row.micros:10.1f} {row.floor_micros:10.1f} {row.ratio:7.2f}  {row.floor}"


def doors(runs: Iterable[Run]) -> Iterator[str]:
    """Give the lines of the pipelines: each of the gateway beside the floor's of the same load."""
    yield f"\n{'MLLP to stored':24} {'stored/s':>9} {'AA/s':>7} {'p50 ms':>7} {'p99 ms':>7}   of the floor"
    floors: dict[int, Run] = {}
    for run in runs:
        bare = floors.setdefault(run.connections, run)
        share = f"{run.stored_rate / bare.stored_rate:.0%} of its rate, {run.p99_ms / bare.p99_ms:.1f} x its p99"
        yield (
            f"{f'{run.pipeline}, {run.connections} connections':24} {run.stored_rate:9.0f} {run.answered_rate:7.0f}"
            f" {run.p50_ms:7.2f} {run.p99_ms:7.2f}   {share if bare is not run else ''}"
        ).rstrip()


def main() -> None:
    """Measure, and print as results come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, few messages: does it run, and roughly what")
    parser.add_argument("--json", action="store_true", help="one object per line: rows, then runs")
    parser.add_argument("--only", choices=("inside", "doors"), help="what happens in one process, or the pipelines")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; default: the system's temporary folder")
    asked = parser.parse_args()
    rounds, loads = (3, _QUICK_LOADS) if asked.quick else (15, _LOADS)
    with tempfile.TemporaryDirectory(prefix="dmp-gateway-bench-", dir=asked.folder) as made:
        folder = Path(made)
        rows = inside(folder, rounds) if asked.only != "doors" else iter(())
        runs = door.runs(folder, loads) if asked.only != "inside" else iter(())
        if asked.json:
            for one in chain(rows, runs):
                print(msgspec.json.encode(one).decode(), flush=True)
            return
        print("Medians. Absolute figures drift with the machine: compare ratios, of one run.")
        if inputs.corpus() is None:
            print("No corpus (DMP_CORPUS): the two large messages are left out.")
        for line in chain(tables(rows), doors(runs) if asked.only != "inside" else ()):
            print(line, flush=True)


if __name__ == "__main__":
    main()
