"""A gateway on a folder of its own, its load and its judge: started, killed, started again, drained, judged."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from gateway.adapters.hl7v2.session import Session
from gateway.cli.main import main
from gateway.config.load import load as load_settings
from gateway.demo.process import GatewayProcess
from gateway.model.source import Directory
from gateway.queue.embedded.queue import EmbeddedQueue
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.naming import Names
from gateway.wiring.ports import QueuedDeposits, StoredEvents
from gateway.wiring.rooms import opened
from tests.harness import holding
from tests.harness.judge import Judgement, effects, judge, rows_waiting
from tests.harness.ledger import Ledger, read
from tests.harness.load import Load, note_answer, note_send
from tests.harness.traffic import Patient, Step

#: How `kill -9` by a named point ends a process.
KILLED: Final = 137
#: The patients are named by their INS alone: no establishment is asked for.
NAMES: Final = Names(Directory(), "test")
DRAIN_SECONDS: Final = 30.0
#: First new AA after a dead process (L8).
RECOVERY_SECONDS: Final = 5.0


def starved_seconds(pid: int) -> float:
    """
    Return how long the first thread of a process was ready to run and had no processor, since its start.

    A start takes a fixed amount of work: on a machine that is busy with other things it takes longer without being at fault.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Death:
    """What was going on when a gateway died: sends without an answer, deposits in the queue's file."""

    unanswered: int
    queued: int


class _Heard(GatewayProcess):
    """A gateway whose standard output is kept after its first line."""

    output = b""

    def _reap(self) -> int:
        process = self._process
        if process is not None and process.stdout is not None and not process.stdout.closed:
            process.wait(DRAIN_SECONDS + 10)
            self.output += process.stdout.read()
        return super()._reap()


