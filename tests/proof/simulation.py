"""SIM: seeds against the adversary, in one thread; every seed that fails is told with its least history."""

import time
from pathlib import Path
from typing import Final

from tests.harness.judge import Judgement
from tests.proof.line import Line, Run
from tests.simulation.run import shrunk, simulate

#: Seeds of one run: a quarter of a minute or so.
_SEEDS: Final = 1_000
_CHUNK: Final = 20
#: Promise → what the report counts it as.
_COUNTED: Final = {"L1": "lost", "L2": "duplicated", "L3": "inverted", "L4": "against"}


def simulated(folder: Path, seed: int, *, until: float, seeds: int = _SEEDS) -> Run:
    """Play seeds until they are played or the time is up."""
    folder.mkdir(parents=True, exist_ok=True)
    begun, found, failures = time.monotonic(), Judgement(), []
    run = Run(judgement=found, failures=failures)
    for first in range(seed, seed + seeds, _CHUNK):
        if time.monotonic() > until or failures:
            break
        report = simulate(range(first, first + _CHUNK))
        found.attempt += report.seeds
        found.sends += report.sends
        found.acknowledged += report.acknowledged
        found.refused += report.verdicts["refused"]
        found.verdicts = {
            name: found.verdicts.get(name, 0) + report.verdicts[name] for name in {*found.verdicts, *report.verdicts}
        }
        run.faults += sum(report.faults.values())
        run.kills += report.faults["kill"]
        for number, broken in report.broken.items():
            for line in broken:
                found.violations[_COUNTED.get(line[:2], "unexpected")].append(f"seed {number}: {line}")
            history = "\n".join(shrunk(number))
            (folder / f"seed-{number}.txt").write_text(history, encoding="utf-8")
            failures.append(f"seed {number}, to be kept in tests/simulation/seeds.txt:\n{history}")
    run.seconds = time.monotonic() - begun
    print(
        f"SIM {found.attempt} seeds, {found.sends} messages, {run.faults} faults, {len(failures)} violations,"
        f" {3600 * found.attempt / max(run.seconds, 0.001):,.0f} seeds an hour",
        flush=True,
    )
    return run


LINES: Final = (
    Line(
        name="SIM",
        what="worker and store in one thread against a queue that does all that it may",
        unit="seeds",
        night=2_000_000,
        share=2,
        least_seconds=2,
        run=lambda folder, seed, _, end: simulated(folder, seed, until=end),
        units=lambda run: run.judgement.attempt,
        counted=False,
    ),
)
