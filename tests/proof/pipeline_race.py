"""
F19 over the whole way: oppositions stated and lifted by ADT while documents of the same patients wait in the lanes of a broker.

Two doors, two workers, PostgreSQL. By turns a worker is frozen until a backlog stands behind it, slowed down, or killed while it
is frozen; the other one goes on, and answers oppositions meanwhile. Judged twice: by the clients' clocks, and by the order in
which each patient's trace was written.
"""

import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.harness import holding, postgres, rabbitmq
from tests.harness.broker_door import processes
from tests.harness.broker_rig import BrokerRig
from tests.harness.judge import Sent, sent_of
from tests.harness.load import Load
from tests.harness.traffic import AUBIER, DEPOSITS, STATEMENTS, VALMONT, Step, Traffic, patients
from tests.proof.line import Line, Run

PEOPLE: Final = 6
#: Patients of whom nobody else writes: two in lanes of each worker.
ALONE: Final = patients(4, first=14)
#: What must wait behind a frozen worker before it goes on, and how long that is waited for: under the broker's own patience.
_BACKLOG: Final = 15
_FROZEN_SECONDS: Final = 8.0
#: How often it is tried to freeze a worker outside a transaction.
#: A worker that died is there again.
_RESTART_SECONDS: Final = 30.0
_TRIES: Final = 50
#: The first ledger of those that state oppositions beside the load.
_BESIDE: Final = 7_000
#: A slow worker stands still for so long at a time, and works for so long.
_PULSE_SECONDS: Final = (0.15, 0.05)
_CONNECTIONS: Final = 12


@dataclass
class Raced(Run):
    """A run, and what of it was a race: nothing is shown where nothing waited."""

    #: Answered deposits without an outcome, at the most.
    backlog: int = 0
    #: Refused by an opposition that was stated after their own AA.
    overtaken: int = 0
    #: Deposits whose verdict was compared with the rights of their patient at their place of the trace.
    compared: int = 0

    def line(self) -> str:
        """Return the line of the report."""
        return f"{super().line()}; backlog ≤ {self.backlog}, {self.overtaken} overtaken, {self.compared} compared with the trace"


