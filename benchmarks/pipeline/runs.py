"""The two pipelines, floor and gateway, under the same load one after the other."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import psycopg

from benchmarks import inputs
from benchmarks.growth import Copied
from benchmarks.load import Load
from benchmarks.pipeline import messages
from benchmarks.pipeline.messages import Kind
from benchmarks.pipeline.servers import BARE_QUEUES, Servers, core_seconds, stored
from gateway.demo.process import GatewayProcess
from gateway.model.verdict import Verdict
from gateway.queue.keys import initialise
from gateway.queue.receipt import MacReceipts
from gateway.store.postgres.session import Session
from gateway.store.postgres.store import PostgresStore
from gateway.wiring.clock import SystemClock
from gateway.wiring.control import Request, ask
from gateway.wiring.data import DataDirectory

_HERE: Final = Path(__file__).resolve().parent
#: How long one load may take, and how long afterwards the last message may take to be stored.
_LIMIT_SECONDS: Final = 120.0
#: How many of each kind go before the first turn.
_WARMING: Final = 60


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline under one load, in one turn."""

    pipeline: str
    kind: str
    clients: int
    turn: int
    messages: int
    #: Added to each commit of the database.
    slowed_ms: float
    #: Per second from the first byte sent: to the last answer, to the last message stored.
    accepted_rate: float
    stored_rate: float
    p50_ms: float
    p99_ms: float
    #: Of the floor: what its confirms took, measured where it publishes. None for the gateway.
    confirm_p99_ms: float | None
    #: Microseconds of a core per message, of everybody and by who took them.
    core_us: float
    core_us_of: dict[str, float]
    #: Processes that wanted a core meanwhile, the machine over (the load average of the last minute).
    load_average: float


class Pipeline:
    """
    One of the two.

    Args:
        name: `floor` or `gateway`.
        database: Where it stores.
        ports: Of its doors, by kind of message.
        pids: Its processes, by what they are; their children count with them.
        confirms: What the confirms since an instant took, in seconds, if it can tell.
    """

    def __init__(
        self,
        name: str,
        database: str,
        ports: dict[str, int],
        pids: Callable[[], dict[str, Sequence[int]]],
        confirms: Callable[[str, float], list[float]] | None = None,
    ) -> None:
        self.name = name
        self.database = database
        self.ports = ports
        self.pids = pids
        self.confirms = confirms
        with psycopg.connect(database, autocommit=True) as connection:
            self.stored = stored(connection)


