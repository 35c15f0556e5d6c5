"""Reading the record store for a verb: the file of the data directory, or the database that `DATABASE_URL` names."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.cli import console
from gateway.store.port import StoreUnusable
from gateway.store.reader import Reader
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import database_url, open_reader

_HINTS = {False: "Start one with `dmp-gateway serve`.", True: "`dmp-gateway doctor` looks at it and all around it."}


@contextmanager
def reading(directory: DataDirectory) -> Iterator[Reader]:
    """Open the store for reading; ends the program (exit 1) with a message where it cannot be read."""
    try:
        with open_reader(directory) as reader:
            yield reader
    except StoreUnusable as unusable:
        hint = _HINTS[database_url() is not None or directory.store.exists()]
        console.fail(f"{unusable}.", hint)


def require_store(directory: DataDirectory) -> None:
    """End the program with a message unless the store can be read."""
    with reading(directory):
        pass
