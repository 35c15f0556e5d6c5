"""What the embedded queue does when its disk fails or says nothing: its points and its file are its own."""

import asyncio
import threading

import pytest

from gateway.model.ports import Unavailable
from gateway.telemetry import points
from tests.contract.queue import test_faults
from tests.contract.queue.test_faults import PLENTY, numbers, publish, settle
from tests.strategies.submissions import deposit, outcome

KINDS = ("embedded",)


def test_silence_is_no_confirm(backend) -> None:
    queue = backend.open(confirm_timeout_seconds=0.3)
    go_on = threading.Event()
    points.hooks["queue.publish.begun"] = lambda: (go_on.wait(20), None)[1]

    async def walk():
        return await asyncio.gather(*(queue.publish(deposit(number)) for number in range(3)), return_exceptions=True)

    try:
        ended = asyncio.run(walk())
    finally:
        go_on.set()
    assert [type(each) for each in ended] == [Unavailable] * 3
    assert {each.code for each in ended} == {"QUEUE_UNAVAILABLE"}
    points.hooks.clear()
    publish(queue, 9)
    landed = numbers(queue.take(*PLENTY))
    assert landed[-1] == 9
    assert set(landed) <= {0, 1, 2, 9}, "what timed out may have landed, once at most"
    assert len(landed) == len(set(landed))


def test_a_session_that_goes_away_while_it_waits(backend) -> None:
    queue = backend.open()
    go_on = threading.Event()
    points.hooks["queue.publish.begun"] = lambda: (go_on.wait(20), None)[1]

    async def walk() -> None:
        task = asyncio.create_task(queue.publish(deposit(1)))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await queue.publish(deposit(2))

    asyncio.run(walk())
    assert numbers(queue.take(*PLENTY))[-1] == 2


@pytest.mark.parametrize("point", ["queue.publish.begun", "queue.publish.written"])
def test_a_failure_before_the_commit(backend, point: str) -> None:
    queue = backend.open()

    def fail() -> None:
        raise OSError(5, "CANARI")

    points.hooks[point] = fail
    with pytest.raises(Unavailable) as refused:
        publish(queue, 1)
    assert refused.value.code == "QUEUE_UNAVAILABLE"
    assert "cannot write" in queue.problem() and "CANARI" not in queue.problem()
    points.hooks.clear()
    publish(queue, 2)
    assert queue.problem() is None
    assert numbers(queue.take(*PLENTY)) == [2]


def test_a_settle_that_failed_is_done_again(backend) -> None:
    queue = backend.open()

    def fail() -> None:
        raise OSError(5, "Input/output error")

    async def walk() -> None:
        waiting = await queue.publish(deposit(1))
        batch = await asyncio.to_thread(queue.take, *PLENTY)
        for point in ("queue.settle.written", "queue.settle.committed"):
            points.hooks[point] = fail
            with pytest.raises(Unavailable):
                await asyncio.to_thread(settle, queue, batch)
            assert not waiting.done()
            points.hooks.clear()
        await asyncio.to_thread(settle, queue, batch)
        assert await asyncio.wait_for(waiting, 5) == outcome(deposit(1))

    asyncio.run(walk())
    queue.close()
    assert backend.open().take(*PLENTY) == []


@pytest.mark.faults
def test_a_process_killed_between_write_and_commit(backend) -> None:
    """Between its begin and its confirm a publish over a broker has no point of ours: it is the broker's."""
    test_faults.test_a_process_killed_at(backend, "queue.publish.written:5", [1, 2, 3, 4])
