"""S4: every route of the HTTP door by its own description, with samples in its bodies, whole and wounded (`schemathesis`)."""

import time
from pathlib import Path
from typing import Final

from tests.harness.day import PATIENTS, opened
from tests.harness.described import walk
from tests.harness.judge import Judgement
from tests.harness.portal import portal
from tests.proof.line import Line, Run

#: For each route in one run.
_EXAMPLES: Final = 500
#: What starting and ending one costs.
_AROUND_SECONDS: Final = 10


def described(folder: Path, seed: int, *, until: float, examples: int = _EXAMPLES) -> Run:
    """
    Ask every route so many times.

    Args:
        folder: Does not exist yet.
        seed: Decides every request.
        until: `time.monotonic` at which to stop.
        examples: For each route.
    """
    folder.mkdir(parents=True)
    begun, failures = time.monotonic(), []
    with portal(folder) as door:
        for patient in PATIENTS:
            opened(door, patient)
        found = walk(door.process.http_port, chance=seed, examples=examples, until=until)
        try:
            door.check()
        except AssertionError as error:
            failures.append(str(error))
    told = ", ".join(f"{count} × {status}" for status, count in sorted(found.statuses.items()))
    print(f"S4    {found.requests} requests: {told}", flush=True)
    return Run(
        judgement=Judgement(attempt=found.requests), failures=[*found.failures, *failures], seconds=time.monotonic() - begun
    )


LINES: Final = (
    Line(
        name="S4",
        what="each route of the HTTP door by its own description: no 5xx, no undeclared status, type, header, no broken schema",
        unit="requests",
        night=200_000,
        share=1,
        least_seconds=_AROUND_SECONDS + 5,
        run=lambda folder, seed, _, end: described(folder, seed, until=end - _AROUND_SECONDS),
        units=lambda run: run.judgement.attempt,
        counted=False,
    ),
)
