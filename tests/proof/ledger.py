"""What the proof has done so far: one line a run, so that an interrupted one goes on where it was."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import ledger
from tests.proof.line import Run

FOLDER = Path("proof-ledger")
#: What the report adds up for each line: of what was sent, and what must be zero.
FIGURES = ("attempt", "acknowledged", "lost", "unexpected", "duplicated", "inverted", "against")
#: A run of the whole counts only with so many messages and a fault among them.
MESSAGES, FAULTS = 1_000, 1


@dataclass
class Totals:
    """What the ledger holds of one line of the table."""

    done: int = 0
    messages: int = 0
    faults: int = 0
    failed: int = 0
    runs: int = 0
    figures: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        """Return the line of the figures."""
        return " ".join(f"{name} {self.figures[name]}" for name in FIGURES)


class ProofLedger:
    """
    The ledger of one seed.

    Args:
        seed: A run of another seed is another proof.
        folder: Where the ledgers lie.
    """

    def __init__(self, seed: int, folder: Path = FOLDER) -> None:
        self.path = folder / f"seed-{seed}.jsonl"
        self._lines = list(ledger.read(self.path))
        self._ledger = ledger.Ledger(self.path)

    @property
    def resumed(self) -> int:
        """How many runs were there already."""
        return len(self._lines)

    def done(self, line: str) -> set[int]:
        """Return the numbers of the runs that were done and kept every promise; a failed one is repeated."""
        return {each["number"] for each in self._lines if each["line"] == line and not each["failure"]}

    def note(self, line: str, number: int, seed: int, *, units: int, run: Run | None, failure: str) -> None:
        """Write down a run."""
        entry = {
            "line": line,
            "number": number,
            "seed": seed,
            "units": units,
            "messages": run.judgement.sends if run else 0,
            "faults": run.faults if run else 0,
            "seconds": round(run.seconds, 3) if run else 0.0,
            "slowest": round(max(run.recoveries), 3) if run and run.recoveries else None,
            "failure": failure,
            "figures": _figures(run),
            "at": time.time(),
        }
        self._lines.append(entry)
        self._ledger.write(**entry)

    def totals(self, line: str) -> Totals:
        """Add up one line of the table; of a run that was repeated its last time counts."""
        count: Counter[str] = Counter()
        for each in {each["number"]: each for each in self._lines if each["line"] == line}.values():
            count["done"] += each["units"] if not each["failure"] else 0
            count["messages"] += each["messages"]
            count["faults"] += each["faults"]
            count["failed"] += bool(each["failure"])
            count["runs"] += 1
            count.update({f"figure {name}": number for name, number in each.get("figures", {}).items()})
        return Totals(
            done=count["done"],
            messages=count["messages"],
            faults=count["faults"],
            failed=count["failed"],
            runs=count["runs"],
            figures={name: count[f"figure {name}"] for name in FIGURES},
        )


def _figures(run: Run | None) -> dict[str, int]:
    """Return what a run shows, each by its name in the report."""
    if run is None:
        return {}
    found = run.judgement
    breached = {name: len(each) for name, each in found.violations.items()}
    return {"attempt": found.attempt, "acknowledged": found.acknowledged, **breached}
