"""Doubles of the ports, and messages: nothing of a broker or a database."""

import asyncio
import itertools
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

from gateway.adapters.hl7v2.session import Session
from gateway.config.load import load, samples_directory
from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Unavailable
from gateway.model.source import Directory
from gateway.model.submission import Reception, Submission
from gateway.model.verdict import Verdict

SAMPLES = samples_directory()
SETTINGS = load(None, {}, {}).settings
ADMITTED = SETTINGS.directory.admitted(SETTINGS.connections[0].sources)
NOW = datetime(2026, 3, 13, 16, 0, tzinfo=UTC)


class FixedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant


class RunningClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class CountedReceipts:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def issue(self, source: str, at: datetime) -> str:
        return f"R{next(self._numbers):04d}-{source}"


class KeptDeposits:
    """Durable at once, or failing as told; holds until let go."""

    def __init__(self) -> None:
        self.published: list[tuple[Reception, Submission, tuple[bytes, ...]]] = []
        self.reported: list[tuple[Reception, Rejection]] = []
        self.error: BaseException | None = None
        self.report_error: Exception | None = None
        #: What becomes of each deposit at once; None: nobody knows until a test says so.
        self.outcome: Outcome | None = None
        self.outcomes: list[asyncio.Future[Outcome]] = []
        self.waited: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.at_once = 0
        self.most_at_once = 0

    async def publish(
        self, reception: Reception, submission: Submission, parts: tuple[bytes, ...], *, waits: bool = True
    ) -> Awaitable[Outcome]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.set()
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            self.published.append((reception, submission, parts))
        finally:
            self.at_once -= 1
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.waited.append(waits)
        if not waits:
            return outcome
        self.outcomes.append(outcome)
        if self.outcome is not None:
            outcome.set_result(self.outcome)
        return outcome

    def report(self, reception: Reception, rejection: Rejection) -> None:
        if self.report_error is not None:
            raise self.report_error
        self.reported.append((reception, rejection))

    @property
    def ids(self) -> list[str]:
        return [reception.message_id for reception, _, _ in self.published]


class KeptEvents:
    """Applies at once, or ends as told."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Reception, RecordEvent, timedelta]] = []
        self.outcome = Outcome(verdict=Verdict.APPLIED)
        self.error: BaseException | None = None
        self.never = False

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        self.submitted.append((reception, event, deadline - datetime.fromisoformat(reception.received_at)))
        if self.never:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.outcome


def unavailable(code: str = "QUEUE_UNAVAILABLE") -> Unavailable:
    return Unavailable(code)


def sample(name: str) -> bytes:
    """A message of the samples, with segments ended by CR as on the wire."""
    (path,) = SAMPLES.glob(f"{name}*")
    return path.read_bytes().replace(b"\n", b"\r")


def numbered(message: bytes, control_id: str) -> bytes:
    """The message with another MSH-10."""
    head, _, rest = message.partition(b"\r")
    fields = head.split(b"|")
    fields[9] = control_id.encode()
    return b"|".join(fields) + b"\r" + rest


def asking(message: bytes, accept: str, application: str) -> bytes:
    """The message with MSH-15 and MSH-16."""
    head, _, rest = message.partition(b"\r")
    fields = head.split(b"|")
    fields[14:16] = [accept.encode(), application.encode()]
    return b"|".join(fields) + b"\r" + rest


class Asking:
    """A session with its doubles."""

    def __init__(self, *, directory: Directory = ADMITTED, wait: float = 0.2, batch_limit: int = 1000) -> None:
        self.deposits, self.events, self.clock = KeptDeposits(), KeptEvents(), FixedClock()
        self.session = Session(
            directory=directory,
            environment="test",
            deposits=self.deposits,
            events=self.events,
            receipts=CountedReceipts(),
            clock=self.clock,
            ack_wait_seconds=wait,
            batch_limit=batch_limit,
        )
