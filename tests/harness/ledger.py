"""Lines of JSON that survive a power cut: each is on the disk before `write` returns."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self


class Ledger:
    """
    A file of JSON lines, appended and synced one by one; of one thread.

    Args:
        path: Made with its folders if it is not there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, **fields: Any) -> None:
        """Append a line and wait until it is on the disk."""
        os.write(self._descriptor, json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a ledger, none if it is not there; a last line that was cut off is left out."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)
