"""Where the worker applies: beside the thread that gives the broker its signs of life."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.model.submission import Deposit
from gateway.queue.rabbitmq.link import LoopThread
from gateway.worker.consume import Worker
from tests.unit.worker.test_consume import ALL_AT_ONCE, SECONDS, Floor, deposits


class OverALoop:
    """A queue whose connections live on a loop of their own, as the broker's do."""

    def __init__(self, behind: object) -> None:
        self._behind = behind
        self._thread = LoopThread("connections")

    def __getattr__(self, name: str) -> object:
        return getattr(self._behind, name)


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    made = Floor(tmp_path)
    yield made
    made.close()


def test_the_connections_go_on_while_the_store_takes_its_time(floor: Floor) -> None:
    """A broker that hears nothing for two heartbeats takes everything away."""
    queue = OverALoop(floor.queue)
    heard: list[bool] = []

    def slow(_: Sequence[Deposit]) -> None:
        alive = threading.Event()
        queue._thread.call(alive.set)
        heard.append(alive.wait(5))

    floor.store.fail_apply = slow
    floor.worker = Worker(queue, floor.store, floor.seal, ALL_AT_ONCE, unseal=floor.unseal)  # type: ignore[arg-type]
    floor.publish(*deposits(floor, 1))
    floor.worker.start()
    floor.settled()
    assert floor.worker.stop(SECONDS)
    queue._thread.stop()
    assert heard == [True]
