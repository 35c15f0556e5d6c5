"""
Orders for the processes of a running gateway: at the n-th hit of a named point, one process of a role dies, or stops itself.

`DMP_GATEWAY_KILL_AT` is read at the start, and again by the process that follows the dead one. Here the processes look at a file
in memory at each point, so that a campaign goes on without a new start: one after the other is killed while the others go on. A
process obeys because `sitecustomize` (`tests/harness/ordered`) is on its path; the gateway's own code knows nothing of it.
"""

import contextlib
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = "DMPGW_TEST_ORDERS"
#: Seconds between two signs of life of a connection, and seconds until a worker stands by, instead of the product's.
_HEARTBEAT: Final = "DMPGW_TEST_HEARTBEAT"
_STANDBY: Final = "DMPGW_TEST_STANDBY"
#: `role=version` of the wire form, comma-separated.
_WIRE: Final = "DMPGW_TEST_WIRE"
#: Number of the order (0: none), hits left to go, what to do, role, point.
_ORDER: Final = struct.Struct("<QIc16s64s")
_DIE, _STOP = b"D", b"S"
#: How `kill -9` by a named point ends a process.
_KILLED: Final = 137
_ROOT: Final = Path(__file__).resolve().parents[2]

DOOR: Final = "mllp"
WORKER: Final = "worker"


# -- in a process of the gateway


def obey() -> None:
    """Look at the orders from now on; nothing in a process that is neither door nor worker, or that nobody orders about."""
    folder = os.environ.get(_FOLDER)
    role = next((word for word in sys.orig_argv[3:4] if word in {DOOR, WORKER}), None)
    if not folder or role is None or sys.orig_argv[1:3] != ["-m", "gateway.cli"]:
        return
    from gateway.telemetry import points

    points.hooks = _Watching(Path(folder), role)
    _shorten()
    _be_another(role)


def _shorten() -> None:
    """Put shorter times in the place of the product's, where the environment has them."""
    heartbeat, standby = os.environ.get(_HEARTBEAT), os.environ.get(_STANDBY)
    if heartbeat:
        from gateway.queue.rabbitmq import queue
        from gateway.wiring import doors, working

        def limits(**given: Any) -> queue.Settings:
            return queue.Settings(heartbeat_seconds=int(heartbeat), **given)

        doors.QueueLimits = working.QueueLimits = limits  # type: ignore[assignment,misc]
    if standby:
        import msgspec

        from gateway.queue.rabbitmq.consumer import Share
        from gateway.wiring import working

        made = working.WorkerProcess.__init__

        def soon(self: Any, *given: Any, **named: Any) -> None:
            waits = {"standby_seconds": float(standby)}
            given = tuple(msgspec.structs.replace(each, **waits) if isinstance(each, Share) else each for each in given)
            made(self, *given, **named)

        working.WorkerProcess.__init__ = soon  # type: ignore[method-assign]


def _be_another(role: str) -> None:
    """Write and read the wire form of another version, where the environment says so: a gateway of before, or to come."""
    versions = dict(each.split("=") for each in os.environ.get(_WIRE, "").split(",") if each)
    if role in versions:
        from gateway.queue import wire

        version, reader = int(versions[role]), wire.READERS[wire.VERSION]
        # Versions may differ in anything behind their number; here they do not.
        wire.VERSION = version  # type: ignore[misc]
        wire.READERS = {version: reader, version - 1: reader}  # type: ignore[misc]


class _Watching(dict[str, Callable[[], None]]):
    """In the place of the hooks: asked at each point, whichever it is."""

    def __init__(self, folder: Path, role: str) -> None:
        super().__init__()
        self._folder = folder
        self._role = role
        with (folder / "order").open("rb") as file:
            self._order = mmap.mmap(file.fileno(), _ORDER.size, access=mmap.ACCESS_READ)
        self._number = 0
        self._left = 0
        self._at = ""
        self._what = b""
        self._reached: set[str] = set()

    def get(self, name: str, _default: Any = None) -> None:  # type: ignore[override]
        """Do what is ordered for this point."""
        if name not in self._reached:
            self._reached.add(name)
            _append(self._folder / "reached", f"{self._role} {name}\n")
        if self._order[:8] != self._number.to_bytes(8, "little"):
            self._read()
        if name != self._at:
            return
        self._left -= 1
        if self._left <= 0:
            self._at = ""
            self._carry_out(name)

    def _read(self) -> None:
        self._number, self._left, self._what, role, name = _ORDER.unpack(self._order[:])
        mine = self._number and role.rstrip(b"\0").decode() == self._role
        self._at = name.rstrip(b"\0").decode() if mine else ""

    def _carry_out(self, name: str) -> None:
        made = self._folder / f"claim-{self._number}"
        try:
            made.with_suffix(".taken").touch(exist_ok=False)
        except FileExistsError:  # another one was first
            return
        written = made.with_suffix(".new")
        written.write_text(f"{os.getpid()} {self._role} {name}", encoding="ascii")
        written.rename(made)
        if self._what == _DIE:
            os._exit(_KILLED)
        os.kill(os.getpid(), signal.SIGSTOP)


