"""
S1: inputs guided by coverage for every reader of what comes from outside. A run is one reader for a minute, in a process of its
own; what it found to reach new branches is the beginning of its next run.
"""

import tempfile
import time
from pathlib import Path
from typing import Final

from tests.fuzz.campaign import campaign
from tests.fuzz.readers import NAMES
from tests.harness.judge import Judgement
from tests.proof.line import Line, Run

_SECONDS: Final = 60
#: What starting and ending one costs.
_AROUND_SECONDS: Final = 20
#: Seeds that grew in runs before, of this machine alone: every run also begins with the samples.
CORPUS: Final = Path(tempfile.gettempdir()) / "dmp-fuzz-corpus"


def guided(folder: Path, seed: int, number: int, *, until: float, corpus: Path | None = CORPUS) -> Run:
    """
    Run one campaign: the readers take turns by number.

    Args:
        folder: Takes the inputs that fail.
        seed: Of the library's chance.
        number: Of the run.
        until: `time.monotonic` at which to stop.
        corpus: Where seeds grow, a folder for each reader; None: the samples alone.
    """
    name = NAMES[number % len(NAMES)]
    begun = time.monotonic()
    seconds = max(1, int(min(_SECONDS, until - begun - _AROUND_SECONDS)))
    figures = campaign(name, folder / name, seconds=seconds, seed=seed, corpus=corpus / name if corpus else None)
    print(f"S1    {figures.line()}", flush=True)
    failures = [f"{name}: {each}, kept in {folder / name}" for each in figures.findings]
    return Run(judgement=Judgement(attempt=figures.executions), failures=failures, seconds=time.monotonic() - begun)


LINES: Final = (
    Line(
        name="S1",
        what="inputs guided by coverage for every reader: no other error than its own, none over 1 s, no memory over its ceiling",
        unit="inputs",
        night=200_000_000,
        share=2,
        least_seconds=_AROUND_SECONDS + 2,
        run=lambda folder, seed, number, end: guided(folder, seed, number, until=end),
        units=lambda run: run.judgement.attempt,
        counted=False,
    ),
)
