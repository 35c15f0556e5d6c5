"""Reading the store for an operator, from any process (`mode=ro`, D-12)."""

import contextlib
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from gateway.store import pages
from gateway.store.sqlite.checks import Checks
from gateway.store.sqlite.connection import open_reader
from gateway.store.sqlite.lane_days import LanesRead
from gateway.store.sqlite.parked import ParkedRead
from gateway.store.sqlite.retention import Runs
from gateway.store.sqlite.scopes import Scopes
from gateway.store.sqlite.traces import Traces
from gateway.store.sqlite.transaction import SqliteTransaction
from gateway.store.sqlite.watch import Watch
from gateway.store.views import DepositLine, DepositPage, RecordPage

_LINE = (
    "id, received_at, door, source, establishment, message_id, document_ids, act, verdict, codes, patient_value, decided_at,"
    " message_type, outcome"
)
#: The DPO's query (receipt, statement), whatever the code decided: a document counts if, when it was committed, an opposition
#: to feeding bound its patient and what it is, and was in force; not the patient's own (O-14). In force: no allowance that
#: bound the patient by then and whose date had come stands later in its series (O-1), nor a later one of the patient that
#: names the establishment (O-2). What was committed first is told by the trace, which no clock can put out of order; a
#: document without a trace by the times of the rows.
STORED_AGAINST_AN_OPPOSITION: Final = """
    WITH stated AS (
        SELECT s.id, s.position, s.ordered_at, s.received_at, s.written_at, b.patient, b.from_at, b.to_at,
               (SELECT min(sequence) FROM trace WHERE trace.receipt = b.receipt) AS bound,
               (SELECT min(sequence) FROM trace WHERE trace.receipt = b.ended_by) AS unbound,
               json_extract(s.statement, '$.side') AS side,
               json_extract(s.statement, '$.collected_by') AS collected_by,
               json_extract(s.statement, '$.scope') AS scope,
               COALESCE(json_extract(s.statement, '$.scope_value'),
                        CASE json_extract(s.statement, '$.scope')
                        WHEN 'establishment' THEN json_extract(s.statement, '$.collected_by') END) AS scope_value
        FROM statement s JOIN binding b ON b.statement = s.id
        WHERE s.right = 'feeding'
    ),
    stored AS (
        SELECT COALESCE(d.origin, d.patient) AS patient, d.receipt, d.committed_at, d.establishments,
               (SELECT max(sequence) FROM trace WHERE trace.receipt = d.receipt AND trace.document = d.unique_id
                AND trace.action IN ('document.add', 'document.replace')) AS written,
               json_extract(d.entry, '$.type_code.code') AS type_code,
               json_extract(d.entry, '$.class_code.code') AS class_code,
               d.subject
        FROM document d
        WHERE json_extract(d.subject, '$.by_patient') IS NOT TRUE
           OR json_extract(d.subject, '$.source_kinds') IS NOT '["patient"]'
    )
    SELECT DISTINCT d.receipt, io.id FROM stored d
    JOIN stated io ON io.patient = d.patient AND io.position = 'opposes'
                  AND COALESCE(io.bound < d.written, io.from_at < d.committed_at)
                  AND (io.to_at IS NULL OR COALESCE(io.unbound > d.written, io.to_at > d.committed_at))
    WHERE (io.side = 'patient' OR EXISTS (SELECT 1 FROM json_each(d.establishments) e WHERE e.value = io.collected_by))
      AND CASE io.scope
          WHEN 'all' THEN TRUE
          WHEN 'establishment' THEN EXISTS (SELECT 1 FROM json_each(d.establishments) e WHERE e.value = io.scope_value)
          WHEN 'source_kind' THEN
              EXISTS (SELECT 1 FROM json_each(d.subject, '$.source_kinds') e WHERE e.value = io.scope_value)
          WHEN 'professional' THEN
              EXISTS (SELECT 1 FROM json_each(d.subject, '$.professionals') e WHERE e.value = io.scope_value)
          WHEN 'class' THEN io.scope_value = d.class_code
          WHEN 'type' THEN io.scope_value = d.type_code
          END
      AND NOT EXISTS (
          SELECT 1 FROM stated ino
          WHERE ino.patient = d.patient AND ino.position = 'allows'
            AND COALESCE(ino.bound < d.written, ino.from_at < d.committed_at)
            AND (ino.to_at IS NULL OR COALESCE(ino.unbound > d.written, ino.to_at > d.committed_at))
            AND ino.ordered_at <= d.committed_at AND ino.ordered_at > io.ordered_at
            AND (ino.received_at > io.received_at OR ino.ordered_at >= io.written_at)
            AND ((ino.scope = io.scope AND ino.scope_value IS io.scope_value AND ino.side = io.side
                  AND (io.side = 'patient' OR ino.collected_by = io.collected_by))
                 OR (ino.side = 'patient' AND io.side = 'establishment' AND io.scope IN ('all', 'establishment')
                     AND ino.scope = 'establishment'
                     AND (ino.scope_value = io.collected_by
                          OR (ino.scope_value = io.scope_value
                              AND substr(io.scope_value, 1, length(io.collected_by) + 1) = io.collected_by || '/')))))
"""


