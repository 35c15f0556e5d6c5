"""
What a worker has in hand, noted where it outlives the worker: a message that ends its process is known by it (D-8).

A broker cannot tell: it counts a delivery for everything that a dead worker had been given, innocent or not. So each process
keeps one small file, locked as long as it lives, with the receipts that it is about to apply. A file that nobody holds was left
by a process that died while it applied these; how many such files name a receipt is how many processes died at it. A process that
crashes leaves Python's own report of it in its file; one that was killed from outside, by a person or for want of memory, leaves
none, and what it held is the less suspect.
"""

import contextlib
import faulthandler
import fcntl
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gateway.telemetry import events

#: A deposit at which so many processes crashed is not tried again: it is parked.
DEATHS: Final = 3
#: So many deaths without a crash count as one: whoever is killed has something in hand, and mostly it is innocent.
KILLS_A_DEATH: Final = 5
#: How Python's report of a crash begins.
_CRASHED: Final = b"Fatal Python error"
#: Files of the dead that are kept, the newest: more than one message may be to blame, on every lane.
KEPT: Final = 128

_SUFFIX: Final = ".hand"


class _Left(NamedTuple):
    """What a dead process left."""

    receipts: frozenset[str]
    crashed: bool


class Hands:
    """
    The file of one process, and those of the dead beside it.

    Args:
        folder: Of all workers of this machine; made with mode 0700.

    Raises:
        OSError: the folder or the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        """Make the file, hold it, forget the oldest of the dead."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._dead: dict[str, _Left] = {}
        self._failed = False
        self._report = -1
        name = secrets.token_hex(8)
        new = folder / f"{name}.new"
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._path = folder / f"{name}{_SUFFIX}"
        new.rename(self._path)  # never seen without its lock
        self._tidy()

    @contextlib.contextmanager
    def holding(self, receipts: Sequence[str]) -> Iterator[None]:
        """Note what is applied inside the block; nothing is noted after it, however it ends, unless the process does."""
        self._write(receipts)
        try:
            yield
        finally:
            self._write(())

    def report_crashes(self) -> None:
        """Have Python report a crash of this process (SIGSEGV, SIGABRT…) in its file, until it is closed."""
        self._report = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        faulthandler.enable(self._report, all_threads=False)

    def suspected(self, receipts: Sequence[str]) -> list[bool]:
        """Tell of each whether a process died with it in hand, however it died."""
        self._look()
        named = frozenset[str]().union(*(left.receipts for left in self._dead.values()))
        return [each in named for each in receipts]

    def deaths(self, receipts: Sequence[str]) -> list[int]:
        """Return at how many deaths of a process each of these was in its hands; one without a crash counts a fifth."""
        self._look()
        crashed, killed = Counter[str](), Counter[str]()
        for left in self._dead.values():
            (crashed if left.crashed else killed).update(left.receipts)
        return [crashed[each] + killed[each] // KILLS_A_DEATH for each in receipts]

    def accuse(self) -> None:
        """Count as a crash: the process ends because it does not come back from what it has in hand."""
        with contextlib.suppress(OSError):
            os.pwrite(self._file, _CRASHED, os.fstat(self._file).st_size)

    def absolve(self) -> None:
        """Accuse nobody any more, though something may still be in hand: the process was asked to end."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave nothing: what ends in good order accuses nobody."""
        self.absolve()
        if self._report >= 0:
            faulthandler.disable()
            os.close(self._report)
            self._report = -1
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, receipts: Sequence[str]) -> None:
        """Not synced: the process may die, not the machine. What cannot be written is applied all the same."""
        try:
            if receipts:
                os.pwrite(self._file, "".join(f"{each}\n" for each in receipts).encode(), 0)
            else:
                os.ftruncate(self._file, 0)
        except OSError:
            if not self._failed:
                events.QueueProblem(reason="hands").emit()
            self._failed = True
        else:
            self._failed = False

    def _look(self) -> None:
        """Read what those left who died since the last look."""
        with contextlib.suppress(OSError):
            there = {each.name for each in os.scandir(self._folder) if each.name.endswith(_SUFFIX)}
            for name in self._dead.keys() - there:
                del self._dead[name]
            for name in there - self._dead.keys() - {self._path.name}:
                left = _left(self._folder / name)
                if left is not None:
                    self._dead[name] = left

    def _tidy(self) -> None:
        """Remove what accuses nobody, and the oldest of the rest."""
        self._look()
        with contextlib.suppress(OSError):
            oldest = sorted(self._dead, key=lambda name: (self._folder / name).stat().st_mtime)
            accusing = [name for name in oldest if self._dead[name].receipts]
            for name in {*oldest} - {*accusing[-KEPT:]}:
                (self._folder / name).unlink(missing_ok=True)
                del self._dead[name]


def _left(path: Path) -> _Left | None:
    """Return what a dead process left; None while it lives, or where the file is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        receipts, crashed, _ = os.read(file, os.fstat(file).st_size).partition(_CRASHED)
        return _Left(frozenset(receipts.decode("ascii", "replace").split()), bool(crashed))
    except OSError:
        return None
    finally:
        os.close(file)
