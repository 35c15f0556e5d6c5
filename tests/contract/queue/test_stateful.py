"""Any history of publishes, takes, settles, failures and restarts, against a list."""

import asyncio
import tempfile
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from pika.exceptions import StreamLostError

from gateway.model.ports import Unavailable
from gateway.telemetry import points
from tests.contract.queue.backends import BACKENDS
from tests.strategies.submissions import deposit, outcome


def _fail() -> None:
    raise OSError(28, "No space left on device")


class Histories(RuleBasedStateMachine):
    """The model: `queued` in order, the first `held` of what is not yet settled in hand."""

    kind = "embedded"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.backend = BACKENDS[self.kind](Path(self.folder.name))
        self.queued: list[int] = []
        self.held: list = []
        #: What is in hand came by a connection that was lost.
        self.dropped = False
        self.next = 0

    @initialize()
    def start(self) -> None:
        self.queue = self.backend.open()

    @rule(count=st.integers(1, 4))
    def publish(self, count: int) -> None:
        async def walk() -> None:
            for _ in range(count):
                await self.queue.publish(deposit(self.next))
                self.queued.append(self.next)
                self.next += 1

        asyncio.run(walk())

    @precondition(lambda self: self.kind == "embedded")
    @rule(point=st.sampled_from(["queue.publish.begun", "queue.publish.written"]))
    def publish_in_vain(self, point: str) -> None:
        points.hooks[point] = _fail
        try:
            with pytest.raises(Unavailable):
                asyncio.run(self.queue.publish(deposit(self.next)))
        finally:
            points.hooks.clear()
        self.next += 1

    @precondition(lambda self: not self.held)
    @rule(limit=st.integers(1, 5))
    def take(self, limit: int) -> None:
        self.held = self.queue.take(limit, 1 << 30, 0.0)
        assert [int(delivery.receipt[-6:]) for delivery in self.held] == self.queued[:limit]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), fails=st.booleans())
    def settle(self, data: st.DataObject, fails: bool) -> None:
        chosen = data.draw(st.lists(st.sampled_from(range(len(self.held))), unique=True, min_size=1))
        settled = [(self.held[place], outcome(self.held[place].deposit)) for place in chosen]
        if fails:
            points.hooks["queue.settle.written"] = _fail
            with pytest.raises((Unavailable, OSError)):
                self.queue.settle(settled)
            points.hooks.clear()
            return
        self.queue.settle(settled)
        self.held = [delivery for place, delivery in enumerate(self.held) if place not in chosen]
        if not self.dropped:
            for delivery, _ in settled:
                self.queued.remove(int(delivery.receipt[-6:]))
        # What a lost connection delivered comes again, settled or not.
        self.dropped = self.dropped and bool(self.held)

    @rule()
    def restart(self) -> None:
        self.queue.close()
        self.queue = self.backend.open()
        self.held = []
        self.dropped = False

    @precondition(lambda self: self.kind == "rabbitmq")
    @rule()
    def drop(self) -> None:
        """The line that deliveries come by is lost, and made again."""
        link = self.queue._consumer.link
        link._tries = 0  # it has lived
        self.queue._thread.call(lambda: link._connection and link._connection._terminate_stream(StreamLostError("test")))
        until = time.monotonic() + 10
        while link.is_open and time.monotonic() < until:
            time.sleep(0.001)
        assert self.queue.connected(10)
        self.dropped = bool(self.held)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        until = time.monotonic() + (10 if self.kind == "rabbitmq" and not self.dropped else 0)
        while (waiting := self.waiting()) != len(self.queued) and time.monotonic() < until:
            time.sleep(0.01)
        assert waiting == len(self.queued) or self.dropped

    def waiting(self) -> int:
        return sum(depth.waiting for depth in self.queue.depth())

    def teardown(self) -> None:
        points.hooks.clear()
        self.backend.close()
        self.folder.cleanup()


#: Of how many examples with how many steps: a broker takes its time.
SIZES = {"embedded": (25, 25), "rabbitmq": (4, 14)}


@pytest.mark.parametrize("kind", BACKENDS)
def test_any_history(kind: str) -> None:
    examples, steps = SIZES[kind]
    machine = type("HistoriesOf", (Histories,), {"kind": kind})
    run_state_machine_as_test(
        machine, settings=hypothesis.settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )
