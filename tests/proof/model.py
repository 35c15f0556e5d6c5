"""MODEL: the store and its reference, and the properties of D-5, D-6 and D-13, with as many examples as the time allows."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.harness.examples import VARIABLE
from tests.harness.judge import Judgement
from tests.proof.line import Line, Run

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_TESTS: Final = ("tests/contract/store/test_stateful.py", "tests/contract/store/test_convergence.py")
#: Seconds of a whole run; with less there are fewer examples.
_WHOLE_SECONDS: Final = 90
#: Backend → examples of each property in one run: a minute or so.
_EXAMPLES: Final = {"sqlite": 100, "postgres": 20}


def modelled(folder: Path, seed: int, number: int, *, until: float) -> Run:
    """Run every property once with a seed of its own, on one backend after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    backend = tuple(_EXAMPLES)[number % len(_EXAMPLES)]
    begun, run = time.monotonic(), Run(judgement=Judgement())
    examples = max(2, int(_EXAMPLES[backend] * min(1.0, (until - begun) / _WHOLE_SECONDS)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "timeout=0"]
    command += [f"--hypothesis-seed={seed}", "-k", backend, *_TESTS]
    try:
        ran = subprocess.run(
            command,
            cwd=_ROOT,
            env=os.environ | {VARIABLE: str(examples)},
            capture_output=True,
            text=True,
            timeout=max(1.0, until - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        run.seconds = time.monotonic() - begun
        return run
    passed = re.search(r"(\d+) passed", ran.stdout)
    run.judgement.attempt = int(passed[1]) * examples if passed else 0
    if ran.returncode:
        (folder / "output.txt").write_text(ran.stdout + ran.stderr, encoding="utf-8")
        run.failures.append(f"{' '.join(command[1:])} on {backend}\n{ran.stdout[-6_000:]}")
    run.seconds = time.monotonic() - begun
    return run


LINES: Final = (
    Line(
        name="MODEL",
        what="the store and a reference step by step, and every order and every cut of a history",
        unit="histories",
        night=100_000,
        share=2,
        least_seconds=25,
        run=lambda folder, seed, number, end: modelled(folder, seed, number, until=end),
        units=lambda run: run.judgement.attempt,
        counted=False,
    ),
)
