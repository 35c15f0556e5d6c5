"""The broker and the database of one run, and what their processes and ours took of the machine's cores."""

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Self

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
    """
    A RabbitMQ node and a PostgreSQL server that nobody else uses meanwhile.

    Args:
        node: The broker, its lanes empty; None: one is made, and ends with this.
        cluster: The database server; likewise.
    """

    def __init__(self, node: Node | None = None, cluster: Cluster | None = None) -> None:
        with contextlib.ExitStack() as stack:
            self.node = node or stack.enter_context(contextlib.closing(Node()))
            self._cluster = cluster or stack.enter_context(contextlib.closing(Cluster()))
            self._broker("queue_declare", durable=True, arguments={"x-queue-type": "quorum"})
            stack.callback(self._broker, "queue_delete")
            stack.callback(self.node.empty)
            self.ours = self._lent(stack)
            self.bare = self._lent(stack)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _lent(self, stack: contextlib.ExitStack) -> str:
        url = self._cluster.lend()
        stack.callback(self._cluster.give_back, url)
        return url

    def _broker(self, what: str, **named: Any) -> None:
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.node.url))) as connection:
            channel = connection.channel()
            for name in BARE_QUEUES:
                getattr(channel, what)(name, **named)

    @contextlib.contextmanager
    def slow_commits(self, milliseconds: float) -> Iterator[None]:
        """Let each commit wait before it is written to disk, as on a slower one."""
        self._set(f"commit_delay = {int(milliseconds * 1000)}", "commit_siblings = 0")
        try:
            yield
        finally:
            self._set("commit_delay = DEFAULT", "commit_siblings = DEFAULT")

    def _set(self, *settings: str) -> None:
        with psycopg.connect(self._cluster.admin, autocommit=True) as connection:
            for each in settings:
                connection.execute(f"ALTER SYSTEM SET {each}")
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
