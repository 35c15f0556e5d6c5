"""What waits in the file, read by another process or thread: ids and times only, the rest is sealed."""

import sqlite3
from pathlib import Path

from gateway.model.base import Model
from gateway.model.ports import FileUnusable
from gateway.queue.embedded.file import lane, number
from gateway.queue.lanes import MIDNIGHT
from gateway.queue.receipt import source_of


class Waiting(Model, frozen=True, kw_only=True):
    """One queued deposit, as far as it can be told without opening it."""

    receipt: str
    received_at: str
    source: str
    lane: str
    size: int


def waiting(path: Path) -> list[Waiting]:
    """
    Return what waits, newest first.

    Args:
        path: The queue's file; it exists. It is opened for reading only (D-12).

    Raises:
        FileUnusable: the file cannot be read.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute(
                "SELECT receipt, received_at, lane, size FROM queued WHERE lane <> ? ORDER BY id DESC", (MIDNIGHT,)
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as failure:
        raise FileUnusable(path, failure.sqlite_errorname) from failure
    return [
        Waiting(receipt=receipt, received_at=received_at, source=source_of(receipt), lane=lane, size=size)
        for receipt, received_at, lane, size in rows
    ]


def lane_of(path: Path) -> str:
    """
    Return the name that a queue's file has in the record of passed days (D-7).

    Raises:
        FileUnusable: the file cannot be read.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return lane(number(connection))
        finally:
            connection.close()
    except sqlite3.Error as failure:
        raise FileUnusable(path, failure.sqlite_errorname) from failure
