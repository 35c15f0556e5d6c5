"""A gateway over a broker and a database whose every leg is a line of the test's: to its clients, its broker, its database."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.harness import holding
from tests.harness.broker_door import processes
from tests.harness.broker_rig import BrokerRig
from tests.harness.ledger import read
from tests.harness.load import Load
from tests.harness.netns_line import FAIR, Line
from tests.harness.rabbitmq import Node
from tests.harness.traffic import DEPOSITS, STATEMENTS

#: An answer that was on its way when a leg went dark.
_LATE_SECONDS: Final = 0.5
#: What a process of the gateway may hold in memory: the memory that F15 leaves to it (L7).
MEMORY_BYTES: Final = 512 << 20
LEGS: Final = ("client", "broker", "database")


class WiredRig(BrokerRig):
    """
    Everything of one run; clients come to `client.port`, or straight to the gateway's.

    Args:
        folder: Empty, of the run alone.
        node: The broker, its lanes empty.
        database: The record, empty.
        seed: Of the lines.
        answer_seconds: What is not durable by then is answered AR; a busy machine is allowed for by whoever asks.
    """

    def __init__(
        self,
        folder: Path,
        node: Node,
        database: str,
        *,
        seed: int = 0,
        doors: int = 1,
        workers: int = 2,
        answer_seconds: float = 10.0,
    ) -> None:
        super().__init__(folder, node, database, doors=doors, workers=workers)
        self.broker = Line(node.port, seed=seed)
        self.server = Line(int(conninfo_to_dict(database)["port"]), seed=seed)
        self.client: Line | None = None
        self._seed = seed
        self._answer_seconds = answer_seconds
        #: A leg, from when it was dark until it was not: seconds since the epoch.
        self.dark: list[tuple[str, float, float]] = []
        self.peak_bytes = 0

    def start(self, kill_at: str = "") -> bool:
        self.gateway.start(
            {
                "DMP_GATEWAY_KILL_AT": kill_at,
                "DMP_GATEWAY_MLLP_ACK_WAIT_SECONDS": f"{self._answer_seconds:g}",
                "AMQP_URL": f"amqp://guest:guest@127.0.0.1:{self.broker.port}/%2F",
                "DATABASE_URL": make_conninfo(self.database or "", port=self.server.port),
            }
        )
        self.client = Line(self.gateway.port, seed=self._seed)
        return True

    def close(self) -> None:
        super().close()
        for line in (self.broker, self.server, self.client):
            if line is not None:
                line.close()

    def leg(self, name: str) -> Line:
        """Return a leg by its name."""
        found = {"client": self.client, "broker": self.broker, "database": self.server}[name]
        assert found is not None
        return found

    def fair(self) -> None:
        """Let every leg be a good line again."""
        for name in LEGS:
            self.leg(name).weather = FAIR

    def go_dark(self, legs: tuple[str, ...], seconds: float) -> None:
        """Let legs swallow everything for a while."""
        begun = time.time()
        for name in legs:
            self.leg(name).swallow()
        time.sleep(seconds)
        # Noted as ended before it is: what comes just after counts as after.
        self.dark += [(name, begun, time.time()) for name in legs]
        for name in legs:
            self.leg(name).restore()

    def receipts(self) -> int:
        """Return how many receipts the record has."""
        with holding.queried(self.data, self.database) as rows:
            ((there,),) = (row.values() for row in rows("SELECT count(*) FROM receipt"))
        return int(there)

    def wait_written(self, seconds: float) -> None:
        """Wait until the record has one more receipt, from now on: kept as a recovery, or as too slow."""
        begun, before = time.monotonic(), self.receipts()
        while time.monotonic() < begun + seconds:
            if self.receipts() > before:
                self.recoveries.append(time.monotonic() - begun)
                return
            time.sleep(0.05)
        self.slow.append(f"nothing written for {seconds:.0f} s after the database could be reached again")

    def measure(self) -> None:
        """Note how much memory the processes took at most, so far (L7)."""
        for pid in (self.gateway.pid, *processes(self.data).values()):
            with suppress(OSError, StopIteration, TypeError):
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
                peak = next(line for line in status if line.startswith("VmHWM:"))
                self.peak_bytes = max(self.peak_bytes, int(peak.split()[1]) << 10)

    # -- what the clients' ledgers say of the dark

    def _told(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each message that was answered or cut off, with its answer, or its cut."""
        for path in sorted(self.ledgers.glob("connection-*.jsonl")):
            sent: dict[str, Any] = {}
            for line in read(path):
                if line["event"] == "send":
                    sent = line
                else:
                    yield sent, line

    def within(self, *legs: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each message that was sent while one of these legs was dark, with what came of it."""
        spans = [(begun, end) for name, begun, end in self.dark if name in legs]
        for sent, line in self._told():
            if any(begun + _LATE_SECONDS < sent["at"] < end for begun, end in spans):
                yield sent, line

    def promised_in_the_dark(self) -> list[str]:
        """Return what was answered AA though what makes it true could not be reached at any time."""
        wrong: list[str] = []
        for leg, kinds in (("broker", (*DEPOSITS, *STATEMENTS)), ("database", STATEMENTS)):
            spans = [(begun, end) for name, begun, end in self.dark if name == leg]
            wrong += [
                f"{line['id']}: a {sent['kind']} answered AA while the {leg} could not be reached"
                for sent, line in self.within(leg)
                if line["event"] == "answer" and line["code"] == "AA" and sent["kind"] in kinds
                if any(begun + _LATE_SECONDS < sent["at"] and line["at"] < end for begun, end in spans)
            ]
        return wrong

    def unanswered_in_the_dark(self, margin: float) -> list[str]:
        """Return what had no answer in time while broker or database could not be reached; its own line was good."""
        found = [(line["at"] - sent["at"], line) for sent, line in self.within("broker", "database")]
        return [
            f"{line['id']}: {line['event']} {line.get('code', '')} after {seconds:.1f} s in the dark"
            for seconds, line in found
            if seconds > self._answer_seconds + margin
        ]

    def count(self, code: str, *legs: str) -> int:
        """Return how many of the messages sent while these legs were dark were answered so."""
        return sum(line.get("code") == code for _, line in self.within(*legs))

    def slowest(self, connections: range) -> float:
        """Return the longest time to an answer on some connections, in seconds."""
        return max((line["at"] - sent["at"] for sent, line in self._told() if line.get("connection") in connections), default=0.0)


def loads(rig: WiredRig, strands: Callable[[], Any], connections: int) -> tuple[Load, Load]:
    """Return the load over the client's leg and the load that goes straight to the door; both are begun."""
    assert rig.client is not None
    wired = Load(strands, rig.ledgers, connections=connections, first_name=0)
    direct = Load(strands, rig.ledgers, connections=connections, first_name=1000)
    wired.start(rig.client.port)
    direct.start(rig.gateway.port)
    return wired, direct
