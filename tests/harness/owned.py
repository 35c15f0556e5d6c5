"""Folders that a process makes for servers of its own, and what is left of them when it was killed."""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path


def made(prefix: str) -> Path:
    """Return a new folder that names the process that makes it, and since when that runs."""
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-{began(os.getpid())}-"))


def left(prefix: str) -> Iterator[Path]:
    """Give the folders whose makers are dead; another process with the number of one is another process."""
    for home in Path(tempfile.gettempdir()).glob(f"{prefix}*-*-*"):
        owner, since = home.name.removeprefix(prefix).split("-")[:2]
        if owner.isdigit() and since.isdigit() and began(int(owner)) != int(since):
            yield home


def began(pid: int) -> int:
    """Return when a process began, in ticks of the machine; 0 if there is none, or a dead one that nobody waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def at_home(home: Path) -> list[int]:
    """Return the processes that were started with this folder as their home."""
    mine = b"HOME=" + os.fsencode(home)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mine in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def removed(home: Path, *pids: int) -> None:
    """End processes and take a folder away."""
    for each in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)