@dataclass
class _Scene:
    rig: BrokerRig
    load: Load
    traffic: Traffic
    chance: random.Random
    #: Those who sent beside the load.
    beside: list[Load] = field(default_factory=list)
    backlog: int = 0

    def link(self) -> None:
        """State an allowance of each patient at each establishment first: it links all identifiers to one patient."""
        both = [(patient, where) for patient in self.traffic.patients for where in (VALMONT, AUBIER)]
        self.beside.append(_sent(self.rig, [self.traffic.statement(*each, "allow") for each in both], _BESIDE))
        _wait_ended(self.beside[0], 60)

    def waiting(self) -> list[dict[str, Any]]:
        """Return the deposits that were answered AA and have no outcome yet."""
        told = {
            receipt: sent.step
            for sent in sent_of(self.rig.ledgers)[0].values()
            if sent.step["kind"] in DEPOSITS
            for receipt, _ in sent.accepted
        }
        with holding.queried(self.rig.data, self.rig.database) as rows:
            ended = {row["id"] for row in rows("SELECT id FROM receipt")}
        found = [step for receipt, step in told.items() if receipt not in ended]
        self.backlog = max(self.backlog, len(found))
        return found

    def worker(self) -> int | None:
        """Return the pid of a worker."""
        found = [pid for role, pid in sorted(processes(self.rig.data).items()) if role.startswith("worker") and pid]
        return self.chance.choice(found) if found else None

    @contextmanager
    def frozen(self, *, anywhere: bool = False) -> Iterator[int]:
        """Freeze a worker, where it holds no lock unless anywhere: one that holds some is F3's. Whatever happens, it is woken."""
        pid = self._stopped()
        try:
            for _ in range(0 if anywhere else _TRIES):
                if not self._in_transaction():
                    break
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.02 * self.chance.random())
                os.kill(pid, signal.SIGSTOP)
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _stopped(self) -> int:
        """Freeze a worker and return its pid; one that was killed just now is about to be another one."""
        limit = time.monotonic() + _RESTART_SECONDS
        while time.monotonic() < limit:
            if (pid := self.worker()) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    return pid
            time.sleep(0.05)
        raise RuntimeError("there is no worker to freeze")

    def _in_transaction(self) -> bool:
        """Tell whether a transaction stands idle: those of the worker that goes on are over a moment later."""
        asked = (
            "SELECT pid, xact_start FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        with holding.queried(self.rig.data, self.rig.database) as rows:
            before = rows(asked)
            time.sleep(0.05)
            return any(row in before for row in rows(asked))

    def wait_backlog(self) -> None:
        """
        Wait until enough stands behind the frozen one, and oppositions that came past it were answered.

        Those whose patients nobody else writes of are told in order: an allowance, deposits, an opposition. What of them goes to
        the frozen one waits between the two.
        """
        beside = [
            _sent(
                self.rig,
                [
                    self.traffic.statement(patient, VALMONT, "allow"),
                    *(self.traffic.deposit(patient) for _ in range(2)),
                    self.traffic.statement(patient, VALMONT, "oppose"),
                ],
                _BESIDE + len(self.beside) + number,
            )
            for number, patient in enumerate(ALONE)
        ]
        self.beside += beside
        limit = time.monotonic() + _FROZEN_SECONDS
        # One of them may stand at the frozen one until its deadline.
        while (len(self.waiting()) < _BACKLOG or sum(each.alive for each in beside) > 1) and time.monotonic() < limit:
            time.sleep(0.1)


Stop = Callable[[_Scene], None]


def stopped(scene: _Scene) -> None:
    """A worker stands until a backlog is behind it, then goes on where it stood."""
    with scene.frozen():
        scene.wait_backlog()


def killed(scene: _Scene) -> None:
    """A worker stands until a backlog is behind it, and never wakes: another takes its lanes."""
    with scene.frozen() as pid:
        scene.wait_backlog()
        os.kill(pid, signal.SIGKILL)
    scene.rig.kills += 1


def slow(scene: _Scene) -> None:
    """A worker has a quarter of the time."""
    still, works = _PULSE_SECONDS
    for _ in range(8):
        with scene.frozen(anywhere=True):
            time.sleep(still)
        time.sleep(works)
    scene.waiting()


def pipeline_race(
    folder: Path,
    seed: int,
    stops: list[Stop],
    *,
    node: rabbitmq.Node | None = None,
    until: float = 0.0,
) -> Raced:
    """
    Let oppositions and documents of a few patients race through doors, broker and workers; then judge.

    Args:
        folder: Empty.
        seed: Decides traffic and who is stopped.
        stops: What happens to the workers, one after the other.
        node: The broker; None: one of the run's own.
        until: `time.monotonic` at which to stop early; 0 for never.
    """
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=PEOPLE, opposing=0.3, hostile=0.0)
    own = None if node else rabbitmq.Node()
    broker, server = node or own, postgres.shared()
    assert broker is not None
    broker.empty()
    database = server.lend(clean=False)
    rig = BrokerRig(folder, broker, database, doors=2, workers=2)
    try:
        rig.open_records([*traffic.patients, *ALONE])
        rig.start()
        load = Load(traffic.strand, rig.ledgers, connections=_CONNECTIONS)
        scene = _Scene(rig, load, traffic, chance)
        scene.link()
        load.start(rig.gateway.port)
        load.wait_heard(rig.gateway.port, 30)
        happened = 0
        for stop in stops:
            stop(scene)
            happened += 1
            time.sleep(0.3)
            if until and time.monotonic() > until:
                break
        for each in (load, *scene.beside):
            each.finish()
        failures = [each for sender in (load, *scene.beside) for each in sender.failures]
        found = rig.judged()
        run = Raced(
            judgement=found,
            kills=rig.kills,
            faults=happened,
            failures=failures,
            backlog=scene.backlog,
        )
        _compare(rig, run)
        run.seconds = time.monotonic() - begun
        return run
    finally:
        rig.close()
        server.give_back(database, thoroughly=False)
        if own is not None:
            own.close()
        else:
            broker.empty()


def _sent(rig: BrokerRig, steps: list[Step], name: int) -> Load:
    """Send steps one after the other on a connection of their own."""
    supply = iter([steps])
    load = Load(lambda: next(supply, None), rig.ledgers, connections=1, first_name=name)
    load.start(rig.gateway.port)
    return load


