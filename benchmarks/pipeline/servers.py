"""The broker and the database of one run, and what their processes and ours took of the machine's cores."""

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import pika
import psycopg

from tests.harness.postgres import Cluster
from tests.harness.rabbitmq import Node

#: Where the floor publishes, one for each kind of message: durable, in as many copies as the gateway's.
BARE_QUEUES: Final = ("bare.0", "bare.1")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = bytes(4096)
_SYNCS: Final = 200


class Servers:
    """A RabbitMQ node and a PostgreSQL server that nobody else uses."""

    def __init__(self) -> None:
        with contextlib.ExitStack() as stack:
            self.node = Node()
            stack.callback(self.node.close)
            self._cluster = Cluster()
            stack.callback(self._cluster.close)
            with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.node.url))) as connection:
                for name in BARE_QUEUES:
                    connection.channel().queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
            self.ours = self._cluster.lend()
            self.bare = self._cluster.lend()
            # The files of a run are its own: they are vacuumed and counted as an operator's are.
            self._set("autovacuum", "on")
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def slow_commits(self, milliseconds: float):  # noqa: ANN201
        """Let each commit wait before it is written to disk, as on a slower one."""
        self._set("commit_siblings", "0")
        self._set("commit_delay", str(int(milliseconds * 1000)))
        try:
            yield
        finally:
            self._set("commit_delay", "0")

    def _set(self, name: str, value: str) -> None:
        with psycopg.connect(self._cluster.admin, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
            connection.execute("SELECT pg_reload_conf()")

    @property
    def database_pids(self) -> list[int]:
        """The database's first process; its children count with it."""
        return [self._cluster.pid]

    @property
    def broker_pids(self) -> list[int]:
        """The broker's first process; its children count with it."""
        return [self.node._process.pid]  # noqa: SLF001


def stored(connection: psycopg.Connection) -> int:
    """Return how many documents a database holds as stored."""
    row = connection.execute("SELECT count(*) FROM receipt WHERE act IS NOT NULL AND verdict = 'stored'").fetchone()
    return int(row[0]) if row else 0


def core_seconds(pids: Iterable[int]) -> float:
    """Return the time of a core that processes and their children took, those that ended and were waited for included."""
    return sum(_own_ticks(pid) + sum(_own_ticks(child) for child in descendants(pid)) for pid in pids) / _TICKS


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def _own_ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0


def sync_milliseconds() -> tuple[float, float]:
    """Return what a write of one page with its fsync takes where the servers keep their files: median and 99th of a hundred."""
    took = []
    with tempfile.NamedTemporaryFile(prefix="dmp-gateway-bench-") as file:
        for _ in range(_SYNCS):
            file.write(_PAGE)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took), sorted(took)[_SYNCS * 99 // 100]
