"""Senders that take what they can get: many connections that say nothing, messages without measure, large ones side by side."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.harness.load import Cut, Wire, read_answer
from tests.harness.traffic import RIS_V, VALMONT, Patient, deposits, document, travelling, with_

_CHUNK: Final = b"x" * (1 << 20)
_SECONDS: Final = 60.0


class Crowd:
    """
    Connections that say nothing.

    Args:
        port: The door's, on 127.0.0.1.
        count: How many are tried.
    """

    def __init__(self, port: int, count: int) -> None:
        self._open: list[socket.socket] = []
        for _ in range(count):
            with suppress(OSError):
                self._open.append(socket.create_connection(("127.0.0.1", port), timeout=_SECONDS))

    def left(self) -> int:
        """Return how many the door has not closed."""
        found = 0
        for each in self._open:
            each.setblocking(False)
            try:
                found += each.recv(1) != b""
            except BlockingIOError:
                found += 1
            except OSError:
                pass
        return found

    def close(self) -> None:
        """Go away."""
        for each in self._open:
            each.close()


def huge(port: int, patient: Patient, megabytes: int) -> str:
    """
    Send so many megabytes of a message that has no end.

    Returns:
        MSA-1 of the answer; nothing if the connection ended, or stayed open, without one.
    """
    try:
        wire = Wire(port)
    except Cut:
        return ""
    try:
        with suppress(Cut):  # the door listens no more, and may have answered
            wire.begin(large("HUGE", 79_999_999, patient, 0).partition(b"\rOBX")[0] + b"\rOBX|1|ED|||")
            for _ in range(megabytes):
                wire.write(_CHUNK)
        return read_answer(wire.receive())[0]
    except Cut:
        return ""
    finally:
        wire.close()


def large(identifier: str, number: int, patient: Patient, megabytes: int) -> bytes:
    """Return a deposit whose document has so many megabytes of text."""
    line = "Texte d'essai. " * 70
    carried = with_(document(number, patient, VALMONT, "imaging"), lines=(line,) * (megabytes * (1 << 20) // len(line)))
    return travelling(deposits.mdm(identifier, carried, source=RIS_V))


def together(calls: list[Callable[[], object]]) -> list[object]:
    """Make calls side by side; return what each gave."""
    found: list[object] = [None] * len(calls)

    def run(place: int) -> None:
        found[place] = calls[place]()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * _SECONDS)
    return found


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process had at once (resident), in MiB; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def bounded(pids: list[int], megabytes: int) -> Iterator[bool]:
    """
    Bound the memory of each process by a control group of its own, where the machine lets that be done.

    Yields:
        Whether it was done.
    """
    made: list[Path] = []
    root = Path("/sys/fs/cgroup/memory")
    try:
        for pid in pids:
            group = root / f"dmpgw-proof-{pid}"
            group.mkdir()
            made.append(group)
            (group / "memory.limit_in_bytes").write_text(str(megabytes << 20), encoding="ascii")
            (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
    except OSError:
        _given_up(root, made)
        yield False
        return
    try:
        yield True
    finally:
        _given_up(root, made)


def _given_up(root: Path, groups: list[Path]) -> None:
    for group in groups:
        with suppress(OSError):
            for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
                with suppress(OSError):
                    (root / "cgroup.procs").write_text(pid, encoding="ascii")
            time.sleep(0.01)
            group.rmdir()