class SqliteReader(Checks, LanesRead, ParkedRead, Scopes, Traces, Runs, Watch):
    """
    A reading connection to `store.db`.

    Args:
        path: The file; it exists.
    """

    def __init__(self, path: Path) -> None:
        """Open the file for reading only."""
        self._connection = open_reader(path)

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def deposits(self, filters: dict[str, str], *, limit: int) -> list[DepositLine]:
        """
        Return decided messages, newest first.

        Args:
            filters: Of `state`, `source`, `establishment`, `patient`, `message`, `document`, `code`, `since`, `until`.
            limit: How many at most.
        """
        conditions = {
            "state": "verdict = ?",
            "source": "source = ?",
            "establishment": "establishment = ?",
            "patient": "patient_value = ?",
            "message": "message_id = ?",
            "document": "EXISTS (SELECT 1 FROM json_each(receipt.document_ids) WHERE json_each.value = ?)",
            "code": "EXISTS (SELECT 1 FROM json_each(receipt.codes) WHERE json_each.value = ?)",
            "since": "received_at >= ?",
            "until": "received_at < ?",
        }
        where = " AND ".join(conditions[name] for name in filters) or "TRUE"
        rows = self._connection.execute(
            f"SELECT {_LINE} FROM receipt WHERE {where} ORDER BY received_at DESC, id DESC LIMIT ?",  # noqa: S608 - constants
            (*filters.values(), limit),
        ).fetchall()
        return [pages.deposit_line(row) for row in rows]

    def deposit(self, receipt: str) -> DepositPage | None:
        """Return all that is known of one message."""
        row = self._connection.execute(f"SELECT {_LINE} FROM receipt WHERE id = ?", (receipt,)).fetchone()  # noqa: S608 - constant
        if row is None:
            return None
        trace = self._connection.execute(
            "SELECT sequence, at, actor, action, receipt, document, verdict, rule, statement FROM trace WHERE receipt = ?"
            " ORDER BY sequence",
            (receipt,),
        )
        return pages.deposit_page(row, trace)

    def record(self, authority: str, value: str, now: datetime) -> RecordPage | None:
        """Return the page of the patient that an identifier names; None if it is unknown here."""
        tx = SqliteTransaction(self._connection, now.isoformat(timespec="microseconds"))
        patient = tx.patient_of(authority, value)
        if patient is None:
            return None
        documents = self._connection.execute(
            "SELECT unique_id, entry, version, state, owner, visibility, withheld, committed_at, receipt FROM document"
            " WHERE patient = ? ORDER BY committed_at, unique_id",
            (patient,),
        )
        tasks = self._connection.execute("SELECT kind FROM task WHERE patient = ? AND done_at IS NULL ORDER BY id", (patient,))
        return pages.record_page(tx, patient, now, documents=documents, tasks=(row[0] for row in tasks))

    def counts(self) -> dict[str, int]:
        """Return how many messages ended in each verdict."""
        return dict(self._connection.execute("SELECT verdict, count(*) FROM receipt GROUP BY verdict ORDER BY verdict"))

    def stored_against_an_opposition(self) -> list[tuple[str, str]]:
        """
        Return (receipt, statement) of every document stored against a binding opposition: the DPO's query, expected empty.

        Source: L4; ARCHITECTURE.md.
        """
        return self._connection.execute(STORED_AGAINST_AN_OPPOSITION).fetchall()


def is_readable(path: Path) -> bool:
    """Tell whether the file is there and is a store of ours."""
    if not path.exists():
        return False
    try:
        with contextlib.closing(open_reader(path)) as connection:
            connection.execute("SELECT 1 FROM receipt LIMIT 1")
    except sqlite3.Error:
        return False
    return True
