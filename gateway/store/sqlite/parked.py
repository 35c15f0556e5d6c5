"""What is parked, for an operator, on SQLite."""

import sqlite3
from collections.abc import Mapping
from typing import Final

from gateway.store import pages
from gateway.store.views import ParkedView

_PARKED: Final = """
    SELECT p.receipt, p.parked_at, r.received_at, r.door, p.source, r.establishment, r.message_id, r.message_type,
           r.patient_value, p.code, p.place,
           (SELECT count(*) FROM trace t WHERE t.receipt = p.receipt AND t.action = 'deposit.parked'), p.review
    FROM parked p JOIN receipt r ON r.id = p.receipt WHERE TRUE
"""
_CONDITIONS: Final = {
    "receipt": "p.receipt = ?",
    "source": "p.source = ?",
    "establishment": "r.establishment = ?",
    "patient": "r.patient_value = ?",
    "message": "r.message_id = ?",
    "code": "p.code = ?",
    "since": "p.parked_at >= ?",
    "until": "p.parked_at < ?",
}


class ParkedRead:
    """The part of the reader that shows what is parked."""

    _connection: sqlite3.Connection

    def parked(self, filters: Mapping[str, str] = {}, *, limit: int = 1000) -> list[ParkedView]:
        """Return what is parked, the longest first; see `Reader`."""
        where = "".join(f" AND {_CONDITIONS[name]}" for name in filters)
        rows = self._connection.execute(f"{_PARKED}{where} ORDER BY p.parked_at, p.receipt LIMIT ?", (*filters.values(), limit))
        return [pages.parked_view(row) for row in rows]
