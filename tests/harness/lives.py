"""
A store that is killed again and again: each life is a process that takes the traffic up where the last one was answered.

    python -m tests.harness.lives < plan

The plan is JSON: where the database is, the scenes and their seed, a ledger, and for each life the point and the hit at which it
dies; the last life takes what is left. One process that has loaded everything forks each life: a life costs what it does.
What was answered is in the ledger, on the disk, before the next step is taken.
"""

import functools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from gateway.store.postgres.reader import PostgresReader
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import points
from tests.harness import postgres
from tests.harness.judge import Judgement
from tests.harness.ledger import Ledger, read
from tests.harness.store_traffic import SCENES, Step, Stepped, taken, written

KILLED: Final = 137
_LIFE_SECONDS: Final = 60.0

#: Rows of a store by table, each in the order of its key.
Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Kill:
    """Where a life ends."""

    point: str
    hit: int = 1


# -- the process that forks


def _lives(plan: dict[str, Any]) -> list[int]:
    """Run the lives of a plan; return how each ended."""
    steps = written(plan["scenes"], plan["seed"])
    ends = []
    for kill in [*plan["kills"], None]:
        child = os.fork()
        if not child:
            points._kill = None if kill is None else (kill["point"], kill["hit"])
            os._exit(_life(plan, steps))
        _, status = os.waitpid(child, 0)
        ends.append(os.waitstatus_to_exitcode(status))
        if kill is not None and ends[-1] != KILLED:
            break
    return ends


def _life(plan: dict[str, Any], steps: Sequence[Step]) -> int:
    """Take the steps that were not answered yet; return the exit status."""
    try:
        path = Path(plan["ledger"])
        first = 1 + max((line["step"] for line in read(path)), default=-1)
        clock = Stepped()
        clock.at = steps[min(first, len(steps) - 1)].at
        store = PostgresStore(plan["url"], clock)
        with Ledger(path) as ledger:
            take(store, clock, steps[first:], ledger)
        store.close()
    except Exception as failure:  # noqa: BLE001 - its parent tells
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr, flush=True)
        return 1
    return 0


def take(store: PostgresStore, clock: Stepped, steps: Sequence[Step], ledger: Ledger) -> int:
    """Take steps and write down what was answered; return how often a step had to be taken again."""
    again = 0

    def wait() -> None:
        nonlocal again
        again += 1
        time.sleep(0.02)

    for step in steps:
        clock.at = step.at
        outcomes = taken(store, step, wait)
        ledger.write(step=step.number, answers=[[outcome.receipt, outcome.verdict.value] for outcome in outcomes])
    return again


# -- who asks for it


def live(url: str, scenes: Sequence[str], kills: Sequence[Kill], ledger: Path, *, seed: int = 0) -> list[str]:
    """
    Run lives on an empty store.

    Returns:
        What went wrong: a life that did not die where it should, or the last one that did not end well.
    """
    plan = {
        "url": url, "scenes": list(scenes), "seed": seed, "ledger": str(ledger),
        "kills": [{"point": kill.point, "hit": kill.hit} for kill in kills],
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.harness.lives"],
        input=json.dumps(plan), capture_output=True, text=True, check=False, timeout=_LIFE_SECONDS + 2 * len(kills),
        env={name: value for name, value in os.environ.items() if name != "DMP_GATEWAY_KILL_AT"},
    )  # fmt: skip
    if done.returncode:
        return [f"the lives ended with {done.returncode}: {done.stderr[-1000:]}"]
    ends = json.loads(done.stdout)
    wrong = [f"{kill.point}:{kill.hit} was not reached: {end}" for kill, end in zip(kills, ends, strict=False) if end != KILLED]
    if not wrong and ends[-1]:
        wrong.append(f"the last life ended with {ends[-1]}: {done.stderr[-1000:]}")
    return wrong


def reached(scenes: Sequence[str], seed: int = 0) -> Counter[str]:
    """Run scenes once and undisturbed; return how often each point is reached, in the order of the first times."""
    server = postgres.shared()
    url = server.lend(clean=False)
    found: Counter[str] = Counter()
    inner = points.reach
    points.reach = lambda name: (found.update([name]), inner(name))[1]
    try:
        clock = Stepped()
        store = PostgresStore(url, clock)
        for step in written(scenes, seed):
            clock.at = step.at
            taken(store, step, lambda: None)
        store.close()
    finally:
        points.reach = inner
        server.give_back(url, thoroughly=False)
    return found


