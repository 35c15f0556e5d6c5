"""The folder where `listen` keeps what came: one file a message, which nobody else reads."""

import os
import re
from pathlib import Path
from typing import Final

_NUMBERED: Final = re.compile(r"(\d{6,})-.*\.hl7", re.DOTALL)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
#: Characters of MSH-10 in a file's name.
_LONGEST: Final = 60


class Folder:
    """A folder of messages, numbered on from what is there."""

    def __init__(self, path: Path) -> None:
        """
        Make the folder, or take the one that is there.

        Args:
            path: Of the folder; made for its owner alone.

        Raises:
            OSError: it cannot be made or read.
        """
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        numbers = (_NUMBERED.fullmatch(name) for name in os.listdir(path))  # noqa: PTH208 - names are all that is wanted
        self._last = max((int(found[1]) for found in numbers if found), default=0)

    def keep(self, control_id: str, payload: bytes) -> str:
        """
        Write a message as it came, without its frame.

        Args:
            control_id: MSH-10, in the file's name as far as a file's name bears it.
            payload: Every byte of it.

        Returns:
            The file's name: `000001-SILV-0001.hl7`, readable by its owner alone.

        Raises:
            OSError: it cannot be written; nothing of it is left.
        """
        while True:
            self._last += 1
            name = f"{self._last:06}-{safe(control_id)}.hl7"
            try:
                descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            except FileExistsError:  # another one keeps there, too
                continue
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(payload)
            except OSError:
                (self.path / name).unlink(missing_ok=True)
                raise
            return name


def safe(control_id: str) -> str:
    """Return what of MSH-10 can stand in a file's name on any machine."""
    return _UNSAFE.sub("_", control_id)[:_LONGEST] or "without-id"
