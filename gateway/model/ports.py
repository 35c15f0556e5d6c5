"""What a room asks of another without knowing it: filled in by wiring."""

from collections.abc import Awaitable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.submission import Reception, Submission


class Unavailable(Exception):
    """A circumstance, not the content: the sender may send again (AR, 503). Carries the problem code."""

    def __init__(self, code: str) -> None:
        """Keep the code of the table of problems."""
        super().__init__(code)
        self.code = code


class FileUnusable(Exception):
    """A file of the gateway cannot be opened or read; names the file and the database's own error name, never a value."""

    def __init__(self, path: Path, reason: str) -> None:
        """Keep what an operator needs."""
        super().__init__(f"{path} cannot be used: {reason}")
        self.path = path
        self.reason = reason

    @property
    def damaged(self) -> bool:
        """Whether the file itself is at fault; else it is the disk, or the rights of whoever asks."""
        return "damaged" in self.reason or self.reason.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


class Clock(Protocol):
    """The time, injected (D-24)."""

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        ...


class Receipts(Protocol):
    """Gives receipt ids."""

    def issue(self, source: str, at: datetime) -> str:
        """Return a new receipt id that carries the time, the source and a MAC (D-16)."""
        ...

    def keyed(self, content: bytes) -> str:
        """Return a hash of 64 hexadecimal digits that only this installation can make."""
        ...


class Deposits(Protocol):
    """Where a door hands over deposits."""

    async def publish(
        self, reception: Reception, submission: Submission, parts: tuple[bytes, ...], *, waits: bool = True
    ) -> Awaitable[Outcome]:
        """
        Make a deposit durable; returns once it is (D-2), with an awaitable of its outcome.

        Args:
            reception: The facts of its reception.
            submission: What it asks for.
            parts: What travels with it.
            waits: Whether anybody waits for the outcome; without, none may ever come (it costs a broker a message).

        Raises:
            Unavailable: it was not confirmed in time (QUEUE_UNAVAILABLE); it may be there all the same, so the sender resends.
                The outcome raises it where it will not be known here.
        """
        ...

    def report(self, reception: Reception, rejection: Rejection) -> None:
        """Note a rejection or an ignored message: never delays the answer, never holds content (D-7)."""
        ...


class Events(Protocol):
    """Where a door hands over events."""

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        """
        Apply an event; returns once it is committed (D-2).

        Raises:
            Unavailable: not committed before the deadline (STORE_UNAVAILABLE).
        """
        ...
