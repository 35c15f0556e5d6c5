"""
The proof: campaigns under faults, as long as it may take, resumed where it was interrupted.

    python -m tests.proof --minutes 60 [--only F1] [--seed 7]

Prints what was done of each line's night column. Exit status 1 if a promise was broken, with the command that repeats it; 2 if
too little took place to count.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.harness.load import abandon_all
from tests.proof.ledger import FAULTS, FOLDER, MESSAGES, ProofLedger
from tests.proof.line import Line, Run
from tests.proof.lines import LINES

_SEED = 20_261_121


def main(arguments: list[str]) -> int:
    """Run the proof; return the exit status."""
    given = _parsed(arguments)
    # The pool tells of each connection that a fault took: that is the fault.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    lines = [line for line in LINES if given.only in {None, line.name}]
    ledger = ProofLedger(given.seed, given.ledger)
    print(f"seed {given.seed}, {given.minutes:g} minutes, {', '.join(line.name for line in lines)}", flush=True)
    if ledger.resumed:
        print(f"resumed: {ledger.resumed} runs in {ledger.path}", flush=True)
    end, ended = time.monotonic() + 60 * given.minutes, False
    broken: list[str] = []
    tried: set[tuple[str, int]] = set()
    messages = faults = 0
    spent = dict.fromkeys((line.name for line in lines), 0.0)
    shares = sum(line.share for line in lines)
    while not ended:
        # The line that had the least of its share goes next, as long as a run of it fits.
        left = end - time.monotonic()
        fitting = [line for line in lines if line.least_seconds <= left]
        if not fitting:
            break
        line = min(fitting, key=lambda each: spent[each.name] / each.share)
        begun = time.monotonic()
        number = _next(line, ledger, tried) if given.number is None else given.number
        tried.add((line.name, number))
        # No run takes more than the line's share of the whole: a short sitting comes to every line.
        until = min(end, begun + max(line.least_seconds, 60 * given.minutes * line.share / shares))
        run, failure = _run(line, number, given, ledger, until)
        if failure:
            broken.append(failure)
        if run is not None:
            messages, faults = messages + run.judgement.sends, faults + run.faults
        spent[line.name] += time.monotonic() - begun
        ended = given.number is not None
    for line in lines:
        totals = ledger.totals(line.name)
        failed = f", {totals.failed} failed" if totals.failed else ""
        print(f"{line.name:5} {totals.done}/{line.night} {line.unit}{failed}  {line.what}", flush=True)
        print(f"      {totals.line()} ({totals.runs} runs, {totals.faults} faults)", flush=True)
    for each in broken:
        print(each, file=sys.stderr)
    if broken:
        return 1
    enough = messages >= MESSAGES and faults >= FAULTS
    counted = any(line.counted for line in lines)
    print(f"{messages} messages, {faults} faults in this sitting" + ("" if enough or not counted else ": too little to count"))
    return 0 if enough or not counted or given.number is not None else 2


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description="What is promised, under faults.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long it may take")
    parser.add_argument("--only", choices=[line.name for line in LINES], help="one line of the table")
    parser.add_argument("--seed", type=int, default=_SEED, help="decides every run; a ledger belongs to one")
    parser.add_argument("--number", type=int, help="one run alone, by its number")
    parser.add_argument("--ledger", type=Path, default=FOLDER, help="folder of the ledgers")
    return parser.parse_args(arguments)


def _next(line: Line, ledger: ProofLedger, tried: set[tuple[str, int]]) -> int:
    """Return the first run that is not done; one that failed before is repeated, once a sitting."""
    done, number = ledger.done(line.name), 0
    while number in done or (line.name, number) in tried:
        number += 1
    return number


def _run(line: Line, number: int, given: argparse.Namespace, ledger: ProofLedger, end: float) -> tuple[Run | None, str]:
    """Do one run and write it down; return it, and how to repeat it if it failed."""
    seed = line.seed(given.seed, number)
    folder = Path(tempfile.mkdtemp(prefix=f"dmp-proof-{line.name}-"))
    failure, run = "", None
    try:
        run = line.run(folder / "run", seed, number, end)
        failure = "" if run.ok else run.told()
    except Exception:
        failure = traceback.format_exc()
        abandon_all()
    ledger.note(line.name, number, seed, units=line.units(run) if run else 0, run=run, failure=failure)
    print(f"{line.name} run {number} (seed {seed}): {run.line() if run else 'broken off'}", flush=True)
    if not failure:
        shutil.rmtree(folder, ignore_errors=True)
        return run, ""
    print(failure, file=sys.stderr, flush=True)
    alone = f"python -m tests.proof --only {line.name} --seed {given.seed} --number {number}"
    again = f"make proof ONLY={line.name} SEED={given.seed}"
    return run, f"FAILED {line.name} run {number}: {again} (this run alone: {alone}); kept: {folder}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
