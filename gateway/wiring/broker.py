"""The doors' ports where the queue is a broker: events are asked for, rejections travel in a lane of their own (D-10)."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Final

from gateway.model.event import RecordEvent
from gateway.model.outcome import Outcome, Rejection
from gateway.model.ports import Clock, Unavailable
from gateway.model.submission import Deposit, Reception, Submission
from gateway.queue.rabbitmq.door import DoorSide
from gateway.wiring.answers import Answers, acknowledges
from gateway.wiring.urls import url_of

_VARIABLE: Final = "AMQP_URL"


def amqp_url() -> str | None:
    """Return where the broker is, or None: the queue is the data directory's file. Raises OSError: see `url_of`."""
    return url_of(_VARIABLE)


class BrokerDeposits:
    """Deposits and rejections go to the broker; a deposit that it confirmed is noted as acknowledged."""

    def __init__(self, door: DoorSide, answers: Answers) -> None:
        """Keep the rooms."""
        self._door = door
        self._answers = answers

    async def publish(
        self, reception: Reception, submission: Submission, parts: tuple[bytes, ...], *, waits: bool = True
    ) -> Awaitable[Outcome]:
        """Make a deposit durable; see `gateway.model.ports.Deposits`."""
        outcome = await self._door.publish(Deposit(reception=reception, submission=submission, parts=parts), waits=waits)
        self._answers.deposit(reception)
        return outcome

    def report(self, reception: Reception, rejection: Rejection) -> None:
        """Let a rejection travel; see `gateway.model.ports.Deposits`."""
        self._door.reports.report(reception, rejection)


class BrokerEvents:
    """Events are applied by whichever worker is free; one that was committed is noted as acknowledged."""

    def __init__(self, door: DoorSide, clock: Clock, answers: Answers) -> None:
        """Keep the rooms."""
        self._door = door
        self._clock = clock
        self._answers = answers

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        """Apply an event before the deadline; see `gateway.model.ports.Events`."""
        outcome = await self._door.submit(reception, event, deadline, self._clock)
        if acknowledges(outcome):
            try:
                # What states something is on disk before the answer leaves.
                await asyncio.to_thread(self._answers.event, reception, event)
            except OSError:
                raise Unavailable("STORE_UNAVAILABLE") from None
        return outcome
