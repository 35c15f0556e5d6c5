"""
The client that keeps its own account: what it sends and what it hears is on the disk before it goes on.

Each connection is a thread with a ledger of its own. It sends a strand step by step, one message at a time; what is answered AR
or not at all goes again with the same bytes, to whichever gateway listens then.
"""

import random
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.harness.ledger import Ledger
from tests.harness.traffic import Step

_ANSWER_SECONDS: Final = 20.0
_AGAIN_SECONDS: Final = 0.02
_START, _END = b"\x0b", b"\x1c\r"


class Cut(Exception):
    """The connection ended before the answer."""


class Wire:
    """One MLLP connection to the loopback interface; closed by a `Cut`."""

    def __init__(self, port: int) -> None:
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS)
        except OSError as failed:
            raise Cut(type(failed).__name__) from failed
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def send(self, payload: bytes) -> None:
        """Send a framed message."""
        self.write(_START + payload + _END)

    def begin(self, payload: bytes) -> None:
        """Send the beginning of a frame that has no end."""
        self.write(_START + payload)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._socket.sendall(data)
        except OSError as failed:
            raise self._cut(failed) from failed

    def receive(self) -> bytes:
        """Return the next answer, without its frame."""
        while _END not in self._left:
            try:
                read = self._socket.recv(65_536)
            except OSError as failed:
                raise self._cut(failed) from failed
            if not read:
                raise self._cut(EOFError())
            self._left += read
        answer, _, self._left = self._left.partition(_END)
        return answer.removeprefix(_START)

    def ask(self, payload: bytes) -> bytes:
        """Send a message and return its answer."""
        self.send(payload)
        return self.receive()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _cut(self, failed: BaseException) -> Cut:
        self._socket.close()
        return Cut(type(failed).__name__)


def read_answer(answer: bytes) -> tuple[str, str]:
    """Return MSA-1 and the receipt (MSA-3) of an acknowledgment."""
    for segment in answer.split(b"\r"):
        if segment.startswith(b"MSA|"):
            fields = [*segment.decode("ascii", "replace").split("|"), "", "", ""]
            return fields[1], fields[3]
    return "", ""


def note_send(ledger: Ledger, connection: int, step: Step, *, port: int) -> None:
    """Write down, before it happens, that a message is sent."""
    ledger.write(
        event="send",
        connection=connection,
        id=step.id,
        kind=step.kind,
        strand=step.strand,
        patient=step.patient,
        establishment=step.establishment,
        document=step.document,
        rank=step.rank,
        port=port,
        at=time.time(),
    )


def note_answer(ledger: Ledger, connection: int, step: Step, answer: bytes) -> tuple[str, float]:
    """Write down an answer; return MSA-1 and when."""
    at = time.time()
    code, receipt = read_answer(answer)
    ledger.write(event="answer", connection=connection, id=step.id, code=code, receipt=receipt, at=at)
    return code, at


#: Those that there are, to be ended with a run that was broken off.
_LOADS: "weakref.WeakSet[Load]" = weakref.WeakSet()


def abandon_all() -> None:
    """End every load of this process, and wait until none sends any more."""
    left = list(_LOADS)
    for load in left:
        load.abandon()
    for load in left:
        load.join(30.0)


class Load:
    """
    N connections that send strands until they are told to finish.

    Args:
        strands: Gives the next strand, None when there is no more; called by any connection.
        folder: Where the ledgers go, one a connection.
        connections: How many.
        first_names: Number of the first connection; another load into the same folder must not share it.
    """

    def __init__(
        self, strands: Callable[[], list[Step] | None], folder: Path, *, connections: int = 8, first_name: int = 0
    ) -> None:
        self._strands = strands
        self._folder = folder
        self._gate = threading.Event()
        self._finishing = threading.Event()
        self._abandoned = False
        _LOADS.add(self)
        self._lock = threading.Lock()
        self._port = 0
        self._heard: dict[int, float] = {}
        self.failures: list[str] = []
        self.sent = 0
        self.answered = 0
        #: When the last AA came, seconds since the epoch.
        self.accepted_at = 0.0
        names = range(first_name, first_name + connections)
        self._threads = [threading.Thread(target=self._run, args=(name,), name=f"load-{name}", daemon=True) for name in names]

    def start(self, port: int) -> None:
        """Begin, towards a gateway that listens."""
        self.listening(port)
        for thread in self._threads:
            thread.start()

    def listening(self, port: int) -> None:
        """Say where the gateway listens now."""
        with self._lock:
            self._port = port
        self._gate.set()

    def away(self) -> None:
        """Say that the gateway is away: nobody connects until it listens again."""
        self._gate.clear()

    def heard(self, port: int) -> float | None:
        """Return when the first AA came from the gateway of this port, seconds since the epoch."""
        with self._lock:
            return self._heard.get(port)

    def wait_heard(self, port: int, seconds: float) -> float | None:
        """Wait for the first AA from the gateway of this port."""
        limit = time.monotonic() + seconds
        while self.heard(port) is None and time.monotonic() < limit and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.002)
        return self.heard(port)

    def finish(self, seconds: float = 60.0) -> None:
        """Take no new strand, finish those begun, wait for the end."""
        self._finishing.set()
        self.join(seconds)

    def abandon(self) -> None:
        """Send nothing more, whatever was begun: its run was broken off, and its port may be another gateway's tomorrow."""
        self._abandoned = True
        self._finishing.set()
        self._gate.set()

    def join(self, seconds: float) -> None:
        """Wait until there are no more strands."""
        limit = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self.failures.append(f"a connection had no end after {seconds:.0f} s")

    @property
    def alive(self) -> bool:
        """Whether any connection still works."""
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, name: int) -> None:
        wire: Wire | None = None
        chance = random.Random(name)
        with Ledger(self._folder / f"connection-{name:04}.jsonl") as ledger:
            while not self._finishing.is_set() and (strand := self._strands()) is not None:
                for step in strand:
                    again = True
                    while again and not self._abandoned:
                        wire, again = self._once(name, ledger, wire, step)
                        if again:
                            time.sleep(_AGAIN_SECONDS * chance.random())
        if wire is not None:
            wire.close()

    def _once(self, name: int, ledger: Ledger, wire: Wire | None, step: Step) -> tuple[Wire | None, bool]:
        """Send a step once; return the connection, if it is still there, and whether the step must be sent again."""
        self._gate.wait()
        if self._abandoned:
            return wire, False
        with self._lock:
            port = self._port
        try:
            wire = wire or Wire(port)
        except Cut:
            return None, True
        note_send(ledger, name, step, port=port)
        with self._lock:
            self.sent += 1
        try:
            answer = wire.ask(step.payload)
        except Cut as cut:
            ledger.write(event="cut", connection=name, id=step.id, because=str(cut), at=time.time())
            return None, True
        code, at = note_answer(ledger, name, step, answer)
        with self._lock:
            self.answered += 1
            if code == "AA":
                self._heard.setdefault(port, at)
                self.accepted_at = max(self.accepted_at, at)
        return wire, code == "AR"
