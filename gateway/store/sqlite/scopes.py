"""What oppositions name, on SQLite: for whoever looks for one that binds nobody."""

import sqlite3
from typing import Final

OPPOSED_SCOPES: Final = """
    WITH stated AS (
        SELECT b.patient, s.position, s.ordered_at, s.received_at, s.written_at,
               json_extract(s.statement, '$.side') AS side,
               json_extract(s.statement, '$.collected_by') AS collected_by,
               json_extract(s.statement, '$.scope') AS scope,
               json_extract(s.statement, '$.scope_value') AS scope_value
        FROM statement s JOIN binding b ON b.statement = s.id
        WHERE s.right = 'feeding' AND b.to_at IS NULL
    )
    SELECT scope, scope_value, count(DISTINCT patient) FROM stated io
    WHERE position = 'opposes' AND scope_value IS NOT NULL
      AND NOT EXISTS (
          SELECT 1 FROM stated ino
          WHERE ino.patient = io.patient AND ino.position = 'allows' AND ino.side = io.side AND ino.scope = io.scope
            AND ino.scope_value = io.scope_value AND (io.side = 'patient' OR ino.collected_by = io.collected_by)
            AND ino.ordered_at > io.ordered_at
            AND (ino.received_at > io.received_at OR ino.ordered_at >= io.written_at))
    GROUP BY scope, scope_value ORDER BY scope, scope_value
"""


class Scopes:
    """A part of `gateway.store.reader.Reader`."""

    _connection: sqlite3.Connection

    def opposed_scopes(self) -> list[tuple[str, str, int]]:
        """Return (scope, what it names, how many patients) of the oppositions to feeding that their own side has not lifted."""
        return self._connection.execute(OPPOSED_SCOPES).fetchall()