def judged(url: str, scenes: Sequence[str], ledger: Path, *, seed: int = 0) -> Judgement:
    """
    Judge a store that took the whole traffic under faults.

    L1: what was answered is there, as it was answered. L2, L3: every row is as after one clean run. L4: the query of the DPO.
    """
    steps = written(scenes, seed)
    found = Judgement(attempt=len(steps), sends=len(steps))
    answers = list(read(ledger))
    found.acknowledged = len({line["step"] for line in answers})
    after = tables(url)
    verdicts = {row["id"]: row["verdict"] for row in after["receipt"]}
    for line in answers:
        for receipt, verdict in line["answers"]:
            # What was parked may have been judged since.
            if verdicts.get(receipt) != verdict and not (verdict == "parked" and receipt in verdicts):
                found.violations["lost"].append(f"step {line['step']}: {receipt} answered {verdict}, is {verdicts.get(receipt)}")
    if found.acknowledged < len(steps):
        found.violations["lost"].append(f"{len(steps) - found.acknowledged} steps were never answered")
    for table, wrong in differences(after, clean_run(tuple(scenes), seed)).items():
        found.violations["duplicated" if wrong > 0 else "lost" if wrong < 0 else "unexpected"].append(
            f"{table}: not as after one clean run"
        )
    with PostgresReader(url) as reader:
        found.violations["against"].extend(f"{receipt} against {io}" for receipt, io in reader.stored_against_an_opposition())
    found.verdicts = dict(Counter(verdicts.values()))
    found.refused = found.verdicts.get("refused", 0)
    return found


def tables(url: str) -> Tables:
    """Every table of a store, each row by column, in the order of the key."""
    with psycopg.connect(url, row_factory=dict_row) as connection, psycopg.connect(url) as plain:
        return {
            name: connection.execute(
                sql.SQL("SELECT * FROM {} ORDER BY {}").format(sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, key)))
            ).fetchall()
            for name, key in postgres.keys(plain).items()
        }


@dataclass(frozen=True)
class Clean:
    """
    One clean run.

    Attributes:
        rows: After it.
        drawn: For each table the columns whose values are the machine's: they differ between two clean runs.
    """

    rows: Tables
    drawn: dict[str, frozenset[str]]


@functools.cache
def clean_run(scenes: tuple[str, ...], seed: int = 0) -> Clean:
    """Return the rows after one undisturbed run."""
    return Clean(_undisturbed(scenes, seed, 1), _drawn())


@functools.cache
def _drawn() -> dict[str, frozenset[str]]:
    """Columns that differ between two clean runs of every scene, whose sequences begin elsewhere."""
    first, second = (_undisturbed(tuple(SCENES), 0, start) for start in (1, 1_000))
    return {
        table: frozenset(
            column
            for one, other in zip(_ranked(rows, _order(first)), _ranked(second[table], _order(second)), strict=True)
            for column in one
            if one[column] != other[column]
        )
        for table, rows in first.items()
    }


def _undisturbed(scenes: tuple[str, ...], seed: int, start: int) -> Tables:
    server = postgres.shared()
    url = server.lend(clean=False)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            for (name,) in connection.execute(
                "SELECT quote_ident(sequencename) FROM pg_sequences WHERE schemaname = current_schema()"
            ).fetchall():
                connection.execute("SELECT setval(%s, %s, FALSE)", (name, start))
        clock = Stepped()
        store = PostgresStore(url, clock)
        for step in written(scenes, seed):
            clock.at = step.at
            taken(store, step, lambda: None)
        store.close()
        return tables(url)
    finally:
        server.give_back(url, thoroughly=False)


def differences(after: Tables, clean: Clean) -> dict[str, int]:
    """Return the tables that are not as after a clean run, with how many rows they have too many."""
    wrong: dict[str, int] = {}
    for table, rows in after.items():
        expected = clean.rows[table]
        shown = _ranked(rows, _order(after)), _ranked(expected, _order(clean.rows))
        mine, right = ([{k: v for k, v in row.items() if k not in clean.drawn[table]} for row in each] for each in shown)
        if mine != right:
            wrong[table] = len(rows) - len(expected)
    return wrong


def _order(rows: Tables) -> dict[int, int]:
    """The place of each patient among the others."""
    return {row["id"]: place for place, row in enumerate(rows["patient"])}


def _ranked(rows: list[dict[str, Any]], patients: dict[int, int]) -> list[dict[str, Any]]:
    """Rows whose patients are numbered in their order; what else a sequence gave is told by the order of the rows."""
    shown = [
        {
            name: patients.get(value, value) if _names_patient(name) and isinstance(value, int) else value
            for name, value in row.items()
            if name not in {"id", "sequence"} or not isinstance(value, int)
        }
        for row in rows
    ]
    return sorted(shown, key=repr) if shown and "sequence" not in rows[0] else shown


def _names_patient(column: str) -> bool:
    return "patient" in column or column in {"merged_into", "survivor", "absorbed", "origin"}


if __name__ == "__main__":
    json.dump(_lives(json.load(sys.stdin)), sys.stdout)
