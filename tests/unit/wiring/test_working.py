"""A process that works: in which order it ends, and when it ends by itself."""

import threading
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from gateway.config.load import load
from gateway.queue.rabbitmq.consumer import Share
from gateway.wiring import working
from gateway.wiring.data import DataDirectory
from gateway.wiring.working import HUNG, WorkerProcess

_ROOMS = ("Keys", "open_store", "RabbitQueue", "Hands", "Worker", "Midnight", "Upkeep", "Lookout")


class Ended(Exception):
    """The process ended itself, with this status."""


def ends(status: int) -> None:
    raise Ended(status)


def process(folder: Path) -> WorkerProcess:
    return WorkerProcess(load(None, {}, {}), DataDirectory(folder), "amqp://nowhere", MagicMock(), Share())


def test_the_worker_is_asked_to_end_before_anybody_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stands in a silent database keeps the others waiting, and the supervisor kills who is not done by then."""
    rooms = MagicMock()
    for name in _ROOMS:
        monkeypatch.setattr(working, name, getattr(rooms, name))
    stop = threading.Event()
    stop.set()
    process(tmp_path).run(lambda _: None, stop)
    stops = [name for name, *_ in rooms.mock_calls if name.endswith(".stop")]
    assert stops[0] == "Worker().stop"
    assert set(stops) >= {"Lookout().stop", "Midnight().stop", "Upkeep().stop", "RabbitQueue().serve().stop"}
    assert [name for name, *_ in rooms.mock_calls if name.endswith(".close")] == [
        "Hands().close",
        "RabbitQueue().close",
        "open_store().close",
    ]


def test_a_worker_whose_thread_ended_does_not_keep_its_lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(working.os, "_exit", ends)
    looked = iter((True, True, False))
    worker = MagicMock(away_since=None, hangs=False)
    type(worker).alive = property(lambda _: next(looked))
    with pytest.raises(Ended) as ended:
        process(tmp_path)._watch(worker, threading.Event(), SimpleNamespace())  # type: ignore[arg-type]
    assert ended.value.args == (HUNG,)
