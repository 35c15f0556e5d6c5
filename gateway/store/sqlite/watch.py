"""What identity watch reads, on SQLite."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from gateway.store import watch_pages
from gateway.store.watch_views import MisfiledLine, TaskLine

#: The identifier that is shown of a patient: an INS (its authority is a root, without a domain), else a local one.
_SHOWN: Final = (
    "(SELECT i.value FROM identifier i WHERE i.patient = {} ORDER BY instr(i.authority, '/') > 0, i.authority, i.value LIMIT 1)"
)
_CONDITIONS: Final = {
    "kind": "t.kind = ?",
    "patient": "t.patient IN (SELECT n.patient FROM identifier n WHERE n.value = ?)",
    "document": "t.document = ?",
    "since": "t.raised_at >= ?",
    "until": "t.raised_at < ?",
}
_TASKS: Final = (
    f"SELECT t.id, t.kind, t.raised_at, {_SHOWN.format('t.patient')}, t.document, t.detail, t.receipt, t.done_at, t.done_by"  # noqa: S608 - constants
    " FROM task t WHERE (t.done_at IS NOT NULL) = ?"
)
_MISFILED: Final = f"""
    SELECT d.unique_id, d.entry, d.state, d.owner, d.withheld, d.committed_at, d.receipt, {_SHOWN.format("d.patient")},
           l.to_at, l.ended_by
    FROM document_identifier n
    JOIN document d ON d.patient = n.patient AND d.unique_id = n.unique_id
    JOIN link l ON l.authority = n.authority AND l.value = n.value AND l.patient = d.patient AND l.to_at = (
        SELECT min(x.to_at) FROM link x
        WHERE x.authority = n.authority AND x.value = n.value AND x.patient = d.patient AND x.to_at >= d.committed_at)
    WHERE n.authority = :authority AND n.value = :value
      AND NOT EXISTS (
          SELECT 1 FROM identifier i WHERE i.authority = n.authority AND i.value = n.value AND i.patient = d.patient)
      AND (:record IS NULL
           OR d.patient = (SELECT r.patient FROM identifier r WHERE r.authority = :record AND r.value = :record_value))
    ORDER BY d.committed_at, d.unique_id
"""  # noqa: S608 - constants


class Watch:
    """The part of the reader that `gateway.store.reader_watch` asks for."""

    _connection: sqlite3.Connection

    def tasks(self, filters: Mapping[str, str] = {}, *, done: bool = False, limit: int = 1000) -> list[TaskLine]:
        """Return what a person must look at, the oldest first; see `Reader`."""
        where = "".join(f" AND {_CONDITIONS[name]}" for name in filters)
        rows = self._connection.execute(f"{_TASKS}{where} ORDER BY t.id LIMIT ?", (int(done), *filters.values(), limit))
        return [watch_pages.task_line(row) for row in rows]

    def misfiled(self, authority: str, value: str, record: tuple[str, str] | None = None) -> list[MisfiledLine]:
        """Return the documents that came under a local identifier while it named the patient who has them; see `Reader`."""
        asked, asked_value = record or (None, None)
        values = {"authority": authority, "value": value, "record": asked, "record_value": asked_value}
        return [watch_pages.misfiled_line(row) for row in self._connection.execute(_MISFILED, values)]
