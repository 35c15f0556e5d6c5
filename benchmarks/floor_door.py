"""
The floor pipeline, a process of its own: `python benchmarks/floor_door.py FOLDER ROWS`.

A message is split and appended to a file; whatever waits is made durable by one fsync, then answered; its rows go to SQLite in
batches of a hundred. Nothing is understood, sealed, decided or told. Prints its port, ends when standard input does.
"""

import asyncio
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import floor
from benchmarks.bare_mllp import ANSWER, Door

_BATCH: Final = 100


class _Journal:
    """A thread that appends, syncs once for all that wait, tells them, and hands their rows on."""

    def __init__(self, file: Path, loop: asyncio.AbstractEventLoop, rows: "queue.Queue[int | None]") -> None:
        self._file = file.open("ab", buffering=0)
        self._loop = loop
        self._rows = rows
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._changed = threading.Condition()
        self._stored = 0
        threading.Thread(target=self._run, daemon=True).start()

    def add(self, transport: asyncio.Transport, payload: bytes) -> None:
        with self._changed:
            self._waiting.append((transport, payload))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                group, self._waiting = self._waiting, []
            self._file.write(b"".join(payload for _, payload in group))
            os.fsync(self._file.fileno())
            self._loop.call_soon_threadsafe(_answer, [transport for transport, _ in group])
            for _ in group:
                self._stored += 1
                self._rows.put(self._stored)


def _answer(transports: list[asyncio.Transport]) -> None:
    for transport in transports:
        transport.write(ANSWER)


def _insert(folder: Path, template: floor.Rows, rows: "queue.Queue[int | None]") -> None:
    connection = floor.empty_store(folder / "store.db")
    while (number := rows.get()) is not None:
        batch = [number]
        while len(batch) < _BATCH and not rows.empty():
            following = rows.get()
            if following is None:
                return
            batch.append(following)
        template.insert(connection, batch)


async def _serve(folder: Path, template: floor.Rows) -> None:
    rows: queue.Queue[int | None] = queue.Queue()
    threading.Thread(target=_insert, args=(folder, template, rows), daemon=True).start()
    journal = _Journal(folder / "journal", asyncio.get_running_loop(), rows)
    server = await asyncio.get_running_loop().create_server(lambda: Door(journal), "127.0.0.1", 0)
    print(msgspec.json.encode({"mllp_port": server.sockets[0].getsockname()[1]}).decode(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


def main() -> None:
    """Serve until standard input ends."""
    folder, rows = Path(sys.argv[1]), Path(sys.argv[2])
    asyncio.run(_serve(folder, msgspec.msgpack.decode(rows.read_bytes(), type=floor.Rows)))


if __name__ == "__main__":
    main()
