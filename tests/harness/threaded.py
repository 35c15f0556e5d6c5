"""Processes of a gateway as threads of a test: under its clock, and with its hooks at the named points."""

import asyncio
import threading
from pathlib import Path

from gateway.config.load import load
from gateway.model.ports import Clock
from gateway.queue.rabbitmq.consumer import Share
from gateway.wiring.data import DataDirectory
from gateway.wiring.doors import Doors
from gateway.wiring.gateway import Ready
from gateway.wiring.working import WorkerProcess


class Processes:
    """A door and a worker over a broker and a database, in this process, under a clock of the test."""

    def __init__(self, data: Path, amqp: str, clock: Clock) -> None:
        loaded = load(None, {}, {"mllp.port": 0, "http.port": 0})
        self._ready, self._works, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._doors = Doors(loaded, DataDirectory(data), amqp, clock, reuse_port=False)
        self._worker = WorkerProcess(loaded, DataDirectory(data), amqp, clock, Share())
        self._threads = [
            threading.Thread(target=lambda: asyncio.run(self._serve())),
            threading.Thread(target=lambda: self._worker.run(lambda _: self._works.set(), self._stop)),
        ]
        for thread in self._threads:
            thread.start()
        assert self._ready.wait(60) and self._works.wait(60)

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()

        def ready(made: Ready) -> None:
            assert made.mllp_port is not None
            self.port = made.mllp_port
            self._ready.set()

        await self._doors.run(ready, self._stopped)

    def stop(self) -> None:
        """Stop both as their processes stop."""
        self._stop.set()
        self._loop.call_soon_threadsafe(self._stopped.set)
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)
