"""From MLLP to stored: a real `serve` beside the floor pipeline, the same load client against both."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import floor, inputs
from benchmarks.load import Load
from benchmarks.stages import captured, prepared
from gateway.demo.messages import framed
from gateway.demo.process import GatewayProcess

_HERE: Final = Path(__file__).resolve().parent
_SETTLE_SECONDS: Final = 60.0
_WARMING: Final = 200


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline under one load."""

    pipeline: str
    connections: int
    messages: int
    #: Per second, from the first byte sent to the last message stored, and to the last answer.
    stored_rate: float
    answered_rate: float
    p50_ms: float
    p99_ms: float


def runs(folder: Path, loads: dict[int, int]) -> Iterator[Run]:
    """
    Send the same messages to the floor and to the gateway.

    Args:
        folder: Where data, messages and logs go: the disk that is measured.
        loads: Messages by number of connections.
    """
    with prepared(folder / "live") as rooms:
        template = folder / "rows"
        template.write_bytes(msgspec.msgpack.encode(captured(folder, rooms)))
    sent = _WARMING
    batches = {0: framed(inputs.reports(_WARMING), folder / "warming")}
    for connections, count in loads.items():
        batches[connections] = framed(inputs.reports(count, sent), folder / f"load-{connections}")
        sent += count
    with _floor(folder, template) as bare, _gateway(folder) as gateway:
        stored = 0
        for connections, file in batches.items():
            count = loads.get(connections, _WARMING)
            stored += count
            # One after the other under the same load: what the machine does meanwhile changes by the minute.
            for name, port, store in (bare, gateway):
                load = _load(port, connections or 8, file)
                if load.answers != {"AA": count}:
                    raise RuntimeError(f"{name}: answers {load.answers}")
                ended = _until(store, stored)
                if connections:
                    yield _run(name, connections, count, load, ended)


def _run(name: str, connections: int, count: int, load: Load, stored_at: float) -> Run:
    return Run(
        pipeline=name,
        connections=connections,
        messages=count,
        stored_rate=count / (stored_at - load.begun),
        answered_rate=count / (load.ended - load.begun),
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
    )


@contextmanager
def _gateway(folder: Path) -> Iterator[tuple[str, int, Path]]:
    data = folder / "live"
    with GatewayProcess(data, folder / "gateway.log") as gateway:
        yield "gateway", gateway.port, data / "store.db"


@contextmanager
def _floor(folder: Path, template: Path) -> Iterator[tuple[str, int, Path]]:
    place = folder / "floor"
    place.mkdir()
    command = (sys.executable, "-m", "benchmarks.floor_door", str(place), str(template))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_HERE.parent) as process:
        try:
            ready = process.stdout.readline() if process.stdout else b""
            yield "floor", int(msgspec.json.decode(ready)["mllp_port"]), place / "store.db"
        finally:
            if process.stdin:
                process.stdin.close()


def _load(port: int, connections: int, file: Path) -> Load:
    command = (sys.executable, str(_HERE / "load.py"), str(port), str(connections), str(file))
    done = subprocess.run(command, check=True, capture_output=True, timeout=_SETTLE_SECONDS)
    return msgspec.json.decode(done.stdout, type=Load)


def _until(store: Path, count: int) -> float:
    """Wait until a store holds so many deposits; return when it did."""
    limit = time.monotonic() + _SETTLE_SECONDS
    while (found := floor.stored(store)) < count:
        if time.monotonic() > limit:
            raise RuntimeError(f"{found} of {count} stored")
        time.sleep(0.01)
    return time.monotonic()
