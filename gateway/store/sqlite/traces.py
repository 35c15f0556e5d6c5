"""The trace of each patient as a chain, read from `store.db`."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from gateway.store import columns
from gateway.store.chain import Head, TraceOf

_LINES: Final = (
    "SELECT n, hash, at, actor, action, receipt, patient, document, verdict, rule, statement, rights_version FROM trace"
    " WHERE patient = ? ORDER BY n, sequence"
)


class Traces:
    """The part of the reader that returns chains."""

    _connection: sqlite3.Connection

    def trace_of(self, patient: int) -> TraceOf | None:
        """Return the whole trace of a patient; see `Reader.trace_of`."""
        self._connection.execute("BEGIN")  # head and lines of one state of the file
        try:
            row = self._connection.execute("SELECT trace_length, trace_head FROM patient WHERE id = ?", (patient,)).fetchone()
            lines = self._connection.execute(_LINES, (patient,)).fetchall()
        finally:
            self._connection.execute("COMMIT")
        return None if row is None else columns.trace_of(patient, Head(length=row[0], hash=row[1]), lines)

    def traces(self) -> Iterator[TraceOf]:
        """Return the trace of each patient, one at a time; see `Reader.traces`."""
        last = 0
        while (row := self._connection.execute("SELECT min(id) FROM patient WHERE id > ?", (last,)).fetchone())[0] is not None:
            last = int(row[0])
            found = self.trace_of(last)
            if found is not None:
                yield found
