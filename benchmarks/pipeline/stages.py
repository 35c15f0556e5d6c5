"""What each stage takes of a core, one message after the other in this process, beside its budget."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import floor, inputs
from benchmarks.pipeline.messages import SMALL, Kind
from benchmarks.pipeline.servers import Servers
from gateway.adapters.hl7v2.session import Session
from gateway.mappers.hl7v2 import read
from gateway.mappers.hl7v2.header import digest, read_header, salvage
from gateway.model.submission import Deposit
from gateway.model.verdict import Verdict
from gateway.queue import wire
from gateway.queue.keys import Keys, initialise
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.queue import RabbitQueue
from gateway.queue.receipt import MacReceipts
from gateway.queue.seal import open_sealed, seal
from gateway.store import deposits as storing
from gateway.store.postgres.store import PostgresStore
from gateway.telemetry import lines
from gateway.wiring.clock import SystemClock

_LANE: Final = "deposits.0"
_BATCH: Final = 100
_CONNECT_SECONDS: Final = 30.0
_TAKE_SECONDS: Final = 5.0

#: Microseconds of a core, for a message of some 20 kB. What is not there is in the budget of the stage before, or is a wait.
_BUDGETS: Final = {
    "parse": 240,
    "session, log lines, answer": 20,
    "wire form, seal": 25,
    "publish, confirm": 17,
    "take": 17,
    "unseal, wire form": 25,
    "rules": 60,
    "store": 17,
}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of one kind of message: medians of the turns."""

    kind: str
    stage: str
    #: Microseconds of a core of this process; of what waits, of the wall.
    micros: float
    #: The least and the most of the turns.
    least: float
    most: float
    #: None: there is none, or it is in the stage before.
    budget: float | None
    #: Of the split walk of the same bytes.
    of_walk: float


def stages(servers: Servers, kind: Kind, next_: Callable[[int], list[bytes]], rounds: int, count: int) -> Iterator[Stage]:
    """
    Measure every stage.

    Args:
        servers: A broker that nobody else takes from and a database with open records; what is stored stays.
        kind: What is measured.
        next_: Gives so many messages that were not sent before.
        rounds: How many turns.
        count: Messages of a turn.
    """
    took: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dmp-gateway-bench-")))
        # As a process writes them: into a file.
        lines.direct("info", "json", stack.enter_context((folder / "log").open("w")), None)
        stack.callback(lines.direct, "info", "auto", None, None)
        initialise(folder / "keys", SystemClock())
        keys = Keys.open(folder / "keys", SystemClock())
        store = stack.enter_context(closing(PostgresStore(servers.ours, SystemClock())))
        queue = RabbitQueue(servers.node.url, keys, share=Share())
        stack.callback(queue.close)
        if not queue.connected(_CONNECT_SECONDS):
            raise RuntimeError(f"no broker: {queue.problem()}")
        for _ in range(rounds + 1):
            for stage, micros in _round(next_(count), keys, queue, store):
                took.setdefault(stage, []).append(micros)
    # The first turn warms caches and connections.
    walk = statistics.median(took["split walk (the floor's reading)"][1:])
    for stage, (_, *micros) in took.items():
        median = statistics.median(micros)
        yield Stage(
            kind=kind.name,
            stage=stage,
            micros=median,
            least=min(micros),
            most=max(micros),
            budget=_BUDGETS.get(stage) if kind is SMALL else None,
            of_walk=median / walk,
        )


def _round(payloads: list[bytes], keys: Keys, queue: RabbitQueue, store: PostgresStore) -> Iterator[tuple[str, float]]:
    known, receipts = inputs.directory(), MacReceipts(keys.receipts)
    source = inputs.source_of(payloads[0], known)
    yield "split walk (the floor's reading)", _each(floor.walk, payloads)[0]
    parse, parsed = _each(lambda one: (salvage(one), digest(one), read_header(one, source.charset))[2], payloads)
    yield "parse", parse
    mapping, _ = _each(lambda one: read.read(one[1], one[0], source, known, "test"), parsed)
    yield "map", mapping
    yield "session, log lines, answer", _session(payloads, known, receipts) - parse - mapping
    deposits = inputs.deposits(payloads, known, receipts)
    sealing, sealed = _each(lambda one: seal(wire.encode(one), keys=keys, lane=_LANE, receipt=one.reception.receipt), deposits)
    yield "wire form, seal", sealing
    cores, waits = _publish(queue, deposits)
    yield "publish, confirm", cores - sealing
    yield "confirm wait", waits
    opening, _ = _each(_opened(keys), list(zip(deposits, sealed, strict=True)))
    yield "unseal, wire form", opening
    taking, taken = _take(queue, len(deposits))
    yield "take", taking - opening
    yield from _store(store, taken)


