"""
The data directory: what lies where, and who owns it (D-12).

The lock is on the folder itself: it goes with the files that it guards, and no file that is removed takes it away. `gateway.lock`
only names the owner.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.model.base import Model

#: Longest path that every system takes for a UNIX socket.
_SOCKET_PATH_BYTES: Final = 100

#: Write access by the group or others.
_WRITABLE_BY_OTHERS: Final = 0o022

#: Waits between tries for the lock.
_LOCK_SECONDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2)


class Owner(Model, frozen=True, kw_only=True):
    """Who owns a data directory: written into `gateway.lock`."""

    pid: int
    socket: str


class Owned(Exception):
    """Another process owns the data directory: its verbs go through its socket, or stop it first."""

    def __init__(self, owner: Owner | None) -> None:
        """Keep the owner, where the lock file names one."""
        super().__init__("the data directory belongs to a running gateway" + (f" (pid {owner.pid})" if owner else ""))
        self.owner = owner


class DataDirectory:
    """
    The folder of one gateway.

    Args:
        path: The folder; made with mode 0700 when it is first owned.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is touched yet."""
        self.path = path.absolute()
        self.store = self.path / "store.db"
        self.queue = self.path / "queue.db"
        self.keys = self.path / "keys"
        self.answers = self.path / "answers"
        self.hands = self.path / "hands"
        self.lock = self.path / "gateway.lock"

    @property
    def socket(self) -> Path:
        """
        Where this process would listen as the owner: in the folder, or in the runtime directory where the path would be too long.

        Others find the owner's in `gateway.lock`: the one in the runtime directory carries the owner's pid.
        """
        here = self.path / "gateway.sock"
        if len(os.fsencode(here)) <= _SOCKET_PATH_BYTES:
            return here
        named = os.environ.get("XDG_RUNTIME_DIR")
        for runtime in (*((named,) if named else ()), tempfile.gettempdir()):
            there = Path(runtime) / f"dmp-gateway-{os.getpid()}" / "gateway.sock"
            if there.is_absolute() and len(os.fsencode(there)) <= _SOCKET_PATH_BYTES:
                return there
        message = f"no path for a socket of at most {_SOCKET_PATH_BYTES} bytes: set XDG_RUNTIME_DIR to a short one"
        raise OSError(message)

    def owner(self) -> Owner | None:
        """
        Return the owner that runs now, or None; takes nothing.

        Raises:
            Owned: a process owns the folder and is not named: `gateway.lock` was removed.
        """
        if not self.path.is_dir():
            return None
        # One that starts or stops is not named for an instant.
        for wait in _LOCK_SECONDS:
            with _folder(self.path) as folder:
                try:
                    fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    named = _owner_named(self.lock)
                else:
                    return None
            if named is not None:
                return named
            time.sleep(wait)
        raise Owned(None)

    @contextlib.contextmanager
    def owned(self) -> Iterator[Owner]:
        """
        Own the folder until the block ends: one process only.

        Raises:
            Owned: another process owns it.
            OSError: the folder, or the one for the socket, cannot be made, others than its user may write to it, or it lies
                where a folder cannot be locked.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _folder(self.path) as folder:
            _refuse_writable(self.path, os.fstat(folder).st_mode)
            _take(folder, self.lock)
            owner = Owner(pid=os.getpid(), socket=str(self.socket))
            with _folder_of_socket(self.path, Path(owner.socket).parent):
                _name(self.lock, msgspec.json.encode(owner))
                try:
                    yield owner
                finally:
                    _name(self.lock, b"")


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open a folder: its descriptor is what is locked."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_writable(path: Path, mode: int) -> None:
    """Refuse a folder in which others could put or remove files; those who may only read it are `doctor`'s to tell of."""
    if stat.S_IMODE(mode) & _WRITABLE_BY_OTHERS:
        message = f"{path} has mode {stat.S_IMODE(mode):04o}, others than its user may write to it: chmod 700 {path}"
        raise PermissionError(message)


def _name(lock: Path, content: bytes) -> None:
    """Write who owns the folder, readable by its user alone; whoever holds the folder's lock does."""
    descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.truncate(0)
        file.write(content)


def _take(folder: int, lock: Path) -> None:
    """Take the lock; whoever only asks for the owner holds it for an instant, which must not look like an owner."""
    for wait in _LOCK_SECONDS:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(wait)
    raise Owned(_owner_named(lock))


@contextlib.contextmanager
def _folder_of_socket(data: Path, folder: Path) -> Iterator[None]:
    """Make the folder in the runtime directory, refuse one that another user can enter, take it away at the end."""
    if folder == data:
        yield
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        message = f"{folder} is not this user's alone"
        raise PermissionError(message)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / "gateway.sock").unlink(missing_ok=True)
            folder.rmdir()


def _owner_named(lock: Path) -> Owner | None:
    try:
        return msgspec.json.decode(lock.read_bytes(), type=Owner)
    except (msgspec.DecodeError, OSError):
        return None