def _append(path: Path, line: str) -> None:
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(file, line.encode())
    os.close(file)


# -- what a campaign holds


@dataclass(frozen=True)
class Done:
    """An order that was carried out: by which process, where."""

    pid: int
    role: str
    point: str


class Orders:
    """
    Gives one order at a time.

    Args:
        folder: Of the run.
        heartbeat: Seconds between two signs of life of a connection; None: as in the product.
        standby: Seconds until a worker stands by for the lanes of the others; None: as in the product.
    """

    @staticmethod
    def wire(**versions: int) -> dict[str, str]:
        """Return the variable by which roles (`mllp`, `worker`) write and read another version of the wire form."""
        return {_WIRE: ",".join(f"{role}={version}" for role, version in versions.items())}

    def __init__(self, folder: Path, *, heartbeat: int | None = None, standby: float | None = None) -> None:
        self._folder = folder / "orders"
        self._folder.mkdir(parents=True)
        (self._folder / "order").write_bytes(bytes(_ORDER.size))
        self._number = 0
        self._frozen: set[int] = set()
        paths = (str(Path(__file__).with_name("ordered")), str(_ROOT), os.environ.get("PYTHONPATH", ""))
        self.environment = {_FOLDER: str(self._folder), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        if heartbeat is not None:
            self.environment[_HEARTBEAT] = str(heartbeat)
        if standby is not None:
            self.environment[_STANDBY] = str(standby)

    def kill(self, role: str, point: str, hit: int = 1) -> None:
        """Let the first process of a role die that passes a point for the n-th time from now on."""
        self._give(_DIE, role, point, hit)

    def freeze(self, role: str, point: str, hit: int = 1) -> None:
        """Let it stop itself there, until `wake`."""
        self._give(_STOP, role, point, hit)

    def withdraw(self) -> None:
        """Take the order back."""
        self._write(0, b"", "", "", 0)

    def wait(self, seconds: float, also: Callable[[], bool] = lambda: True) -> Done | None:
        """Wait until the order is carried out, as long as `also` is true; None: it was not, and is withdrawn."""
        limit, claim = time.monotonic() + seconds, self._folder / f"claim-{self._number}"
        while not claim.exists() and time.monotonic() < limit and also():
            time.sleep(0.005)
        self.withdraw()
        if not claim.exists():
            # Whoever was at the point just now saw the order that was taken back.
            time.sleep(0.05)
        if not claim.exists():
            return None
        pid, role, point = claim.read_text(encoding="ascii").split()
        done = Done(int(pid), role, point)
        if claim.with_suffix(".stop").exists():
            self._frozen.add(done.pid)
            _wait_stopped(done.pid)
        return done

    def stop(self, pid: int) -> None:
        """Freeze a process wherever it is."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._frozen.add(pid)

    def wake(self, pid: int | None = None) -> None:
        """Let a frozen process go on; None: all of them."""
        for each in list(self._frozen) if pid is None else [pid]:
            self._frozen.discard(each)
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)

    def reached(self) -> set[tuple[str, str]]:
        """Return role and name of every point that was passed."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self._folder / "reached").read_text(encoding="ascii").splitlines()
            return {(role, name) for role, _, name in (line.partition(" ") for line in lines)}
        return set()

    def _give(self, what: bytes, role: str, point: str, hit: int) -> None:
        self._number += 1
        if what == _STOP:
            (self._folder / f"claim-{self._number}.stop").touch()
        self._write(self._number, what, role, point, hit)

    def _write(self, number: int, what: bytes, role: str, point: str, hit: int) -> None:
        with (self._folder / "order").open("r+b") as file, mmap.mmap(file.fileno(), _ORDER.size) as order:
            # The number last: whoever sees it sees the rest.
            order[8:] = _ORDER.pack(number, hit, what or b"\0", role.encode(), point.encode())[8:]
            order[:8] = number.to_bytes(8, "little")


def _wait_stopped(pid: int) -> None:
    """Wait until the kernel says that a process has stopped, or is gone."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "TZ":
            return
        time.sleep(0.001)