def _each(call: Callable[[Any], Any], given: list[Any]) -> tuple[float, list[Any]]:
    """Return microseconds of this thread's core of a call, and what the calls returned."""
    begun = time.thread_time()
    found = [call(one) for one in given]
    return (time.thread_time() - begun) / len(given) * 1e6, found


def _opened(keys: Keys) -> Callable[[tuple[Deposit, bytes]], Deposit]:
    def opened(one: tuple[Deposit, bytes]) -> Deposit:
        return wire.decode(open_sealed(one[1], keys=keys, lane=_LANE, receipt=one[0].reception.receipt))

    return opened


class _Taken:
    """Takes every deposit, at no cost."""

    async def publish(self, *_: object, **_more: object) -> None:
        return None


def _session(payloads: list[bytes], known: Any, receipts: MacReceipts) -> float:
    taken: Any = _Taken()
    session = Session(directory=known, environment="test", deposits=taken, events=taken, receipts=receipts, clock=SystemClock())

    async def answer() -> float:
        begun = time.process_time()
        for payload in payloads:
            if b"MSA|AA" not in await session.answer(payload):
                raise RuntimeError("not accepted")
        return (time.process_time() - begun) / len(payloads) * 1e6

    return asyncio.run(answer())


def _publish(queue: RabbitQueue, deposits: list[Deposit]) -> tuple[float, float]:
    """Return microseconds of this process's cores while all are published together, and of the wall for one alone."""
    alone = max(1, len(deposits) // 4)

    async def publish() -> tuple[float, float]:
        waits = []
        for deposit in deposits[:alone]:
            begun = time.perf_counter()
            await queue.publish(deposit, waits=False)
            waits.append((time.perf_counter() - begun) * 1e6)
        core = time.process_time()
        await asyncio.gather(*(queue.publish(deposit, waits=False) for deposit in deposits[alone:]))
        return (time.process_time() - core) / (len(deposits) - alone) * 1e6, statistics.median(waits)

    return asyncio.run(publish())


def _take(queue: RabbitQueue, count: int) -> tuple[float, list[Deposit]]:
    taken: list[Deposit] = []
    core = time.process_time()
    while len(taken) < count:
        batch = queue.take(_BATCH, 8 * 1024 * 1024, _TAKE_SECONDS)
        if not batch:
            raise RuntimeError(f"{len(taken)} of {count} taken")
        taken += [delivery.deposit for delivery in batch]
        with queue._lock:  # noqa: SLF001 - acknowledged without an outcome: what is stored is measured apart
            gone = [queue._in_hand.pop(delivery.id) for delivery in batch]  # noqa: SLF001
        queue._taking().acknowledge(gone)  # noqa: SLF001
    return (time.process_time() - core) / count * 1e6, taken


def _store(store: PostgresStore, deposits: list[Deposit]) -> Iterator[tuple[str, float]]:
    rules = 0.0
    with _timed(storing.rules, "decide") as decided, _timed(storing.rules, "facts") as gathered:
        core = time.thread_time()
        for start in range(0, len(deposits), _BATCH):
            outcomes = store.apply(deposits[start : start + _BATCH])
            if any(outcome.verdict is not Verdict.STORED for outcome in outcomes):
                raise RuntimeError(f"not stored: {outcomes[0].verdict.value}")
        core = time.thread_time() - core
        rules = sum(decided) + sum(gathered)
    yield "rules", rules / len(deposits) * 1e6
    yield "store", (core - rules) / len(deposits) * 1e6


@contextmanager
def _timed(module: Any, name: str) -> Iterator[list[float]]:
    """Time the calls of a function of a module."""
    function, took = getattr(module, name), []

    def timed(*given: Any, **named: Any) -> Any:
        begun = time.thread_time()
        try:
            return function(*given, **named)
        finally:
            took.append(time.thread_time() - begun)

    setattr(module, name, timed)
    try:
        yield took
    finally:
        setattr(module, name, function)
