"""Telling those who wait, on their own loops: one wake-up a loop, however many are told at once."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from gateway.model.outcome import Outcome
from gateway.model.ports import Unavailable

T = TypeVar("T")

UNAVAILABLE: Final = "QUEUE_UNAVAILABLE"


def on_loops(calls: Iterable[tuple[asyncio.AbstractEventLoop, Callable[[], object]]]) -> None:
    """Run each call on its loop; nothing where a loop is closed: nobody waits there any more."""
    loops: dict[asyncio.AbstractEventLoop, list[Callable[[], object]]] = {}
    for loop, call in calls:
        loops.setdefault(loop, []).append(call)
    here = asyncio._get_running_loop()  # noqa: SLF001 - documented for this use: None instead of an exception
    for loop, those in loops.items():
        if loop is here:  # it is awake
            loop.call_soon(_run, those)
            continue
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_run, those)


def fail(future: "asyncio.Future[None] | asyncio.Future[Outcome]", code: str = UNAVAILABLE) -> None:
    """Let a future raise `Unavailable` with a code; no complaint if nobody asks it."""
    if not future.done():
        future.set_exception(Unavailable(code))
        future.exception()


def give(future: "asyncio.Future[T]", value: T) -> None:
    """Resolve a future unless whoever waited has gone."""
    if not future.done():
        future.set_result(value)


def _run(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()
