"""A door publishes on its own loop: no thread stands between a session and its confirm."""

import asyncio
import threading
from pathlib import Path

import pytest

from gateway.model.ports import Unavailable
from gateway.queue.keys import Keys, initialise
from gateway.queue.rabbitmq.queue import RabbitQueue
from tests.contract.queue.backends import Standing
from tests.harness import rabbitmq
from tests.strategies.submissions import deposit

pytestmark = [pytest.mark.door]

SECONDS = 30.0


def test_a_door_publishes_on_its_own_loop_and_others_from_their_threads(tmp_path: Path) -> None:
    node = rabbitmq.shared()
    node.empty()
    initialise(tmp_path / "keys", Standing())
    keys = Keys.open(tmp_path / "keys", Standing())

    async def walk() -> None:
        queue = RabbitQueue(node.url, keys, loop=asyncio.get_running_loop())
        assert await asyncio.to_thread(queue.connected, SECONDS)
        assert not [thread for thread in threading.enumerate() if thread.name == "broker"]
        await asyncio.gather(*(queue.publish(deposit(number), waits=False) for number in range(30)))

        async def elsewhere() -> None:
            await queue.publish(deposit(30), waits=False)

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert sum(lane.waiting for lane in await asyncio.to_thread(queue.depth)) == 31
        await asyncio.to_thread(queue.close)
        with pytest.raises(Unavailable):
            await queue.publish(deposit(31))

    asyncio.run(walk())
    node.empty()
