"""A gateway of several processes on a broker and a database, its load and its judge; what happens to each of them."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.queue.keys import initialise
from gateway.queue.rabbitmq.setup import BrokerUnusable, counts
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from tests.harness import holding
from tests.harness.broker_door import children
from tests.harness.cutting import Cutting
from tests.harness.judge import sent_of
from tests.harness.ledger import read
from tests.harness.load import Load
from tests.harness.rabbitmq import Node
from tests.harness.rig import DRAIN_SECONDS, Rig, starved_seconds
from tests.harness.traffic import Patient

#: The first AA after a broker answers again (L8).
RECOVERY_SECONDS: Final = 10.0
#: While there is no broker everybody is answered within so long, a busy machine allowed for (D-2).
_ANSWER_SECONDS: Final = 11.0


class _DaysAgo:
    """A clock of some days before now."""

    def __init__(self, days: int) -> None:
        self._days = timedelta(days=days)

    def now(self) -> datetime:
        return SystemClock().now() - self._days


class BrokerRig(Rig):
    """
    Everything of one run over a broker.

    Args:
        folder: Empty, of the run alone.
        node: The broker, its lanes empty.
        database: The record, empty.
        doors: How many MLLP processes.
        workers: How many workers.
        environment: More variables of its processes.
        patience: How many times longer than promised the first AA may take: a test beside others says more than 1.
        key_days: How old the oldest key is: with more than a day there are markers to publish and keys to erase.
    """

    def __init__(
        self,
        folder: Path,
        node: Node,
        database: str,
        *,
        doors: int = 1,
        workers: int = 2,
        environment: dict[str, str] | None = None,
        patience: float = 1.0,
        key_days: int = 0,
    ) -> None:
        self.node = node
        self._patience = patience
        #: Between gateway and broker.
        self.line = Cutting(node.port)
        self._amqp = f"amqp://guest:guest@127.0.0.1:{self.line.port}/%2F"
        environment = {
            "AMQP_URL": self._amqp,
            "DMP_GATEWAY_PROCESSES_DOORS": str(doors),
            "DMP_GATEWAY_PROCESSES_WORKERS": str(workers),
            **(environment or {}),
        }
        super().__init__(folder, environment=environment, database=database)
        self.partitioned = True
        self.data.mkdir(mode=0o700)
        initialise(DataDirectory(self.data).keys, _DaysAgo(key_days))
        #: When the broker went away, when it was started, when it took connections again: seconds since the epoch.
        self.absences: list[tuple[float, float, float]] = []

    def close(self) -> None:
        """End what is left of it."""
        self.gateway.kill()
        self.line.close()

    def _verb(self, group: str, verb: str, patient: Patient, *more: str) -> None:
        named = ("--ins", patient.ins, "--root", "test", "--data", str(self.data))
        done = CliRunner().invoke(main, [group, verb, *named, *more], env={"DATABASE_URL": self.database, "AMQP_URL": self._amqp})
        if done.exit_code:
            raise RuntimeError(f"{group} {verb}: {done.output}")

    def kill_one(self, chance: random.Random) -> None:
        """`kill -9` a door or a worker; the supervisor starts it again."""
        pids = self.pids()
        if pids:
            self.signal(chance.choice(pids), signal.SIGKILL)
            self.kills += 1

    def pids(self, role: str = "") -> list[int]:
        """Return the processes of a role (`mllp`, `worker`), of all if none is named; those that are being started again too."""
        with suppress(OSError, ValueError):
            return [pid for each, pid in children(self.data) if each.startswith(role)]
        return []

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to one of its processes."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def lose_broker(self, *, kill: bool, seconds: float = 0.0) -> None:
        """Let the broker die, or stop in order; start it again after a while, and wait until it takes connections."""
        (self.node.kill if kill else self.node.stop)()
        gone = time.time()
        time.sleep(seconds)
        begun = time.time()
        self.node.start()
        self.absences.append((gone, begun, time.time()))

    def _late(self, seconds: float) -> Callable[[], bool]:
        """
        Return what tells whether so many seconds have passed since now, a test's patience allowed for.

        How long one of the processes had no processor does not count: others' use of it is nobody's fault.
        """
        begun, before = time.monotonic(), {pid: starved_seconds(pid) for pid in self.pids()}

        def late() -> bool:
            over = time.monotonic() - begun - seconds * self._patience
            return over > 0 and over > max((starved_seconds(pid) - before.get(pid, 0.0) for pid in self.pids()), default=0.0)

        return late

    def wait_accepted(self, load: Load, seconds: float = RECOVERY_SECONDS) -> None:
        """Wait for another AA, from now on: kept as a recovery, or as too slow."""
        begun, late = time.time(), self._late(seconds)
        while load.alive and not late():
            if load.accepted_at > begun:
                self.recoveries.append(load.accepted_at - begun)
                return
            time.sleep(0.005)
        if load.alive:
            self.slow.append(f"no AA for {time.time() - begun:.0f} s after what was away was there again")

    def wait_written(self, load: Load, seconds: float = RECOVERY_SECONDS) -> None:
        """Wait until something is written to the database again: kept as a recovery, or as too slow."""
        begun, before, late = time.monotonic(), None, self._late(seconds)
        while load.alive and not late():
            # Who asks is cut off as the gateway is.
            with suppress(psycopg.OperationalError), holding.queried(self.data, self.database) as rows:
                ((there,),) = (row.values() for row in rows("SELECT count(*) FROM receipt"))
                before = there if before is None else before
                if there > before:
                    self.recoveries.append(time.monotonic() - begun)
                    return
            time.sleep(0.02)
        if load.alive:
            self.slow.append(f"nothing was written for {time.monotonic() - begun:.0f} s after the database was there again")

    def unsettled(self, until: float) -> int:
        """Return how many deposits and events answered AA before an instant (seconds since the epoch) have no outcome yet."""
        messages, _ = sent_of(self.ledgers)
        told = {receipt for sent in messages.values() for receipt, at in sent.accepted if at < until}
        with holding.queried(self.data, self.database) as rows:
            return len(told - {row["id"] for row in rows("SELECT id FROM receipt")})

    def drained(self, seconds: float = 2 * DRAIN_SECONDS) -> bool:
        """Wait until the lanes are empty and what was answered AA has its outcome; False: nothing got one for so long."""
        messages, _ = sent_of(self.ledgers)
        told = {receipt for sent in messages.values() for receipt, _ in sent.accepted}
        limit, before = time.monotonic() + seconds, -1
        while time.monotonic() < limit:
            with suppress(BrokerUnusable), holding.queried(self.data, self.database) as rows:
                there = {row["id"] for row in rows("SELECT id FROM receipt")}
                if told <= there and not any(counts(self.node.url).values()):
                    return True
                if len(there) > before:
                    # However busy the machine is, and however long the queue: it goes on.
                    limit, before = time.monotonic() + seconds, len(there)
            time.sleep(0.1)
        return False

    def answered_wrong(self) -> list[str]:
        """Return what was answered AA while there was no broker, and what was not answered within ten seconds."""
        wrong: list[str] = []
        for path in sorted(self.ledgers.glob("connection-*.jsonl")):
            sent: dict[str, Any] = {}
            for line in read(path):
                if line["event"] == "send":
                    sent = line
                    continue
                away = any(gone <= sent["at"] < begun for gone, begun, _ in self.absences)
                if line["event"] == "answer" and away and line["at"] - sent["at"] > _ANSWER_SECONDS * self._patience:
                    wrong.append(f"{line['id']}: answered after {line['at'] - sent['at']:.1f} s without a broker")
                # What was sent before may have had its confirm, and its answer was on its way.
                unheld = any(gone < sent["at"] and line["at"] < begun for gone, begun, _ in self.absences)
                if line["event"] == "answer" and line["code"] == "AA" and unheld:
                    wrong.append(f"{line['id']}: answered AA without a broker")
        return wrong

    def refused_meanwhile(self) -> int:
        """Return how many answers AR came while there was no broker."""
        lines = [line for path in self.ledgers.glob("connection-*.jsonl") for line in read(path)]
        return sum(
            line["event"] == "answer"
            and line["code"] == "AR"
            and any(gone < line["at"] < back for gone, _, back in self.absences)
            for line in lines
        )
