"""The doors' ports: events have threads of their own."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable
from gateway.model.verdict import Verdict
from gateway.wiring.ports import StoredEvents

NOW = datetime(2026, 3, 13, 16, 0, tzinfo=UTC)


class Still:
    def now(self) -> datetime:
        return NOW


class Waited:
    """A store that commits when it is told to."""

    def __init__(self) -> None:
        self.commit = threading.Event()

    def submit(self, *_: object) -> Outcome:
        assert self.commit.wait(20)
        return Outcome(verdict=Verdict.APPLIED)


def submitted(events: StoredEvents, seconds: float) -> Any:
    return events.submit(None, None, NOW + timedelta(seconds=seconds))  # type: ignore[arg-type]


def test_events_do_not_wait_for_the_threads_of_the_event_loop() -> None:
    """Whatever fills the loop's own threads (deposits, large messages, settling), an opposition is committed meanwhile."""
    store, hold = Waited(), threading.Event()
    store.commit.set()
    events = StoredEvents(store, Still())  # type: ignore[arg-type]

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        taken = loop.run_in_executor(None, hold.wait, 20)
        try:
            assert (await submitted(events, 5)).verdict is Verdict.APPLIED
        finally:
            hold.set()
        assert await taken

    asyncio.run(scenario())
    events.close()


def test_an_event_that_is_not_committed_by_its_deadline_is_sent_again() -> None:
    store = Waited()
    events = StoredEvents(store, Still())  # type: ignore[arg-type]

    async def scenario() -> None:
        with pytest.raises(Unavailable) as caught:
            await submitted(events, 0.1)
        assert caught.value.code == "STORE_UNAVAILABLE"

    try:
        asyncio.run(scenario())
    finally:
        store.commit.set()
        events.close()
