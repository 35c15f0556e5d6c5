"""A gateway of several processes over a broker and a database, with its verbs."""

import os
import signal
import time
from pathlib import Path

import msgspec

from gateway.queue.keys import initialise
from gateway.store.postgres.reader import PostgresReader
from gateway.store.views import DepositPage
from gateway.wiring.clock import SystemClock
from gateway.wiring.control import Request, ask
from gateway.wiring.data import DataDirectory
from tests.harness import postgres, rabbitmq
from tests.harness.door import Door

_SECONDS = 30.0


def children(data: Path) -> list[tuple[str, int]]:
    """Return role and pid of each process of a running gateway, without its supervisor."""
    owner = DataDirectory(data).owner()
    assert owner is not None
    status = msgspec.json.decode(ask(owner.socket, Request(verb="status")).result)
    return [(each["role"], each["pid"]) for each in status["processes"] if each["pid"]]


def processes(data: Path) -> dict[str, int]:
    """Return the pid of each process of a running gateway by its role; of several doors, the last."""
    return dict(children(data))


class BrokerDoor(Door):
    """
    `serve` with AMQP_URL and DATABASE_URL: servers of the tests' own, an empty database, empty lanes.

    Args:
        folder: Its own.
        doors: How many MLLP processes.
        workers: How many workers.
        environment: More variables of the process.
        config: The configuration; the sample one without.
    """

    def __init__(
        self,
        folder: Path,
        *,
        doors: int = 1,
        workers: int = 1,
        environment: dict[str, str] | None = None,
        config: Path | None = None,
    ) -> None:
        self.node = rabbitmq.shared()
        self.node.empty()
        self._server = postgres.shared()
        self.database = self._server.lend()
        self.environment = {
            "AMQP_URL": self.node.url,
            "DATABASE_URL": self.database,
            "DMP_GATEWAY_PROCESSES_DOORS": str(doors),
            "DMP_GATEWAY_PROCESSES_WORKERS": str(workers),
        }
        super().__init__(folder, config=config, environment=self.environment | (environment or {}))
        self.verb_environment = {name: self.environment[name] for name in ("AMQP_URL", "DATABASE_URL")}
        self.data.mkdir(mode=0o700)
        initialise(DataDirectory(self.data).keys, SystemClock())

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        super().__exit__(kind, *rest)
        self._server.give_back(self.database)
        self.node.empty()

    def check(self) -> None:
        self.check_log()
        with PostgresReader(self.database) as reader:
            assert reader.stored_against_an_opposition() == []

    def decided(self, receipt: str) -> DepositPage:
        limit = time.monotonic() + _SECONDS
        while True:
            with PostgresReader(self.database) as reader:
                page = reader.deposit(receipt)
            if page is not None:
                return page
            assert time.monotonic() < limit, f"{receipt} is not decided; see {self.log}"
            time.sleep(0.02)

    def processes(self) -> dict[str, int]:
        """The pid of each process by its role."""
        return processes(self.data)

    def kill(self, role: str) -> None:
        """Kill one process; the supervisor starts it again."""
        limit = time.monotonic() + _SECONDS
        while True:
            try:
                os.kill(self.processes()[role], signal.SIGKILL)
            except ProcessLookupError:  # killed before, and not started again yet
                assert time.monotonic() < limit, f"{role} was not started again; see {self.log}"
                time.sleep(0.02)
            else:
                return