def _wait_ended(load: Load, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while load.alive and time.monotonic() < limit:
        time.sleep(0.01)


# -- the second judge


def _compare(rig: BrokerRig, run: Raced) -> None:
    """Compare each verdict with the statements before it in its patient's trace, and each refusal with the clients' clocks."""
    messages, _ = sent_of(rig.ledgers)
    against, unexpected = run.judgement.violations["against"], run.judgement.violations["unexpected"]
    with holding.queried(rig.data, rig.database) as rows:
        receipts = {row["id"]: row for row in rows("SELECT id, message_id, verdict, codes FROM receipt")}
        lines = rows(
            "SELECT patient, receipt, action, verdict FROM trace WHERE patient IS NOT NULL AND n IS NOT NULL ORDER BY patient, n"
        )
        refusals = rows("SELECT receipt, refused_at, code FROM refusal")
    latest: dict[tuple[int, str], tuple[int, str]] = defaultdict(lambda: (0, "allow"))
    for line in lines:
        receipt = receipts.get(line["receipt"])
        sent = messages.get(receipt["message_id"]) if receipt else None
        if receipt is None or sent is None:
            continue
        step = sent.step
        key = (line["patient"], step["establishment"])
        if line["action"] == "statement.stated":
            latest[key] = max(latest[key], (step["rank"], step["kind"]))
        elif step["kind"] in ("add", "replace") and line["action"] == f"document.{step['kind']}":
            run.compared += 1
            opposed = latest[key][1] == "oppose"
            if opposed and line["verdict"] in {"stored", "replaced"}:
                against.append(f"{step['id']}: {line['verdict']} behind an opposition in its patient's trace")
            if not opposed and "OPPOSED" in receipt["codes"]:
                unexpected.append(f"{step['id']}: refused, and the latest statement before it in the trace allows it")
    if len(latest) < 2 * PEOPLE:
        unexpected.append(f"the trace holds statements of {len(latest)} series, not of {2 * PEOPLE}")
    _by_clocks(refusals, receipts, messages, run)


def _by_clocks(
    refusals: list[dict[str, Any]], receipts: dict[str, dict[str, Any]], messages: dict[str, Sent], run: Raced
) -> None:
    """A refusal needs an opposition sent before it, and lifted by nothing that was answered before the deposit was sent."""
    told: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for sent in messages.values():
        if sent.step["kind"] in STATEMENTS:
            told[sent.step["patient"], sent.step["establishment"]].append(sent)
    for refusal in refusals:
        sent = messages.get(receipts[refusal["receipt"]]["message_id"])
        if sent is None or refusal["code"] != "OPPOSED":
            continue
        decided = datetime.fromisoformat(refusal["refused_at"]).timestamp()
        about = told[sent.step["patient"], sent.step["establishment"]]
        answered = {each.step["id"]: min((at for _, at in each.accepted), default=float("inf")) for each in about}
        lifted = max(
            (each.step["rank"] for each in about if each.step["kind"] == "allow" and answered[each.step["id"]] < sent.at[0]),
            default=0,
        )
        opposing = [
            each for each in about if each.step["kind"] == "oppose" and each.step["rank"] > lifted and each.at[0] < decided
        ]
        if not opposing:
            run.judgement.violations["unexpected"].append(f"{sent.step['id']}: refused, and the rights allowed it throughout")
        accepted = min((at for _, at in sent.accepted), default=float("inf"))
        run.overtaken += bool(opposing) and all(each.at[0] > accepted for each in opposing)


def _long(folder: Path, seed: int, number: int, end: float) -> Raced:
    """Return the run of as many stops as fit."""
    chance = random.Random(f"{seed}/{number}")
    fits = max(2, min(20, int((end - time.monotonic() - 40) / 6)))
    return pipeline_race(folder, seed, [chance.choice((stopped, stopped, slow, killed)) for _ in range(fits)], until=end - 20)


def _overtaken(run: Run) -> int:
    """A run counts for what was a race in it: a document that waited while an opposition came past it."""
    return run.overtaken if isinstance(run, Raced) else 0


LINES: Final = (
    Line(
        name="RACES",
        what="oppositions by ADT against documents that wait in the lanes, behind workers that are frozen, slow or killed",
        unit="documents overtaken",
        night=5_000,
        share=2,
        least_seconds=50,
        run=_long,
        units=_overtaken,
    ),
)
