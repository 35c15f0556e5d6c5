"""
The hostile cases of one door, one after the other, in a process of their own: `python -m tests.security.hostile.measure DOOR`.

Prints one line of JSON a case: what was said, seconds of the processor, and by how much the process grew at its highest. Whatever
the process opens, connects to or starts meanwhile is told; what a library opens by itself is seen by a watched file.
"""

import codecs
import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.security.hostile.doors import DOORS, HARMLESS, Said, cases
from tests.security.hostile.xml import SECRET

_WATCHED: Final = (
    "open",
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "ctypes.dlopen",
    "urllib",
)
#: inotify_init1(IN_NONBLOCK), IN_OPEN.
_LARGE: Final = 100_000
_NONBLOCK, _OPENED = 0o4000, 0x20


class Guard:
    """Notes what is opened, connected to or started while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        library = ctypes.CDLL(None, use_errno=True)
        self._watch = library.inotify_init1(_NONBLOCK)
        if self._watch < 0 or library.inotify_add_watch(self._watch, os.fsencode(SECRET), _OPENED) < 0:
            raise OSError(ctypes.get_errno(), "no watch", SECRET)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        # The models of FHIR are loaded one by one, when a resource first names them.
        loads = event == "open" and str(arguments[0]).startswith(sys.prefix)
        if self.on and event.startswith(_WATCHED) and not loads:
            self.seen.append(f"{event} {arguments[:1]}")

    def opened(self) -> bool:
        """Tell whether a watched file was opened since last asked."""
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            return False


def highest_kb() -> int:
    """Return the most memory that the process held since `reset`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def reset() -> None:
    """Count the highest anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(door: str) -> None:
    """Read every case of a door."""
    read, guard = DOORS[door], Guard()
    # What is loaded once, tables and codecs, is loaded before.
    for data in HARMLESS[door]:
        if read(data):
            raise RuntimeError("a sample was refused")
    codecs.lookup("iso8859-15")
    gc.collect()
    gc.freeze()
    for number, data in enumerate(HARMLESS[door]):
        _measured(f"harmless {number}", data, read, guard)
    for case in cases():
        if case.door == door:
            _measured(case.name, case.data(), read, guard)


def _measured(name: str, data: bytes, read: Callable[[bytes], list[Said]], guard: Guard) -> None:
    gc.collect()
    if len(data) > _LARGE:
        # What making the input left free would hide what reading it takes.
        ctypes.CDLL(None).malloc_trim(0)
    reset()
    before, begun = highest_kb(), time.thread_time()
    guard.on = True
    try:
        said, failure = read(data), ""
    except Exception as error:  # noqa: BLE001 - what a reader may not do
        said, failure = [], type(error).__name__
    guard.on = False
    spent, grown = time.thread_time() - begun, highest_kb() - before
    opened = [*guard.seen, *(["a watched file"] if guard.opened() else [])]
    guard.seen.clear()
    told = {"name": name, "size": len(data), "seconds": round(spent, 4), "kb": grown, "failure": failure, "opened": opened}
    print(json.dumps({**told, "codes": [each.code for each in said], "places": [each.place for each in said]}), flush=True)


if __name__ == "__main__":
    SECRET.write_text("what nobody may open", encoding="ascii")
    try:
        main(sys.argv[1])
    finally:
        SECRET.unlink()
