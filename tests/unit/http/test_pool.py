"""The thread of the HTTP door: woken by anybody, at any moment, and by itself; nobody when it is gone."""

import threading
from collections.abc import Iterator

import pytest

from gateway.adapters.http.channel import Shared
from gateway.adapters.http.pool import Pool
from tests.harness.http_door import Served

SECONDS = 20


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Served() as served:
        shared: Shared | None = served.door.shared
        assert shared is not None
        made = Pool(lambda _environ, _start: [], shared, lambda _channel: None)
        yield made
        made.close(1)


def test_it_can_be_woken_by_its_own_work_while_somebody_gives_it_more(pool: Pool) -> None:
    begun, going, done = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        going.wait(SECONDS)
        pool.pull_trigger()
        pool.later(done.set)

    pool.later(first)
    assert begun.wait(SECONDS)
    others = [threading.Thread(target=lambda: [pool.later(lambda: None) for _ in range(200)]) for _ in range(4)]
    for other in others:
        other.start()
    going.set()
    assert done.wait(SECONDS)
    for other in others:
        other.join(SECONDS)
        assert not other.is_alive()


def test_a_fault_of_one_ends_no_other(pool: Pool) -> None:
    done = threading.Event()
    pool.later([].pop)
    pool.later(done.set)
    assert done.wait(SECONDS)


def test_nobody_is_woken_when_it_is_gone(pool: Pool) -> None:
    pool.close(1)
    pool.pull_trigger()
    pool.later(lambda: None)
    pool.close(1)
