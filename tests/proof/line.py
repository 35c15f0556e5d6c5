"""What a campaign hands back, and what a line of the table says about one."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.judge import Judgement


@dataclass
class Run:
    """What one run did and showed."""

    judgement: Judgement
    kills: int = 0
    #: Faults of any kind that took place while messages were in flight.
    faults: int = 0
    #: Seconds from a start after a death to the first AA (L8).
    recoveries: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def broken(self) -> bool:
        """Whether a promise was broken."""
        return self.judgement.broken

    @property
    def ok(self) -> bool:
        """Whether nothing was breached, nothing came late, and the run was what it was meant to be."""
        return self.judgement.ok and not self.failures

    def line(self) -> str:
        """Return the line of the report."""
        slowest = f", first AA after a restart ≤ {max(self.recoveries):.1f} s" if self.recoveries else ""
        return f"{self.judgement.line()}; {self.judgement.sends} sends, {self.faults} faults, {self.kills} kills{slowest}"

    def told(self) -> str:
        """Return what was breached, for a person."""
        return "\n".join([self.judgement.told(), *self.failures])


@dataclass(frozen=True, kw_only=True)
class Line:
    """
    One line of the table.

    Attributes:
        night: The column of a release, in units.
        share: Of the time, beside the shares of the others.
        least_seconds: With less time left no run is begun: a whole run fits in so many.
        run: (folder that does not exist yet, seed, number of the run, `time.monotonic` at which to stop) → the run.
        units: What a run counts for.
        counted: Whether its messages and faults make a run of the whole count.
    """

    name: str
    what: str
    unit: str
    night: int
    share: float
    least_seconds: float
    run: Callable[[Path, int, int, float], Run]
    units: Callable[[Run], int]
    counted: bool = True

    def seed(self, seed: int, number: int) -> int:
        """Return the seed of one run."""
        return random.Random(f"{seed}/{self.name}/{number}").randrange(1 << 31)