class Turns:
    """
    Both pipelines, and what has been sent to them; they run while it is entered.

    Args:
        folder: Where messages, data and logs go.
        servers: Broker and database; their records are opened at once.
        kinds: What is sent.
    """

    def __init__(self, folder: Path, servers: Servers, kinds: Sequence[Kind]) -> None:
        self._folder = folder
        self._servers = servers
        self.kinds = kinds
        self._numbers = {kind.name: 0 for kind in kinds}
        self._stack = contextlib.ExitStack()
        self._pipelines: tuple[Pipeline, ...] = ()
        for database in (servers.ours, servers.bare):
            with _store(database) as store:
                messages.open_records(store)

    def __enter__(self) -> Self:
        templates = {kind.name: template(self._servers.bare, self.next(kind, 1)[0]) for kind in self.kinds}
        try:
            self._pipelines = (
                self._stack.enter_context(_floor(self._folder, self._servers, templates)),
                self._stack.enter_context(_gateway(self._folder, self._servers, self.kinds)),
            )
            for kind in self.kinds:
                for _ in self.turn(kind, 8, _WARMING, turn=0):
                    pass
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def next(self, kind: Kind, count: int) -> list[bytes]:
        """Return messages that were not sent before."""
        first = self._numbers[kind.name]
        self._numbers[kind.name] += count
        return messages.made(kind, count, first)

    def turn(self, kind: Kind, clients: int, count: int, *, turn: int, slowed_ms: float = 0.0) -> Iterator[Run]:
        """Send the same new messages to both, one after the other; whoever was first is second in the next turn."""
        file = messages.framed(self.next(kind, count), self._folder / "load")
        for pipeline in self._pipelines[:: -1 if turn % 2 else 1]:
            yield self._run(pipeline, file, kind=kind, clients=clients, count=count, turn=turn, slowed_ms=slowed_ms)

    def _run(self, pipeline: Pipeline, file: Path, *, kind: Kind, clients: int, count: int, turn: int, slowed_ms: float) -> Run:
        pids = pipeline.pids() | {"broker": self._servers.broker_pids, "database": self._servers.database_pids}
        before = {who: core_seconds(those) for who, those in pids.items()}
        load = _load(pipeline.ports[kind.name], clients, file)
        if load.answers != {"AA": count}:
            raise RuntimeError(f"{pipeline.name}: answers {load.answers}")
        pipeline.stored += count
        ended = _until(pipeline.database, pipeline.stored)
        core = {who: (core_seconds(those) - before[who]) / count * 1e6 for who, those in pids.items()}
        core["client"] = load.core_seconds / count * 1e6
        confirms = sorted(pipeline.confirms(kind.name, load.begun)) if pipeline.confirms else []
        return Run(
            pipeline=pipeline.name,
            kind=kind.name,
            clients=clients,
            turn=turn,
            messages=count,
            slowed_ms=slowed_ms,
            accepted_rate=count / (load.ended - load.begun),
            stored_rate=count / (ended - load.begun),
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            confirm_p99_ms=confirms[min(len(confirms) - 1, len(confirms) * 99 // 100)] * 1000 if confirms else None,
            core_us=sum(core.values()),
            core_us_of=core,
            load_average=os.getloadavg()[0],
        )


def template(database: str, message: bytes) -> list[Copied]:
    """Store one message in a database of its own kind, and return the COPYs that its transaction sent."""
    captured: list[Copied] = []
    sent = Session.copy

    def copy(session: Session, name: str, rows: Any) -> None:
        kept = [list(row) for row in rows]
        captured.append((name, kept))
        sent(session, name, kept)

    with _store(database) as store:
        (deposit,) = inputs.deposits([message], inputs.directory(), MacReceipts(b"bench"))
        Session.copy = copy  # type: ignore[method-assign]
        try:
            captured.clear()
            (outcome,) = store.apply([deposit])
        finally:
            Session.copy = sent  # type: ignore[method-assign]
    if outcome.verdict is not Verdict.STORED:
        raise RuntimeError(f"the template was {outcome.verdict.value}, not stored")
    return captured


@contextlib.contextmanager
def _store(database: str) -> Iterator[PostgresStore]:
    with contextlib.closing(PostgresStore(database, SystemClock())) as store:
        yield store


@contextlib.contextmanager
def _gateway(folder: Path, servers: Servers, kinds: Sequence[Kind]) -> Iterator[Pipeline]:
    data = folder / "data"
    data.mkdir(mode=0o700)
    initialise(DataDirectory(data).keys, SystemClock())
    environment = {
        "AMQP_URL": servers.node.url,
        "DATABASE_URL": servers.ours,
        "DMP_GATEWAY_PROCESSES_DOORS": "1",
        "DMP_GATEWAY_PROCESSES_WORKERS": "1",
    }
    with GatewayProcess(data, folder / "gateway.log", environment=environment) as process:
        status = msgspec.json.decode(ask(DataDirectory(data).owner().socket, Request(verb="status")).result)
        roles = {"door": "mllp", "worker": "worker 1"}
        pids = {who: [each["pid"] for each in status["processes"] if each["role"] == role] for who, role in roles.items()}
        ports = {kind.name: process.port for kind in kinds}
        yield Pipeline("gateway", servers.ours, ports, lambda: dict(pids))


@contextlib.contextmanager
def _floor(folder: Path, servers: Servers, templates: dict[str, list[Copied]]) -> Iterator[Pipeline]:
    """A door, and a worker for the kind that is sent: each writes the rows that one document of its kind leaves."""
    with contextlib.ExitStack() as stack:
        doors, workers = {}, {}
        for queue, (kind, rows) in zip(BARE_QUEUES, templates.items(), strict=False):
            file = folder / f"{queue}.rows"
            file.write_bytes(msgspec.msgpack.encode(rows))
            workers[kind] = stack.enter_context(_process("bare_worker", servers.node.url, queue, servers.bare, str(file)))
            workers[kind].readline()
            doors[kind] = stack.enter_context(_process("bare_door", servers.node.url, queue))
        ports = {kind: int(msgspec.json.decode(door.readline())["mllp_port"]) for kind, door in doors.items()}
        pids = {"door": [door.pid for door in doors.values()], "worker": [worker.pid for worker in workers.values()]}

        def confirms(kind: str, since: float) -> list[float]:
            return msgspec.json.decode(doors[kind].ask(str(since)), type=list[float])

        yield Pipeline("floor", servers.bare, ports, lambda: dict(pids), confirms)


class _Spoken:
    """A process that is spoken to by lines."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.pid = process.pid

    def readline(self) -> bytes:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise RuntimeError("a process of the floor ended")
        return line

    def ask(self, line: str) -> bytes:
        if self._process.stdin:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        return self.readline()


@contextlib.contextmanager
def _process(module: str, *arguments: str) -> Iterator[_Spoken]:
    command = (sys.executable, "-m", f"benchmarks.pipeline.{module}", *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_HERE.parents[1]) as process:
        try:
            yield _Spoken(process)
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _load(port: int, clients: int, file: Path) -> Load:
    command = (sys.executable, str(_HERE.parent / "load.py"), str(port), str(clients), str(file))
    done = subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_SECONDS)
    return msgspec.json.decode(done.stdout, type=Load)


def _until(database: str, count: int) -> float:
    """Wait until a database holds so many documents; return when it did."""
    limit = time.monotonic() + _LIMIT_SECONDS
    with psycopg.connect(database, autocommit=True) as connection:
        while (found := stored(connection)) < count:
            if time.monotonic() > limit:
                raise RuntimeError(f"{found} of {count} stored")
            time.sleep(0.01)
    return time.monotonic()
