"""Doors and workers as processes: what does not start, cannot be started again, or is asked to stop while it starts."""

import asyncio
import errno
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from gateway.cli.doctor import doctor
from gateway.config.load import load
from gateway.telemetry import events
from gateway.wiring import supervisor
from gateway.wiring.data import DataDirectory
from gateway.wiring.ready import Ready
from gateway.wiring.supervisor import NotStarted, Supervisor

#: Stands in for this program: writes its number down, then does what its role says. `cat` ends with its standard input.
_PROGRAM = """#!/bin/sh
echo $$ >> {folder}/$3
case $3 in worker) {worker} ;; http) {http} ;; *) {mllp} ;; esac
"""
_READY = Ready(pid=1, data="d", environment="test", sample=True, mllp_host="127.0.0.1", mllp_port=1)
_GOOD = f"echo '{msgspec.json.encode(_READY).decode()}'; exec cat"
_MUTE = "exec cat"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Supervisor]:
    """Return what makes a supervisor whose processes are shell scripts."""

    def make(*, worker: str = _GOOD, mllp: str = _GOOD, http: str = _GOOD) -> Supervisor:
        program = tmp_path / "program"
        program.write_text(_PROGRAM.format(folder=tmp_path, worker=worker, mllp=mllp, http=http))
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        return Supervisor(load(None, {}, {"mllp.port": 0, "http.port": 0}), None, DataDirectory(tmp_path / "data"))

    monkeypatch.setattr(supervisor, "_AGAIN_SECONDS", (0.01,))
    return make


def pids(folder: Path, role: str) -> list[int]:
    path = folder / role
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(folder: Path) -> list[int]:
    return [pid for role in ("worker", "mllp", "http") for pid in pids(folder, role) if Path(f"/proc/{pid}/cmdline").exists()]


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.01)


def run(watched: Supervisor, then: Callable[[asyncio.Event], Awaitable[None]]) -> list[Ready]:
    """Run it, and beside it what sets the event that stops it."""
    told: list[Ready] = []

    async def both() -> None:
        stop = asyncio.Event()

        async def beside() -> None:
            try:
                await then(stop)
            except BaseException:
                stop.set()
                raise

        running = asyncio.ensure_future(beside())
        await watched.run(told.append, stop)
        await running

    asyncio.run(both())
    return told


def test_asked_to_stop_while_a_worker_is_not_ready_yet_it_ends_at_once(made: Any, tmp_path: Path) -> None:
    async def then(stop: asyncio.Event) -> None:
        await until(lambda: bool(pids(tmp_path, "worker")))
        stop.set()

    begun = time.monotonic()
    assert run(made(worker=_MUTE), then) == []
    assert time.monotonic() - begun < 10
    assert (len(pids(tmp_path, "worker")), pids(tmp_path, "mllp"), alive(tmp_path)) == (1, [], [])


def test_where_a_process_does_not_start_the_others_are_ended(made: Any, tmp_path: Path) -> None:
    async def then(stop: asyncio.Event) -> None:
        pass

    with pytest.raises(NotStarted, match=r"mllp did not start \(status 3\)"):
        run(made(mllp="exit 3"), then)
    assert (len(pids(tmp_path, "worker")), alive(tmp_path)) == (1, [])


def test_one_that_is_never_ready_is_named(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def then(stop: asyncio.Event) -> None:
        pass

    monkeypatch.setattr(supervisor, "_START_SECONDS", 0.3)
    with pytest.raises(NotStarted, match="worker 1 was not ready after 0 s: its log lines tell why"):
        run(made(worker=_MUTE), then)
    assert alive(tmp_path) == []


def test_one_that_cannot_be_started_again_is_tried_until_it_can(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = asyncio.create_subprocess_exec
    refused: list[events.ProcessUnstarted] = []
    left = 0

    async def spawn(*command: str, **how: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise OSError(errno.EAGAIN, "no room for a process")
        return await real(*command, **how)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn)

    def emitted(event: events.ProcessUnstarted) -> None:
        refused.append(event)

    monkeypatch.setattr(events.ProcessUnstarted, "emit", emitted)

    async def then(stop: asyncio.Event) -> None:
        nonlocal left
        await until(lambda: bool(pids(tmp_path, "mllp")))
        await asyncio.sleep(1.0)  # it says that it is ready
        left = 2
        os.kill(pids(tmp_path, "mllp")[0], 9)
        await until(lambda: len(pids(tmp_path, "mllp")) == 2)
        stop.set()

    assert [ready.mllp_host for ready in run(made(), then)] == ["127.0.0.1"]
    assert [(each.role, each.error) for each in refused] == [("mllp", "EAGAIN")] * 2
    assert alive(tmp_path) == []


def test_doctor_tells_its_processes(made: Any, tmp_path: Path) -> None:
    said: list[str] = []

    async def then(stop: asyncio.Event) -> None:
        await until((tmp_path / "data" / "gateway.sock").exists)
        os.kill(pids(tmp_path, "worker")[0], 9)
        await until(lambda: len(pids(tmp_path, "worker")) == 2)
        result = await asyncio.to_thread(CliRunner().invoke, doctor, ["--data", str(tmp_path / "data"), "--json"])
        said.extend(result.stdout.splitlines())
        stop.set()

    run(made(), then)
    found = {each["subject"]: (each["state"], each["text"]) for each in map(json.loads, said)}
    assert found["gateway"] == ("ok", f"running, pid {os.getpid()}, 3 processes over a broker")
    assert found["mllp"] == ("ok", f"pid {pids(tmp_path, 'mllp')[0]}")
    assert found["worker 1"] == ("note", f"pid {pids(tmp_path, 'worker')[1]}, was started again 1 time")
