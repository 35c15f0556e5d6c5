"""What systemd is told, on a real datagram socket: ready, signs of life at half of its time, stopping; nothing without one."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.wiring import gateway, working
from gateway.wiring.service_manager import ServiceManager
from tests.harness.listening import Listening


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listening]:
    with Listening(tmp_path / "notify" if request.param == "path" else f"@dmpgw-{os.getpid()}-{time.monotonic_ns()}") as opened:
        yield opened


def test_ready_and_stopping_are_told_with_a_line(manager: Listening) -> None:
    told = ServiceManager(manager.address)
    told.ready("MLLP 127.0.0.1:2575, test")
    told.stopping()
    assert manager.read(2) == [
        "READY=1\nSTATUS=MLLP 127.0.0.1:2575, test",
        "STOPPING=1\nSTATUS=stopping: what was received is finished",
    ]


def test_a_sign_of_life_is_given_as_long_as_the_work_is_done_and_the_status_when_it_changes(manager: Listening) -> None:
    told = ServiceManager(manager.address, 30)
    states = iter(["at work", "at work", "broker away", None, None, "at work"])
    for _ in range(6):
        told.look(lambda: next(states))
    assert manager.read(5) == [
        "WATCHDOG=1\nSTATUS=at work",
        "WATCHDOG=1",
        "WATCHDOG=1\nSTATUS=broker away",
        "STATUS=NOT AT WORK: a thread of it ended; its log tells why",
        "WATCHDOG=1\nSTATUS=at work",
    ]
    assert manager.waiting() == 0


def test_a_process_that_was_asked_to_stop_lives_until_it_has_stopped(manager: Listening) -> None:
    told = ServiceManager(manager.address, 30)
    told.stopping()
    told.look(lambda: None)
    assert manager.read(2)[1] == "WATCHDOG=1"


def test_without_a_watchdog_only_changes_are_told(manager: Listening) -> None:
    told = ServiceManager(manager.address)
    told.ready("at work")
    told.look(lambda: "at work")
    told.look(lambda: "broker away")
    assert manager.read(2) == ["READY=1\nSTATUS=at work", "STATUS=broker away"]
    assert manager.waiting() == 0


def test_signs_of_life_come_at_half_of_the_time(manager: Listening) -> None:
    told = ServiceManager(manager.address, 0.2)
    assert told.look_seconds == 0.1
    with told.watching(lambda: "at work"):
        begun = time.monotonic()
        manager.read(5)
        assert 0.3 < time.monotonic() - begun < 5
    left = manager.waiting()
    time.sleep(0.25)
    assert manager.waiting() == left, "it went on after its end"


def test_an_event_loop_that_stands_still_gives_no_sign(manager: Listening) -> None:
    told = ServiceManager(manager.address, 0.1)

    async def stand_still() -> None:
        watching = asyncio.create_task(told.watch(lambda: "at work"))
        await asyncio.to_thread(manager.read, 3)
        time.sleep(0.05)  # noqa: ASYNC251 - that is the fault
        while manager.waiting():
            manager.read(1)
        time.sleep(0.4)  # noqa: ASYNC251 - same
        assert manager.waiting() == 0
        watching.cancel()

    asyncio.run(stand_still())


def test_the_variables_are_taken_out_of_the_environment(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "6000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    assert ServiceManager.of(environ).look_seconds == 3
    assert environ == {"HOME": "/"}, "a child would speak in its parent's place"


@pytest.mark.parametrize(
    "environ",
    [{"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "9" * 400}, {}],
)
def test_a_watchdog_of_another_process_or_of_no_sense_is_none(environ: dict[str, str], manager: Listening) -> None:
    told = ServiceManager.of({"NOTIFY_SOCKET": manager.address} | environ)
    told.ready("at work")
    told.look(lambda: "at work")
    assert manager.read(1) == ["READY=1\nSTATUS=at work"]
    assert manager.waiting() == 0


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/nowhere/at/all"])
def test_without_a_manager_nothing_is_told_and_nothing_fails(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ServiceManager(address, 0.1)
    if address != "/nowhere/at/all":

        def never(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(socket, "socket", never)
    told.ready("at work")
    with told.watching(lambda: "at work"):
        told.stopping()


def test_a_manager_that_does_not_read_delays_nobody_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.wiring.service_manager._SEND_SECONDS", 0.05)
    with Listening(tmp_path / "notify") as manager:
        told = ServiceManager(manager.address, 30)
        begun = time.monotonic()
        for _ in range(30):  # the kernel keeps some ten for a reader
            told.look(lambda: "at work")
        assert time.monotonic() - begun < 10


def process(*, alive: bool, looked: float, away: float | None) -> str | None:
    made = object.__new__(working.WorkerProcess)
    made._worker = SimpleNamespace(alive=alive, away_since=away)
    made._looked = looked
    return made.pulse()


def test_a_worker_without_its_thread_or_whose_main_thread_hangs_is_not_at_work() -> None:
    now = time.monotonic()
    assert process(alive=True, looked=now, away=None) == "at work"
    assert process(alive=True, looked=now, away=now) == "the record store is away: it keeps its batch and tries again"
    assert process(alive=False, looked=now, away=None) is None
    assert process(alive=True, looked=now - 25, away=None) is None


def test_an_embedded_gateway_without_its_worker_is_not_at_work() -> None:
    def pulse(*, alive: bool, problem: str | None = None, away: float | None = None, hangs: bool = False) -> str | None:
        worker = SimpleNamespace(alive=alive, away_since=away, hangs=hangs)
        door = SimpleNamespace(host="127.0.0.1", port=2575)
        return gateway._pulse(worker, SimpleNamespace(problem=lambda: problem), door)

    assert pulse(alive=True) == "MLLP 127.0.0.1:2575, at work"
    assert pulse(alive=True, problem="disk full") == "MLLP 127.0.0.1:2575, disk full"
    assert pulse(alive=True, away=1.0) == "MLLP 127.0.0.1:2575, the record store is away"
    assert pulse(alive=False, problem="disk full") is None
    assert pulse(alive=True, hangs=True) is None
