"""A campaign of one reader, started as a process, and its figures."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_PROGRESS: Final = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)
_STATISTIC: Final = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
#: What a start takes on a busy machine: every module is rewritten to count its branches.
_START_SECONDS: Final = 60.0


@dataclass
class Figures:
    """What one campaign did."""

    reader: str
    executions: int = 0
    #: Branches of the gateway's code that were taken at least once.
    edges: int = 0
    #: Branches and how often each was taken, as the library tells inputs apart.
    features: int = 0
    corpus: int = 0
    peak_mb: int = 0
    slowest_seconds: int = 0
    findings: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the line of the report."""
        return (
            f"{self.reader:8} {self.executions} inputs, {self.edges} branches, {self.features} features, {self.corpus} kept, "
            f"peak {self.peak_mb} MB, slowest {self.slowest_seconds} s, {len(self.findings)} findings"
        )


def campaign(reader: str, keep: Path, *, seconds: int, seed: int, corpus: Path | None = None, first: bool = False) -> Figures:
    """
    Run one campaign.

    Args:
        reader: Its name in `tests.fuzz.readers`.
        keep: Takes the inputs that fail.
        seconds: How long.
        seed: Of the library's chance; with the same code and corpus it makes the same inputs.
        corpus: A folder of seeds that grows; None: the samples alone.
        first: End at the first input that fails.
    """
    command = [sys.executable, "-m", "tests.fuzz.drive", reader, "--keep", str(keep)]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    command += ["--corpus", str(corpus)] if corpus else []
    command += ["--first"] if first else []
    limit = seconds + _START_SECONDS + max(60.0, seconds / 2)
    with tempfile.TemporaryDirectory(prefix="dmp-fuzz-") as temporary:
        environment = {**os.environ, "PYTHONHASHSEED": "0", "TMPDIR": temporary}
        ran = subprocess.run(
            command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=limit
        )
    told = ran.stderr.decode("utf-8", "replace")
    found = Figures(reader)
    for progress in _PROGRESS.finditer(told):
        found.executions, found.edges, found.features, found.corpus = map(int, progress.groups())
    statistics = {name: int(value) for name, value in _STATISTIC.findall(told)}
    found.executions = statistics.get("number_of_executed_units", found.executions)
    found.peak_mb = statistics.get("peak_rss_mb", 0)
    found.slowest_seconds = statistics.get("slowest_unit_time_sec", 0)
    found.findings = sorted(path.name for path in keep.iterdir() if path.suffix != ".txt") if keep.is_dir() else []
    if ran.returncode and not found.findings:
        found.findings.append(f"the process ended with {ran.returncode}: {told[-2000:]}")
    return found
