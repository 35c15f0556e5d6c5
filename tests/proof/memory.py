"""
F15: little memory, messages without measure, more connections than are let in.

Each process stays under its stated ceiling (docs/operations.md, What it takes); where the machine lets a control group be made,
each has one of that size, and a process over it is killed. Whoever sends too much is answered AE, or AR where the door is full,
and closed; those who send as usual meanwhile are answered and lose nothing.
"""

import random
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.harness import postgres, rabbitmq
from tests.harness.broker_rig import BrokerRig
from tests.harness.crowd import Crowd, bounded, huge, large, peak_megabytes, together
from tests.harness.load import Cut, Load, Wire, read_answer
from tests.harness.rig import Rig
from tests.harness.traffic import Patient, Traffic
from tests.proof.line import Line, Run

#: The most that a process of a gateway takes, MiB (docs/operations.md).
CEILING_MEGABYTES: Final = 512
#: A message over every limit.
_HUGE_MEGABYTES: Final = 200
#: One that the door takes, and never hears the end of.
_UNENDED_MEGABYTES: Final = 31
#: What the door admits unless it is told otherwise.
_ADMITTED: Final = 256


def _deposit(port: int, patient: Patient, number: int, megabytes: int) -> str:
    """Send a large deposit; return MSA-1 of its answer."""
    try:
        wire = Wire(port)
        try:
            return read_answer(wire.ask(large(f"LARGE-{number}", 60_000_000 + number, patient, megabytes)))[0]
        finally:
            wire.close()
    except Cut:
        return ""


def crowded(
    rig: Rig, pids: Callable[[], list[int]], seed: int, *, connections: int, unended: int, ended: int, limit: bool, admitted: int
) -> tuple[list[str], list[int]]:
    """
    Let a crowd come to a gateway that runs not yet, beside others who send as usual.

    Args:
        rig: The gateway.
        pids: Its processes, once it runs.
        seed: Of the traffic.
        connections: How many come and say nothing.
        unended: How many send a message that has no end, side by side.
        ended: How many send a large one, side by side with them.
        limit: Bound each process to the ceiling by a control group.
        admitted: How many connections the door admits.

    Returns:
        What went wrong, and the peak of each process, MiB.
    """
    traffic = Traffic(seed, people=8, opposing=0.1)
    rig.open_records(traffic.patients)
    rig.start()
    load = Load(traffic.strand, rig.ledgers, connections=4)
    wrong = []
    processes = pids()
    with bounded(processes if limit else [], CEILING_MEGABYTES) as is_bound:
        if limit and not is_bound:
            print("no control group could be made here: peaks are read, nothing is killed", flush=True)
        load.start(rig.gateway.port)
        load.wait_heard(rig.gateway.port, 60)
        port, patients = rig.gateway.port, traffic.patients
        crowd = Crowd(port, connections)
        try:
            until = time.monotonic() + 60
            while (left := crowd.left()) > admitted and time.monotonic() < until:
                time.sleep(0.05)
            if left > admitted:
                wrong.append(f"{left} connections were admitted, not {admitted}")
        finally:
            crowd.close()
        if (answer := huge(port, patients[0], _HUGE_MEGABYTES)) not in {"AE", ""}:
            wrong.append(f"{_HUGE_MEGABYTES} MB were answered {answer}")
        many = [partial(huge, port, patients[0], _UNENDED_MEGABYTES) for _ in range(unended)]
        some = [partial(_deposit, port, patients[n % 8], n, 10) for n in range(ended)]
        answers = together([*many, *some])
        if not set(answers) <= {"AA", "AR", "AE", ""} or "AE" in answers[unended:]:
            wrong.append(f"large deposits were answered {answers}")
        accepted, until = load.accepted_at, time.monotonic() + 60
        while load.accepted_at <= accepted and time.monotonic() < until:
            time.sleep(0.01)
        if load.accepted_at <= accepted:
            wrong.append("no AA for 60 s after the crowd had gone")
        load.finish(120.0)
        rig.drained(120.0)
        peaks = [round(peak_megabytes(pid)) for pid in processes]
    if pids() != processes or not all(peaks):
        wrong.append("a process died")
    wrong += [f"a process took {peak} MiB" for peak in peaks if peak > CEILING_MEGABYTES]
    return [*load.failures, *wrong], peaks


def _run(rig: Rig, pids: Callable[[], list[int]], seed: int, **how: int) -> Run:
    begun = time.monotonic()
    wrong, peaks = crowded(rig, pids, seed, **how)
    found = rig.judged()
    # The large ones are in no ledger: their outcomes are nobody's.
    for name in ("unexpected", "lost"):
        found.violations[name] = [each for each in found.violations[name] if not _of_the_crowd(each)]
    print(f"peaks of each process: {peaks} MiB", flush=True)
    return Run(judgement=found, faults=1, failures=wrong, seconds=time.monotonic() - begun)


def _of_the_crowd(told: str) -> bool:
    return told.startswith(("LARGE-", "HUGE")) or (".6" in told and "nobody sent it" in told)


def on_broker(folder: Path, seed: int, *, environment: dict[str, str] | None = None, **how: int) -> Run:
    """Over a broker and a database."""
    node, server = rabbitmq.shared(), postgres.shared()
    node.empty()
    database = server.lend(clean=False)
    rig = BrokerRig(folder, node, database, doors=1, workers=1, environment=environment)
    try:
        return _run(rig, lambda: sorted(rig.pids()), seed, **how)
    finally:
        rig.close()
        server.give_back(database, thoroughly=False)
        node.empty()


def embedded(folder: Path, seed: int, *, environment: dict[str, str] | None = None, **how: int) -> Run:
    """One process on files."""
    rig = Rig(folder, environment=environment)
    try:
        return _run(rig, lambda: [rig.gateway.pid] if rig.gateway.running else [], seed, **how)
    finally:
        rig.gateway.kill()


def _long(folder: Path, seed: int, number: int, _end: float) -> Run:
    """By turns on each stack; ten thousand connections, or as many as this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        chance = random.Random(seed)
        admitted = min(10_000, hard - 500)
        run = embedded if number % 2 else on_broker
        environment = {"DMP_GATEWAY_MLLP_CONNECTION_LIMIT": str(admitted)}
        return run(
            folder, seed, environment=environment, connections=admitted + 100, admitted=admitted, limit=True,
            unended=chance.randint(6, 12), ended=chance.randint(6, 12),
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


LINES: Final = (
    Line(
        name="F15",
        what=f"{CEILING_MEGABYTES} MiB a process, messages of 200 MB, 10 000 connections",
        unit="crowds",
        night=30,
        share=1,
        least_seconds=150,
        run=_long,
        units=lambda run: run.faults,
    ),
)
