"""
The folder of the keys: one file a ring and day, written, read and erased so that a kill at any point leaves a whole state (D-7).

A key is erased by its name first: renamed to a name that no reader takes for a key, overwritten in place, synced, unlinked, the
folder synced. Whatever a killed process left half erased or half written is wiped at the next `sweep`. On a disk that writes
beside what it overwrites (copy on write, flash), overwriting is no more than good will: encrypt the volume.
"""

import enum
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.queue.errors import KeysUnusable

KEY_BYTES: Final = 32
RECEIPTS: Final = "receipts.key"
_EPOCH: Final = date(1970, 1, 1)
_PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_PART: Final = ".part"
_GONE: Final = ".gone"


class Ring(enum.IntEnum):
    """What a key is for; the value is the byte in a sealed payload."""

    #: What travels between door and worker.
    FLOW = 0
    #: What is parked for an operator.
    PARKING = 1


def day_of(instant: datetime) -> int:
    """Return the number of an instant's day: days since 1970-01-01, UTC."""
    return (instant.astimezone(UTC).date() - _EPOCH).days


def date_of(day: int) -> date:
    """Return the date of a day's number."""
    return _EPOCH + timedelta(days=day)


def midnight(day: int) -> datetime:
    """Return the instant at which a day begins, UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def file_of(directory: Path, ring: Ring, day: int) -> Path:
    """Return where the key of a ring and day lies."""
    return directory / f"{ring.name.lower()}-{date_of(day).isoformat()}.key"


def days_in(directory: Path, ring: Ring) -> list[int]:
    """
    Return the days whose keys a folder holds, in order.

    Raises:
        KeysUnusable: a file has the ending of a key and no day in its name.
    """
    found = []
    for path in directory.glob(f"{ring.name.lower()}-*.key"):
        try:
            found.append((date.fromisoformat(path.stem.partition("-")[2]) - _EPOCH).days)
        except ValueError:
            raise KeysUnusable(f"{path} is not the name of a key: <ring>-<YYYY-MM-DD>.key") from None
    return sorted(found)


def read(path: Path) -> bytes:
    """
    Return the secret in a file.

    Raises:
        KeysUnusable: others than its owner may read it, or it is no key.
    """
    require_private(path)
    secret = path.read_bytes()
    if len(secret) != KEY_BYTES:
        raise KeysUnusable(f"{path} has {len(secret)} bytes, a key has {KEY_BYTES}")
    return secret


def require_private(path: Path) -> None:
    """
    Refuse a file that is open to others than its owner.

    Raises:
        KeysUnusable: it is; the text says how to close it.
    """
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode) or stat.S_IMODE(mode) & ~_PRIVATE_FILE:
        raise KeysUnusable(f"{path} has mode {stat.S_IMODE(mode):04o}, it must be a file of mode 0600: chmod 600 {path}")


def write(path: Path, secret: bytes) -> None:
    """Put a secret on the disk, file and folder synced, before anybody uses it."""
    part = path.with_name(f".{path.name}{_PART}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def erase(path: Path) -> None:
    """
    Overwrite and unlink a key; whoever is killed meanwhile leaves a key, or what `sweep` wipes: never a file of wrong bytes.

    Raises:
        OSError: it could not be overwritten or unlinked; `sweep` tries again.
    """
    gone = path.with_name(f".{path.name}{_GONE}")
    path.replace(gone)
    sync_folder(path.parent)
    wipe(gone)


def wipe(path: Path) -> None:
    """Overwrite a file in place and unlink it, each step on the disk before the next."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        left = max(os.fstat(descriptor).st_size, KEY_BYTES)
        while left > 0:
            left -= os.write(descriptor, bytes(left))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    sync_folder(path.parent)


def sweep(directory: Path) -> None:
    """Wipe what killed processes left half written or half erased; the caller holds the folder's lock."""
    for ending in (_PART, _GONE):
        for left in directory.glob(f".*{ending}"):
            wipe(left)


def refuse_open_folder(directory: Path) -> None:
    """
    Refuse a folder that others may enter.

    Raises:
        KeysUnusable: they may; the text says how to close it.
    """
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & ~PRIVATE_FOLDER:
        raise KeysUnusable(f"{directory} has mode {mode:04o}, it must have 0700: chmod 700 {directory}")


def sync_folder(directory: Path) -> None:
    """Put the names of a folder on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the folder against other processes that read or write keys."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