class Rig:
    """
    Everything of one run, in one folder.

    Args:
        folder: Empty, of the run alone.
        environment: Variables for the gateway.
        arguments: Arguments of `serve`.
        database: Where the record is if not in the data directory's file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        database: str | None = None,
    ) -> None:
        self.database = database
        #: Deposits travel in lanes, each in its order (D-10).
        self.partitioned = False
        self.data = folder / "data"
        self.ledgers = folder / "ledgers"
        self.log = folder / "gateway.log"
        self.temporary = folder / "tmp"
        for made in (self.ledgers, self.temporary):
            made.mkdir(parents=True)
        self.gateway = _Heard(
            self.data,
            self.log,
            environment={"TMPDIR": str(self.temporary), "DMP_GATEWAY_KILL_AT": "", "DATABASE_URL": database or ""}
            | (environment or {}),
            arguments=arguments,
        )
        self.kills = 0
        #: Seconds from each start after a death to its first AA.
        self.recoveries: list[float] = []
        #: Those that took too long, other processes' use of the processors apart.
        self.slow: list[str] = []

    # -- the record

    def open_records(self, patients: Iterable[Patient]) -> None:
        """Open the records of patients, while no gateway runs."""
        for patient in patients:
            self._verb("record", "open", patient, "--collected-by", "desk")

    def oppose(self, patient: Patient) -> None:
        """State the patient's own opposition to everything, while no gateway runs."""
        self._verb("record", "oppose", patient)

    def close_record(self, patient: Patient) -> None:
        """Close a record, while no gateway runs."""
        self._verb("record", "close", patient)

    def _verb(self, group: str, verb: str, patient: Patient, *more: str) -> None:
        """Run a verb of the operator in this process: it takes the directory's lock."""
        named = ("--ins", patient.ins, "--root", "test", "--data", str(self.data))
        done = CliRunner().invoke(main, [group, verb, *named, *more], env={"DATABASE_URL": self.database})
        if done.exit_code:
            raise RuntimeError(f"{group} {verb}: {done.output}")

    def leave_waiting(self, steps: Iterable[Step]) -> None:
        """
        Send deposits through door and queue without a worker, while no gateway runs: they wait, answered, in the queue's file.

        What a gateway leaves that was killed before its worker began; the next one begins with them as one batch.
        """
        directory, clock, settings = DataDirectory(self.data), SystemClock(), load_settings(None, {}, {}).settings
        with (
            Ledger(self.ledgers / "connection-8000.jsonl") as ledger,
            directory.owned(),
            opened(directory, clock, lambda _: None) as rooms,
            closing(EmbeddedQueue(directory.queue, rooms.keys)) as queue,
        ):
            session = Session(
                directory=settings.directory,
                environment=settings.environment.value,
                deposits=QueuedDeposits(queue, rooms.store, rooms.answers),
                events=StoredEvents(rooms.store, clock),
                receipts=rooms.receipts,
                clock=clock,
            )
            for step in steps:
                note_send(ledger, 8000, step, port=0)
                note_answer(ledger, 8000, step, asyncio.run(session.answer(step.payload)))

    # -- lives

    def start(self, kill_at: str = "") -> bool:
        """
        Start the gateway.

        Args:
            kill_at: `point:n`, where it is to die.

        Returns:
            False if it died at that point before its doors were open: it had work waiting.

        Raises:
            RuntimeError: it ended otherwise.
        """
        try:
            self.gateway.start({"DMP_GATEWAY_KILL_AT": kill_at})
        except RuntimeError:
            if not kill_at or self.gateway.stop() != KILLED:
                raise
            return False
        return True

    def kill(self, load: Load) -> None:
        """`kill -9`, whatever it is doing."""
        load.away()
        self.gateway.kill()
        self.kills += 1

    def wait_killed(self, load: Load, seconds: float) -> Death | str:
        """Wait until it died at the point it was started with; otherwise return what became of it instead."""
        limit = time.monotonic() + seconds
        while self.gateway.running and load.alive and time.monotonic() < limit:
            time.sleep(0.002)
        load.away()
        if self.gateway.running:
            return f"it runs after {seconds:.0f} s, {load.answered} answers, {'' if load.alive else 'nobody sends'}"
        if (status := self.gateway.stop()) != KILLED:
            return f"it ended with {status}"
        self.kills += 1
        return Death(unanswered=self._unanswered(), queued=rows_waiting(self.data))

    def _unanswered(self) -> int:
        """Return how many connections have sent to this gateway what was never answered."""
        waiting = 0
        for path in self.ledgers.glob("connection-*.jsonl"):
            last = next((line for line in reversed(list(read(path))) if line["event"] != "cut"), {"event": "none"})
            waiting += last["event"] == "send" and last["port"] == self.gateway.port
        return waiting

    def restart(self, load: Load) -> None:
        """Start again after a death and let the load go on; keeps how long the first AA took."""
        begun = time.time()
        self.start()
        load.listening(self.gateway.port)
        heard = load.wait_heard(self.gateway.port, DRAIN_SECONDS)
        if heard is None:
            return
        self.recoveries.append(heard - begun)
        own = heard - begun - starved_seconds(self.gateway.pid)
        if own > RECOVERY_SECONDS:
            self.slow.append(
                f"{heard - begun:.1f} s to the first AA after a restart, {own:.1f} s of them not for want of a processor"
            )

    def tail(self, lines: int = 8) -> str:
        """Return the last lines of the gateway's log: where a run goes wrong, its folder may be gone before anybody looks."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def drained(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until nothing waits in the queue; return False once nothing has left it for so long."""
        waiting, limit = rows_waiting(self.data), time.monotonic() + seconds
        while waiting and time.monotonic() < limit:
            time.sleep(0.02)
            left = rows_waiting(self.data)
            if left < waiting:
                limit = time.monotonic() + seconds
            waiting = left
        return not waiting

    def stop(self) -> int:
        """Ask the gateway to drain and stop; return its exit status."""
        return self.gateway.stop()

    def judged(self) -> Judgement:
        """Drain, stop, judge everything so far."""
        drained = self.drained()
        status = self.stop()
        found = judge(self.ledgers, self.data, log=self.log, database=self.database, partitioned=self.partitioned)
        if not drained:
            found.violations["lost"].append(f"nothing left the queue for {DRAIN_SECONDS:.0f} s")
        if status:
            found.violations["unexpected"].append(f"exit status {status} when asked to stop")
        found.late.extend(self.slow)
        return found

    def took_effect(self) -> set[str]:
        """Return the ids of the messages that changed the record."""
        with holding.queried(self.data, self.database) as rows:
            found = rows("SELECT message_id FROM receipt WHERE verdict IN ('stored', 'replaced', 'deleted', 'applied')")
            return {row["message_id"] for row in found}

    def resend(self, steps: Iterable[Step]) -> list[str]:
        """
        Send messages again that took effect: each is answered AA (the judge sees to that), and nothing changes (L9).

        Returns:
            What changed all the same.
        """
        self.drained()
        before = effects(self.data, self.database)
        supply = iter([[step] for step in steps])
        load = Load(lambda: next(supply, None), self.ledgers, connections=1, first_name=9000)
        load.start(self.gateway.port)
        while load.alive:
            time.sleep(0.01)
        load.finish()
        self.drained()
        after = effects(self.data, self.database)
        return [*load.failures, *(f"{table} changed when sent again" for table in before if before[table] != after[table])]
