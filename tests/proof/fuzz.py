"""
Damaged input for every reader: frame, ER7, CDA, wire… Each is read, or refused by its own error, within a second; nothing else.

Mutations of the samples; a failing input is kept beside the run, named by its reader and number. S1 (`tests/proof/guided.py`)
gives the same readers inputs that look for branches.
"""

import random
import time
import traceback
from pathlib import Path
from typing import Final

from tests.fuzz.readers import Readers
from tests.fuzz.wounds import wounded
from tests.harness.judge import Judgement
from tests.proof.line import Line, Run

_SECONDS: Final = 20.0
_SLOW_SECONDS: Final = 1.0


def fuzz(folder: Path, seed: int, *, until: float, seconds: float = _SECONDS) -> Run:
    """
    Feed damaged input to every reader in turn.

    Args:
        folder: Takes the inputs that fail.
        seed: Decides every input.
        until: `time.monotonic` at which to stop.
        seconds: How long, at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chance, readers, found = random.Random(seed), Readers(), Judgement()
    failures: list[str] = []
    begun = time.monotonic()
    stop = min(until, begun + seconds)
    while time.monotonic() < stop and len(failures) < 10:
        for name, reader in readers.all.items():
            data = wounded(chance.choice(reader.seeds), chance, reader.seeds)
            found.attempt += 1
            before = time.thread_time()
            try:
                reader.read(data)
                spent = time.thread_time() - before
                failure = f"{spent:.1f} s" if spent > _SLOW_SECONDS else ""
            except Exception:
                failure = traceback.format_exc()
            if failure:
                kept = folder / f"{name}-{found.attempt}.bin"
                kept.write_bytes(data)
                failures.append(f"{name}, input {found.attempt} of seed {seed}, kept as {kept}: {failure}")
    return Run(judgement=found, failures=failures, seconds=time.monotonic() - begun)


#: The release asks for so many of each reader.
_READERS: Final = 4

LINES: Final = (
    Line(
        name="FUZZ",
        what="damaged frames, messages, documents and queue bytes: read or refused, nothing else",
        unit="inputs",
        night=_READERS * 5_000_000,
        share=1,
        least_seconds=2,
        run=lambda folder, seed, _, end: fuzz(folder, seed, until=end),
        units=lambda run: run.judgement.attempt,
        counted=False,
    ),
)
