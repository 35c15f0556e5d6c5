"""A real gateway on a folder of its own, and what a test does with it: connections, verbs, waiting for what became of it."""

import socket
import time
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.demo.process import GatewayProcess
from gateway.mappers.hl7v2.ack import Answered, read_ack
from gateway.store.sqlite.connection import open_reader
from gateway.store.sqlite.reader import SqliteReader
from gateway.store.views import DepositLine, DepositPage, RecordPage

START: Final = b"\x0b"
END: Final = b"\x1c\r"

_ANSWER_SECONDS: Final = 30.0
_DECIDED_SECONDS: Final = 30.0
#: What no log of a gateway may hold.
_NEVER: Final = ('"deposit.parked"', '"internal.error"', "Traceback")


class Sender:
    """One connection, byte for byte."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._socket.sendall(data)

    def write_end(self) -> None:
        """Say that nothing more will be written; answers can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def frame(self) -> bytes | None:
        """Return what stands in the next frame; None if the gateway closed the connection before one."""
        while END not in self._left:
            try:
                read = self._socket.recv(65_536)
            except ConnectionResetError:
                return None
            if not read:
                return None
            self._left += read
        frame, _, self._left = self._left.partition(END)
        assert frame.startswith(START)
        return frame[1:]

    def answer(self) -> Answered | None:
        """Return the next answer; None if the gateway closed the connection before one."""
        frame = self.frame()
        return None if frame is None else read_ack(frame)

    def ask_for_all(self, payload: bytes) -> bytes:
        """Send a payload in a frame and return what is answered in one, unread: a batch, several acknowledgments."""
        self.write(START + payload + END)
        frame = self.frame()
        assert frame is not None, "the connection was closed without an answer"
        return frame

    def ask(self, payload: bytes) -> Answered:
        """Send a message in a frame and return its answer."""
        self.write(START + payload + END)
        answered = self.answer()
        assert answered is not None, "the connection was closed without an answer"
        return answered

    def is_closed(self) -> bool:
        """Wait until the gateway closes the connection; whether it said nothing more before."""
        try:
            return self._left == b"" and self._socket.recv(65_536) == b""
        except ConnectionResetError:
            return True


class Ended(msgspec.Struct, frozen=True):
    """What was answered to a message, and what became of it."""

    answer: Answered
    page: DepositPage

    @property
    def verdict(self) -> str:
        return self.page.deposit.state

    @property
    def codes(self) -> tuple[str, ...]:
        return self.page.deposit.codes

    @property
    def rule(self) -> str | None:
        assert self.page.outcome is not None
        return self.page.outcome.rule

    @property
    def documents(self) -> list[tuple[str, str]]:
        """Id and verdict of each document."""
        assert self.page.outcome is not None
        return [(document.unique_id, document.verdict.value) for document in self.page.outcome.documents]

    @property
    def facts(self) -> tuple[str, str, tuple[str, ...]]:
        """MSA-1, the verdict in the store, its codes."""
        return self.answer.code, self.verdict, self.codes


