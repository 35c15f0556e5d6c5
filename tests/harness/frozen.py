"""
F3: a writer that is frozen in the middle of its transaction, and woken after another one did its work.

The writer is a process of its own that stops itself (SIGSTOP) at the point it is told, so that nothing of it is left to chance:
the kernel tells when it has stopped. It is ended by its own pid.

As a program: `python -m tests.harness.frozen URL` reads one JSON object a line (`Order`) and answers each with one.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.model.event import Position
from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.submission import Deposit
from gateway.store.port import Store, Transient
from gateway.store.postgres import session as session_module
from gateway.store.postgres.statements import STATEMENTS
from gateway.store.postgres.store import PostgresStore
from gateway.store.sqlite.store import SqliteStore
from gateway.telemetry import points
from tests.harness.cast import Cast
from tests.strategies import records
from tests.strategies.records import START, adt, stated

#: How long a transaction may idle before the server takes its locks away: 30 s where it is not a test.
IDLE_MS: Final = 250
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Order:
    """What a writer is to do, and where it is frozen."""

    number: int
    #: `batch` or `opposition`.
    what: str
    point: str = ""
    nth: int = 1
    #: Milliseconds until the request's deadline.
    deadline_ms: int = 3_600_000


def batch(cast: Cast) -> list[Deposit]:
    """The batch of a cast: the same in every process."""
    return [
        records.deposit(f"{cast.prefix}d{n}", START, patient=(cast.ins(who),), documents=((f"1.2.{n}", b"<doc/>"),))
        for n, who in enumerate((0, 1, 0))
    ]


def told(outcomes: list[Outcome]) -> list[list[Any]]:
    """What is compared of outcomes."""
    return [[each.receipt, each.verdict.value, list(each.codes), each.committed_at] for each in outcomes]


class Real:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


# -- the program


def _freeze(order: Order, store: Store) -> None:
    """Stop this process at the n-th hit of the point."""
    left = order.nth

    def reached() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            while order.what == "late" and store._jobs.qsize() == 0:  # type: ignore[attr-defined]
                time.sleep(0.001)  # until the event waits behind the batch
            # To this thread: it goes no further, and the kernel stops the others with it.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    points.hooks[order.point] = reached


def _obey(store: Store, order: Order) -> dict[str, Any]:
    cast = Cast(order.number)
    if order.point:
        _freeze(order, store)
    try:
        match order.what:
            case "batch":
                return {"told": told(_applied(store, cast))}
            case "opposition":
                return {"told": _stated(store, cast, order)}
            case "late":
                heard: list[Any] = []
                event = threading.Thread(target=lambda: heard.append(_stated(store, cast, order)))
                points.hooks["store.lock.granted"] = lambda: None if event.ident else event.start()
                applied = told(_applied(store, cast))
                event.join(_SECONDS)
                return {"told": applied, "event": heard[0]}
        raise ValueError(order.what)
    finally:
        points.hooks.clear()


def _applied(store: Store, cast: Cast) -> list[Outcome]:
    """Apply the batch as a worker does: again after every failure that says nothing about it (D-9)."""
    until = time.monotonic() + _SECONDS
    while True:
        try:
            return store.apply(batch(cast))
        except Transient:
            if time.monotonic() > until:
                raise


def _stated(store: Store, cast: Cast, order: Order) -> Any:
    taken = records.reception(f"{cast.prefix}io", START, message_type="ADT^A01")
    deadline = datetime.now(UTC) + timedelta(milliseconds=order.deadline_ms)
    event = adt(stated(Position.OPPOSES, at=None), patient=(cast.ins(),))
    try:
        return told([store.submit(taken, event, deadline)])
    except Unavailable as failure:
        return failure.args[0]


def main(where: str) -> None:
    """Obey what stands on the standard input."""
    session_module.IDLE_IN_TRANSACTION_TIMEOUT_MS = IDLE_MS  # type: ignore[misc]
    store: Store = SqliteStore(Path(where), Real()) if where.startswith("/") else PostgresStore(where, Real())
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(_obey(store, Order(**json.loads(line)))), flush=True)
    store.close()


# -- what a test holds of it


class Writer:
    """
    A writing process.

    Args:
        where: URL of a database, or path of a file.
    """

    def __init__(self, where: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.frozen", where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        self._hear()

    def order(self, order: Order) -> None:
        """Tell it what to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()

    def wait_frozen(self) -> None:
        """Wait until the kernel says that it has stopped."""
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            pid, status = os.waitpid(self._process.pid, os.WUNTRACED | os.WNOHANG)
            if pid and os.WIFSTOPPED(status):
                return
            assert not pid, f"the writer ended: {status}"
            time.sleep(0.001)
        raise AssertionError("the writer never came to its point")

    def wake(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def answer(self) -> dict[str, Any]:
        """What it came to."""
        return self._hear()

    def end(self) -> None:
        """End it, frozen or not, by its own pid."""
        self._process.kill()
        self._process.wait(_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the writer ended"
        heard: dict[str, Any] = json.loads(line)
        return heard


def walk(act: Callable[[], object]) -> list[tuple[str, int]]:
    """Return every point that something passes, with the number of the hit: where a process may be frozen."""
    passed: list[tuple[str, int]] = []
    seen: dict[str, int] = {}

    def hook(name: str) -> Any:
        def reached() -> None:
            seen[name] = seen.get(name, 0) + 1
            passed.append((name, seen[name]))

        return reached

    names = [*points.POINTS, *(f"sql.{name}" for name in STATEMENTS)]
    points.hooks.update({name: hook(name) for name in names})
    try:
        act()
    finally:
        points.hooks.clear()
    # What a pool does beside (a connection of its own that is made ready) belongs to nobody's transaction.
    return [each for each in passed if each[0] not in {"sql.configure_session", "sql.role_usable", "sql.take_writing_role"}]


if __name__ == "__main__":
    main(sys.argv[1])
