"""Small disks for tests: a tmpfs each, filled by a ballast, emptied again; for whoever has the right to mount one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Self

#: Why there is none; `.ci/not-run` names it.
MISSING: Final = "needs the right to mount a tmpfs: run as root"
#: What a full disk still has: less than a page.
_PIECE_BYTES: Final = 1 << 20


class CannotMount(Exception):
    """This process may not mount a file system; says what it takes."""


class Disk:
    """
    A file system of its own, as long as the object is open; every user may enter it.

    Args:
        megabytes: Its size.
        at: The folder to mount it on, which only its owner may enter then; None: one of its own.

    Raises:
        CannotMount: it may not be mounted.
    """

    def __init__(self, megabytes: int, at: Path | None = None) -> None:
        self.path = at or Path(tempfile.mkdtemp(prefix="dmpgw-disk-"))
        self.path.mkdir(parents=True, exist_ok=True)
        options = f"size={megabytes}m,mode={'0700' if at else '0755'}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:  # there is no such program
            mounted = False
        if not mounted:
            self.path.rmdir()
            raise CannotMount(MISSING)
        self._ballast = self.path / "ballast"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def free(self) -> int:
        """How many bytes are free."""
        return shutil.disk_usage(self.path).free

    def fill(self, spare: int = 0) -> None:
        """Fill it up to so many bytes; again and again, for others let go of some."""
        with self._ballast.open("ab") as file:
            while (size := min(_PIECE_BYTES, self.free - spare)) > 0:
                try:
                    os.write(file.fileno(), bytes(size))
                except OSError:  # somebody else was quicker
                    return

    def make_room(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, whoever still looks into it, and forget what is on it."""
        subprocess.run(["umount", "--lazy", self.path], check=True, capture_output=True)
        self.path.rmdir()