class Door:
    """
    A `serve` process, with its verbs.

    Args:
        folder: Its own; the data directory and the log go below it.
        config: The configuration; the sample one without.
        environment: Variables of the process.
    """

    def __init__(self, folder: Path, *, config: Path | None = None, environment: dict[str, str] | None = None) -> None:
        self.data = folder / "data"
        self.log = folder / "gateway.log"
        self._verbs = CliRunner()
        #: Variables of the verbs.
        self.verb_environment: dict[str, str] = {}
        self.process = GatewayProcess(
            self.data,
            self.log,
            environment={"DMP_GATEWAY_KILL_AT": ""} | (environment or {}),
            arguments=("--config", str(config)) if config else (),
        )

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = self.process.stop()
        if kind is None:
            assert status == 0, f"asked to stop, it ended with {status}; see {self.log}"
            self.check()

    def check(self) -> None:
        """Show what must be so after anything: nothing parked, no error of our own, nothing stored against an opposition."""
        self.check_log()
        with SqliteReader(self.data / "store.db") as reader:
            assert reader.stored_against_an_opposition() == []

    def check_log(self) -> None:
        """Show that the log tells of nothing that must never be."""
        log = self.log.read_text(encoding="utf-8", errors="replace")
        wrong = [line for line in log.splitlines() if any(mark in line for mark in _NEVER)]
        assert not wrong, "\n".join(wrong[:5])

    # -- messages

    def connect(self) -> Sender:
        """Open a connection."""
        return Sender(self.process.port)

    def ask(self, payload: bytes) -> Answered:
        """Send a message over a connection of its own and return the answer."""
        with self.connect() as sender:
            return sender.ask(payload)

    def hand_over(self, payload: bytes) -> str:
        """
        Send a message to a gateway that dies while storing it, wait for the death, and return the receipt.

        It was durable before the worker saw it; whether the answer still left the process is the scheduler's affair.
        """
        with self.connect() as sender:
            sender.write(START + payload + END)
            answered = sender.answer()
        assert answered is None or answered.code == "AA"
        assert self.process.wait_dead(30)
        # What waits is sealed, MSH-10 too: it is the only one that is there.
        (waiting,) = self.deposits("--state", "queued")
        assert answered is None or answered.reference == waiting.id
        return waiting.id

    def send(self, payload: bytes) -> Ended:
        """Send a message and wait until it is decided."""
        answer = self.ask(payload)
        return Ended(answer, self.decided(answer.reference))

    # -- what the verbs show

    def verb(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        """Run a verb with `--json`; return its lines, and fail if its exit status is another."""
        result = self._verbs.invoke(main, [*arguments, "--data", str(self.data), "--json"], env=self.verb_environment)
        assert result.exit_code == status, f"{arguments}: {result.exit_code}\n{result.output}\n{result.exception!r}"
        return [msgspec.json.decode(line) for line in result.stdout.splitlines()]

    def show(self, receipt: str) -> DepositPage:
        """Return `deposits show`."""
        (page,) = self.verb("deposits", "show", receipt)
        return msgspec.convert(page, DepositPage)

    def deposits(self, *filters: str) -> list[DepositLine]:
        """Return `deposits list`, newest first."""
        return [msgspec.convert(line, DepositLine) for line in self.verb("deposits", "list", "--limit", "100000", *filters)]

    def record(self, ins: str = "", *, local: str = "", root: str = "test") -> RecordPage:
        """Return `record show` of a patient."""
        named = ("--local", local) if local else ("--ins", ins, "--root", root)
        (page,) = self.verb("record", "show", *named)
        return msgspec.convert(page, RecordPage)

    def decided(self, receipt: str) -> DepositPage:
        """Wait until a message is decided, by the store's file; return `deposits show`."""
        limit = time.monotonic() + _DECIDED_SECONDS
        while not self.rows("SELECT 1 FROM receipt WHERE id = ?", receipt):
            assert time.monotonic() < limit, f"{receipt} is not decided after {_DECIDED_SECONDS:.0f} s; see {self.log}"
            time.sleep(0.01)
        return self.show(receipt)

    def noted(self, message_id: str) -> DepositLine:
        """Wait until the only message of this MSH-10 is in the list: what was rejected is noted after its answer."""
        limit = time.monotonic() + _DECIDED_SECONDS
        while not (found := self.deposits("--message", message_id)):
            assert time.monotonic() < limit, f"{message_id} is not in the list"
            time.sleep(0.01)
        (line,) = found
        return line

    def drained(self) -> None:
        """Wait until nothing waits in the queue."""
        limit = time.monotonic() + _DECIDED_SECONDS
        while self.deposits("--state", "queued"):
            assert time.monotonic() < limit, "the queue does not drain"
            time.sleep(0.02)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of the store's file."""
        connection = open_reader(self.data / "store.db")
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


def errors_of(answered: Answered) -> list[tuple[str, str, str]]:
    """Return code, place (ERR-2) and severity of each ERR of an answer."""
    return [(error.code, "^".join(error.erl), error.severity) for error in answered.errors]


def stored_documents(page: RecordPage, state: str = "current") -> list[str]:
    """Return the ids of the documents of a record in one state."""
    return sorted(document.unique_id for document in page.documents if document.state == state)
