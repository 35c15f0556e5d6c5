"""Rows as the lines that identity watch sees, the same for every database."""

from typing import Any, Final

import msgspec

from gateway.model.document import DocumentEntry
from gateway.store.tasks import TO_DO
from gateway.store.watch_views import MisfiledLine, TaskLine

_ENTRY: Final = msgspec.json.Decoder(DocumentEntry)

#: What `tasks` may be asked by.
TASK_FILTERS: Final = ("kind", "patient", "document", "since", "until")


def task_line(row: Any) -> TaskLine:
    """Return a line from (id, kind, since, patient, document, detail, receipt, done at, done by)."""
    return TaskLine(
        id=row[0],
        kind=row[1],
        since=row[2],
        patient=row[3],
        document=row[4],
        detail=row[5],
        receipt=row[6],
        to_do=TO_DO.get(row[1], ""),
        done_at=row[7],
        done_by=row[8],
    )


def misfiled_line(row: Any) -> MisfiledLine:
    """Return a line from (unique_id, entry, state, owner, withheld, committed at, receipt, patient, linked until, ended by)."""
    entry = _ENTRY.decode(row[1])
    return MisfiledLine(
        unique_id=row[0],
        title=entry.title,
        type_code=entry.type_code.code,
        creation_time=entry.creation_time.iso,
        state=row[2],
        owner=row[3],
        withheld=bool(row[4]),
        committed_at=row[5],
        receipt=row[6],
        patient=row[7],
        linked_until=row[8],
        ended_by=row[9],
    )
