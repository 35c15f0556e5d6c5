"""A process says once that it lost its broker, each minute that it is away, and that it is back."""

from collections.abc import Callable

import pytest
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowFailed, AMQPConnectorSocketConnectError
from pika.exceptions import AMQPConnectionError

from gateway.queue.rabbitmq.presence import Presence
from gateway.queue.rabbitmq.setup import told
from gateway.telemetry import events


class Loop:
    """A loop whose seconds pass by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, Callable[[], None], list[bool]]] = []

    def call_later(self, seconds: float, function: Callable[[], None]) -> "Loop.Handle":
        live = [True]
        self._timers.append((self.now + seconds, function, live))
        return Loop.Handle(live)

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((timer for timer in self._timers if timer[2][0] and timer[0] <= end), key=lambda timer: timer[0]):
            self.now, function, live = due[0]
            live[0] = False
            function()
        self.now = end

    class Handle:
        def __init__(self, live: list[bool]) -> None:
            self._live = live

        def cancel(self) -> None:
            self._live[0] = False


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        self.said: list[tuple[str, str | None, float | None]] = []

        def emit(event: events.Event) -> None:
            self.said.append((event.name, getattr(event, "reason", None), getattr(event, "seconds", None)))

        for kind in (events.QueueProblem, events.QueueRecovered):
            monkeypatch.setattr(kind, "emit", emit)
        self.presence = Presence(self.loop, "door", monotonic=lambda: self.loop.now)  # type: ignore[arg-type]
        for link in ("publish", "replies"):
            self.presence.away(link)

    def arrive(self) -> None:
        for link in ("publish", "replies"):
            self.presence.there(link)

    def names(self) -> list[str]:
        return [name for name, _, _ in self.said]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_start_that_finds_its_broker_says_nothing(scene: Scene) -> None:
    scene.loop.pass_by(9)
    scene.arrive()
    scene.loop.pass_by(3600)
    assert scene.said == []


def test_a_start_without_a_broker_is_said_after_ten_seconds_then_each_minute(scene: Scene) -> None:
    scene.loop.pass_by(9.9)
    assert scene.said == []
    scene.loop.pass_by(0.2)
    assert scene.said == [("queue.problem", "connect", None)]
    scene.loop.pass_by(600)
    assert scene.names() == ["queue.problem"] * 11
    scene.arrive()
    scene.loop.pass_by(2)
    assert scene.said[-1] == ("queue.recovered", None, pytest.approx(610.1))


def test_an_hour_of_tries_is_a_line_a_minute(scene: Scene) -> None:
    scene.arrive()
    scene.loop.pass_by(60)
    scene.presence.away("publish", ConnectionResetError())
    scene.presence.away("replies", ConnectionResetError())
    for _ in range(3600):
        scene.presence.away("publish", ConnectionRefusedError())
        scene.loop.pass_by(1)
    scene.arrive()
    scene.loop.pass_by(60)
    assert scene.names() == ["queue.problem"] * len(scene.said[:-1]) + ["queue.recovered"]
    assert 59 <= len(scene.said) - 1 <= 61
    assert scene.said[0][1] == "lost"
    assert scene.said[-1][2] == pytest.approx(3600)


def test_a_channel_that_is_closed_at_once_again_and_again_is_one_outage(scene: Scene) -> None:
    scene.arrive()
    scene.loop.pass_by(60)
    for _ in range(25):
        scene.presence.away("publish", ValueError())
        scene.loop.pass_by(1)
        scene.presence.there("publish")
        scene.loop.pass_by(0.5)
    scene.loop.pass_by(5)
    assert scene.names() == ["queue.problem", "queue.recovered"]


def test_a_broker_with_an_alarm_is_told_as_that(scene: Scene) -> None:
    scene.arrive()
    scene.loop.pass_by(60)
    scene.presence.blocked("publish", by_broker=True)
    scene.loop.pass_by(30)
    scene.presence.blocked("publish", by_broker=False)
    scene.loop.pass_by(5)
    assert scene.said == [("queue.problem", "blocked", None), ("queue.recovered", None, pytest.approx(30))]


def test_a_process_that_lets_go_says_nothing(scene: Scene) -> None:
    scene.arrive()
    scene.loop.pass_by(60)
    scene.presence.end()
    scene.presence.away("publish", ConnectionResetError())
    scene.loop.pass_by(600)
    assert scene.said == []


def test_why_nobody_was_reached_is_what_the_system_said() -> None:
    refused = AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "Connection refused"))
    assert told(AMQPConnectionError(AMQPConnectionWorkflowFailed([refused]))) == "Connection refused"
    assert told(AMQPConnectionError()) == "AMQPConnectionError"
    assert told(ConnectionResetError(104, "Connection reset by peer")) == "Connection reset by peer"
