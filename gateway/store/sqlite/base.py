"""An open transaction on SQLite: what every theme's reads and writes stand on."""

import sqlite3
from typing import Any

from gateway.telemetry import points


class Base:
    """
    One transaction of the writing connection (`BEGIN IMMEDIATE` is the lock, ARCHITECTURE.md).

    Args:
        connection: The writing connection, inside a transaction.
        at: The instant that this transaction's rows carry, ISO 8601 UTC.
    """

    def __init__(self, connection: sqlite3.Connection, at: str) -> None:
        """Keep the connection and the instant."""
        self._connection = connection
        self.at = at
        #: Whether it takes content away: of that nothing may stay in the write-ahead file (D-7).
        self.erases = False
        #: Patients whose rights or links it changed.
        self._changed: set[int] = set()

    def _one(self, sql: str, *values: object) -> Any:
        points.reach("store.read")
        return self._connection.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: object) -> list[Any]:
        points.reach("store.read")
        return self._connection.execute(sql, values).fetchall()

    def _do(self, sql: str, *values: object) -> int:
        points.reach("store.write")
        return self._connection.execute(sql, values).lastrowid or 0

    def _count(self, sql: str, *values: object) -> int:
        """Run a statement and return how many rows it changed."""
        points.reach("store.write")
        return self._connection.execute(sql, values).rowcount
