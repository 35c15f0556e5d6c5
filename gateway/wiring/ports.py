"""The doors' ports, filled in for one process that owns its files (D-15)."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Deposit, Reception, Submission
from gateway.queue.port import Queue
from gateway.store.port import Store
from gateway.wiring.answers import Answers

#: As many events wait for their commit at once; nothing else takes these threads, so that an opposition waits for nothing else.
_WAITING: Final = 16


class QueuedDeposits:
    """Deposits go to the queue and are noted as acknowledged, rejections go to the store's notes."""

    def __init__(self, queue: Queue, store: Store, answers: Answers) -> None:
        """Keep the rooms."""
        self._queue = queue
        self._store = store
        self._answers = answers

    async def publish(
        self,
        reception: Reception,
        submission: Submission,
        parts: tuple[bytes, ...],
        *,
        waits: bool = True,  # noqa: ARG002 - the port's
    ) -> Awaitable[Outcome]:
        """Make a deposit durable; see `gateway.model.ports.Deposits`. The outcome comes whether anybody waits for it or not."""
        outcome = await self._queue.publish(Deposit(reception=reception, submission=submission, parts=parts))
        self._answers.deposit(reception)
        return outcome

    def report(self, reception: Reception, rejection: Rejection) -> None:
        """Note a rejection; see `gateway.model.ports.Deposits`."""
        self._store.note(reception, rejection)


class StoredEvents:
    """Events go straight to the store's writer, ahead of batches (D-2)."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep the store."""
        self._store = store
        self._clock = clock
        self._threads = ThreadPoolExecutor(_WAITING, thread_name_prefix="events")

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        """Apply an event before the deadline; see `gateway.model.ports.Events`."""
        wait = (deadline - self._clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(wait, 0)):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, self._store.submit, reception, event, deadline)
        except TimeoutError:
            # It may have begun: then it commits after its AR, which is harmless (D-2, D-6).
            code = "STORE_UNAVAILABLE"
            raise Unavailable(code) from None

    def close(self) -> None:
        """Take no more events; what waits for its commit ends by its deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)
