"""Processes and their supervisor: each is asked over the socket that it was given, and none keeps the others waiting."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import generate_latest

from gateway.telemetry import metrics
from gateway.wiring import several
from gateway.wiring.health import Health, Shown
from gateway.wiring.several import Several, Voice
from gateway.wiring.telling import Telling


class Process:
    """Stands in for a process: its end of the socket is on a thread here."""

    def __init__(self, number: int, missing: str | None = None) -> None:
        self.name = f"worker {number}"
        self.number = number
        self.is_running = True
        self.missing = missing
        self.voice: Voice | None = None
        self.silent: socket.socket | None = None

    async def begin(self, *, frozen: bool = False) -> "Process":
        self.voice = Voice()
        theirs = os.dup(self.voice.theirs.fileno())
        await self.voice.begin()
        if frozen:
            self.silent = socket.socket(fileno=theirs)
        else:
            Telling(theirs, Health({"store": lambda: self.missing}))
        return self

    def end(self) -> None:
        self.is_running = False
        if self.voice is not None:
            self.voice.end()
            self.voice = None
        if self.silent is not None:
            self.silent.close()


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))  # type: ignore[arg-type]


async def seen(together: Several) -> Shown:
    return await asyncio.to_thread(together.look)


def test_what_is_missing_is_said_of_the_process_that_lacks_it() -> None:
    async def scene() -> None:
        processes = [await Process(1).begin(), await Process(2, "the record store is away").begin()]
        together = Several(processes)
        assert (await seen(together)).missing == {"store": "worker 2: the record store is away"}
        processes[1].missing = None
        assert (await seen(together)).missing == {}
        processes[1].end()
        together.ended(processes[1])
        assert (await seen(together)).missing == {"processes": "worker 2 does not run"}
        processes[0].end()

    run(scene)


def test_one_that_is_frozen_is_named_asked_once_and_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "_ANSWER_SECONDS", 0.3)

    async def scene() -> None:
        processes = [await Process(1).begin(), await Process(2).begin(frozen=True)]
        together = Several(processes)
        for _ in range(3):
            assert (await seen(together)).missing == {"processes": "worker 2 does not answer"}
        assert processes[1].silent is not None
        assert processes[1].silent.recv(16) == b"?"
        for each in processes:
            each.end()

    run(scene)


def test_the_page_of_all_has_the_sum_and_the_worst() -> None:
    async def scene() -> None:
        processes = [await Process(1).begin(), await Process(2, "away").begin()]
        together = Several(processes)
        metrics.APPLY_RETRIES.labels("contended").inc()
        counted = metrics.APPLY_RETRIES.labels("contended")._value.get()
        await seen(together)
        page = generate_latest(together.registry).decode()
        # All three (the supervisor counts, too) are this process here.
        assert f'dmpgw_apply_retries_total{{reason="contended"}} {counted * 3}' in page
        for each in processes:
            each.end()
            together.ended(each)
        assert f'dmpgw_apply_retries_total{{reason="contended"}} {counted * 3}' in generate_latest(together.registry).decode()

    run(scene)


def test_an_answer_that_is_none_of_ours_ends_the_listening_and_nothing_else() -> None:
    async def scene() -> None:
        process = await Process(1).begin(frozen=True)
        together = Several([process])
        assert process.silent is not None
        process.silent.sendall((1 << 31).to_bytes(4))
        assert "processes" in (await seen(together)).missing
        assert (await seen(together)).missing == {"processes": "worker 1 does not answer"}
        process.end()

    run(scene)


def test_one_that_ends_while_another_is_waited_for_is_counted_once() -> None:
    """Its answer is of a process that is over: taken after its end, it would count beside what it left."""

    async def scene() -> None:
        ends, slow = await Process(1).begin(), Process(2)
        together = Several([ends, slow])
        metrics.APPLY_RETRIES.labels("transient").inc()
        counted = metrics.APPLY_RETRIES.labels("transient")._value.get()
        await seen(together)
        before = ends.voice.told if ends.voice is not None else None

        class Ending:
            told = None

            async def ask(self) -> bool:
                async with asyncio.timeout(30):
                    while ends.voice is not None and ends.voice.told is before:  # noqa: ASYNC110 - a thread makes it so
                        await asyncio.sleep(0.001)
                for _ in range(10):  # what it answered is taken note of
                    await asyncio.sleep(0)
                ends.end()
                together.ended(ends)
                return False

        slow.voice = Ending()  # type: ignore[assignment]
        await together.ask()
        # What the dead one left, and the supervisor, which is this process here, too.
        page = generate_latest(together.registry).decode()
        assert f'dmpgw_apply_retries_total{{reason="transient"}} {counted * 2}' in page

    run(scene)
