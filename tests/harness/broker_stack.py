"""One run over a broker and a database, from its servers to its judgement: what the campaigns of several processes share."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pika
import psycopg

from gateway.queue.rabbitmq.topology import queue_of
from tests.harness import postgres, rabbitmq
from tests.harness.broker_rig import BrokerRig
from tests.harness.cutting import Cutting
from tests.harness.load import Load
from tests.harness.orders import WORKER, Orders
from tests.harness.traffic import Step, Traffic
from tests.proof.line import Run

#: How long the first AA of a run may take: two doors and two workers start, on a busy machine.
_FIRST_SECONDS: Final = 90.0
_DEPOSITS: Final = tuple(f"deposits.{number}" for number in range(16))
#: How long a process that died may take to be there again.
_AGAIN_SECONDS: Final = 60.0


@dataclass
class Stack:
    """
    A gateway under load.

    Attributes:
        orders: For its processes.
        leg: Between it and its database.
        faults: How many happened.
        failures: Promises that were broken, beside those that the judge finds.
        missed: What was meant to happen and did not: no promise is broken, and nothing was shown.
    """

    rig: BrokerRig
    load: Load
    chance: random.Random
    traffic: Traffic
    node: rabbitmq.Node
    server: postgres.Cluster
    orders: Orders
    leg: Cutting
    begun: float
    faults: int = 0
    failures: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start the gateway and its load; wait for the first AA."""
        self.rig.start()
        self.load.start(self.rig.gateway.port)
        if self.load.wait_heard(self.rig.gateway.port, _FIRST_SECONDS) is None:
            raise AssertionError(f"no AA for {_FIRST_SECONDS:.0f} s after the start; see {self.rig.log}")

    def wait_there(self, role: str) -> list[int]:
        """Wait until a process of a role runs that can be ordered about; return all that do."""
        limit = time.monotonic() + _AGAIN_SECONDS
        while time.monotonic() < limit:
            there = [pid for pid in self.rig.pids(role) if runs(pid)]
            if there:
                return there
            time.sleep(0.05)
        return []

    def taken_over(self, pid: int) -> bool:
        """Tell whether the broker has given up the connections of a frozen process: their deliveries went to another one."""
        connection = pika.BlockingConnection(pika.URLParameters(self.node.url))
        try:
            channel = connection.channel()
            there = [channel.queue_declare(queue_of(lane), passive=True).method.consumer_count for lane in _DEPOSITS]
        finally:
            connection.close()
        return runs(pid) and max(there) < len(self.rig.pids(WORKER))

    def judged(self) -> Run:
        """Finish the load, drain, stop, judge."""
        self.orders.withdraw()
        self.orders.wake()
        self.load.finish(180.0)
        found = self.rig.judged()
        return Run(
            judgement=found,
            kills=self.rig.kills,
            faults=self.faults,
            recoveries=self.rig.recoveries,
            failures=[*self.load.failures, *self.failures],
            seconds=time.monotonic() - self.begun,
        )


def runs(pid: int) -> bool:
    """Tell whether a process runs, frozen or not; one that died and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def stack(
    folder: Path,
    seed: int,
    *,
    node: rabbitmq.Node | None = None,
    server: postgres.Cluster | None = None,
    doors: int = 2,
    workers: int = 2,
    connections: int = 16,
    heartbeat: int | None = None,
    standby: float | None = None,
    patience: float = 1.0,
    key_days: int = 0,
    hostile: float = 0.03,
    legs: Callable[[int], Cutting] = Cutting,
    strands: Callable[[Traffic], Callable[[], list[Step] | None]] = lambda traffic: traffic.strand,
) -> Iterator[Stack]:
    """
    Open everything of a run; nothing is started.

    Args:
        folder: Empty.
        seed: Decides traffic and chance.
        node: The broker, which nobody ends; None: one of the run's own.
        server: The database server, which nobody ends; None: one of the run's own.
        doors: How many MLLP processes.
        workers: How many workers.
        connections: How many send.
        heartbeat: Seconds between two signs of life to the broker; None: as in the product.
        standby: Seconds until a worker stands by for the other's lanes; None: as in the product.
        patience: How many times longer than promised a recovery may take.
        key_days: How old the oldest key is.
        hostile: Share of messages that a door refuses.
        legs: Makes the line to the database's port.
        strands: What is sent, of the traffic.
    """
    begun, chance = time.monotonic(), random.Random(seed)
    traffic = Traffic(seed, people=chance.randint(10, 20), hostile=hostile)
    with ExitStack() as opened:
        broker = node or opened.enter_context(closing(rabbitmq.Node()))
        broker.empty()
        opened.callback(lambda: broker.empty() if node else None)
        cluster = server or opened.enter_context(closing(postgres.Cluster()))
        database = cluster.lend(clean=False)
        opened.callback(lambda: cluster.give_back(database, thoroughly=False) if server else None)
        leg = opened.enter_context(closing(legs(cluster.port)))
        orders = Orders(folder, heartbeat=heartbeat, standby=standby)
        environment = orders.environment | {"DATABASE_URL": psycopg.conninfo.make_conninfo(database, port=leg.port)}
        rig = opened.enter_context(
            closing(
                BrokerRig(
                    folder,
                    broker,
                    database,
                    doors=doors,
                    workers=workers,
                    environment=environment,
                    patience=patience,
                    key_days=key_days,
                )
            )
        )
        # A frozen process neither ends nor lets go of its database.
        opened.callback(orders.wake)
        rig.open_records(traffic.patients)
        load = Load(strands(traffic), rig.ledgers, connections=connections)
        yield Stack(
            rig=rig,
            load=load,
            chance=chance,
            traffic=traffic,
            node=broker,
            server=cluster,
            orders=orders,
            leg=leg,
            begun=begun,
        )
