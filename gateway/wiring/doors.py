"""A process with doors: it reads, publishes and answers, and has no store (D-12)."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from gateway.adapters.http.server import HttpDoor
from gateway.adapters.mllp.server import MllpDoor
from gateway.config.load import Loaded
from gateway.model.ports import Clock
from gateway.queue.keys import Keys
from gateway.queue.rabbitmq.queue import RabbitQueue
from gateway.queue.rabbitmq.queue import Settings as QueueLimits
from gateway.queue.receipt import MacReceipts
from gateway.telemetry import events
from gateway.wiring.answers import Answers
from gateway.wiring.broker import BrokerDeposits, BrokerEvents
from gateway.wiring.data import DataDirectory
from gateway.wiring.gateway import DRAIN_SECONDS, mllp_spec
from gateway.wiring.health import Health, promise
from gateway.wiring.http import DoorHealth, door_check, http_door
from gateway.wiring.midnight import Midnight
from gateway.wiring.outlet import Outlet
from gateway.wiring.ready import Ready, started
from gateway.wiring.trust import notes

#: How long a door waits for the broker before it opens: without one it would answer AR.
CONNECT_SECONDS: Final = 10.0


class Doors:
    """
    One door over a broker.

    Args:
        loaded: The settings and where they came from.
        directory: The data directory: keys and the journal of answers; other processes of this machine use it too.
        broker: The broker's URL.
        clock: The time.
        reuse_port: Other processes listen on the same port.
        role: Which door: `mllp` or `http`.
        outlet: Where it shows how it is.
    """

    def __init__(
        self,
        loaded: Loaded,
        directory: DataDirectory,
        broker: str,
        clock: Clock,
        *,
        reuse_port: bool,
        role: str = "mllp",
        outlet: Outlet | None = None,
    ) -> None:
        """Keep the settings; `run` opens the rooms."""
        self._role = role
        self._loaded = loaded
        self._directory = directory
        self._broker = broker
        self._clock = clock
        self._reuse_port = reuse_port
        self._outlet = outlet or Outlet()
        self._pulse: Callable[[], str | None] = lambda: "starting"
        self._reload: Callable[[], None] = lambda: None

    async def run(self, ready: Callable[[Ready], None], stop: asyncio.Event) -> None:
        """
        Open the rooms, serve until `stop` is set, answer what is there, close.

        Args:
            ready: Called once the door listens.
            stop: Set to stop.

        Raises:
            KeysUnusable, BrokerUnusable, TlsUnusable, OSError: it cannot be opened.
        """
        settings = self._loaded.settings
        keys = Keys.open(self._directory.keys, self._clock)
        answers = Answers(self._directory.answers, self._clock)
        answers.keep(timedelta(days=settings.answers.keep_days))
        limits = QueueLimits(sealed_limit_bytes=settings.queue.sealed_limit_bytes)
        queue = RabbitQueue(self._broker, keys, limits, loop=asyncio.get_running_loop())
        deposits, events_ = BrokerDeposits(queue.door, answers), BrokerEvents(queue.door, self._clock, answers)
        receipts, name = MacReceipts(keys.receipts), self._role.upper()
        health = Health(
            {"door": lambda: door_check(name, door), "queue": lambda: "; ".join(queue.stopped_by()) or None},
            notes=lambda: (*promise(keys, self._clock), *notes(settings, door.contexts, self._clock)),
        )
        door = self._door(health, deposits, events_, receipts)
        midnight = Midnight(keys, self._clock, queue, queue.erasable, door=True)
        begun = time.monotonic()
        try:
            # Opened without one, too: it answers AR, and says that it looks for its broker.
            await asyncio.to_thread(queue.connected, CONNECT_SECONDS)
            await door.open()
            self._pulse = lambda: f"{name} {door.host}:{door.port}, {queue.problem() or 'at work'}"
            self._reload = door.reload
            midnight.start()
            page = self._outlet.open(health, self.pulse)
            mllp, http = (door, None) if isinstance(door, MllpDoor) else (None, door)
            ready(started(self._loaded, self._directory, mllp, http, page))
            await stop.wait()
            begun = time.monotonic()
        finally:
            await door.stop(DRAIN_SECONDS)
            await asyncio.to_thread(self._outlet.close)
            await asyncio.to_thread(midnight.stop, DRAIN_SECONDS)
            await asyncio.to_thread(queue.close)
            answers.close()
        events.GatewayStopped(reason="asked", seconds=time.monotonic() - begun).emit()

    def _door(self, health: Health, deposits: BrokerDeposits, events: BrokerEvents, receipts: MacReceipts) -> MllpDoor | HttpDoor:
        settings, clock = self._loaded.settings, self._clock
        if self._role == "mllp":
            spec = mllp_spec(settings, reuse_port=self._reuse_port)
            return MllpDoor(spec, deposits=deposits, events=events, receipts=receipts, clock=clock)
        return http_door(
            settings,
            self._directory,
            DoorHealth(health, self.pulse),
            deposits=deposits,
            events=events,
            receipts=receipts,
            clock=clock,
            reuse_port=self._reuse_port,
        )

    def reload(self) -> None:
        """Look at the files of `[tls]` now (SIGHUP)."""
        self._reload()

    def pulse(self) -> str | None:
        """Tell how it is, for the service manager."""
        return self._pulse()
