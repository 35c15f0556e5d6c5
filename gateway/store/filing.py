"""Rows of merges, moved documents and tasks, the same for every backend."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from gateway.model.base import Model

_NAMES = msgspec.json.Decoder(tuple[str, ...])


class MergeRow(Model, frozen=True, kw_only=True):
    """Two patients that turned out to be one."""

    #: The receipt of the event that merged them.
    id: str
    absorbed: int
    survivor: int
    merged_at: str
    signed_by: tuple[str, ...]
    undone_at: str | None = None


class FiledDocument(Model, frozen=True, kw_only=True):
    """A document as far as it matters where it is filed: no content."""

    unique_id: str
    owner: str
    set_id: str | None
    state: str
    #: uniqueId of the document that names this one as replaced.
    replaced_by: str | None
    receipt: str
    committed_at: str
    withheld: bool


class ChoicesRow(Model, frozen=True, kw_only=True):
    """What was chosen about a record: the part that a merge makes more protective."""

    #: `open`, `closed` or `destroyed`.
    state: str
    closed_at: str | None
    #: R-05: 1 yes, 0 no, None not asked.
    emergency_access: int | None


class TaskRow(Model, frozen=True, kw_only=True):
    """Something that a person must look at."""

    kind: str
    patient: int | None
    document: str | None
    done_at: str | None


def merge_row(row: Any) -> MergeRow:
    """Return a merge from (id, absorbed, survivor, merged_at, signed_by as JSON, undone_at)."""
    return MergeRow(
        id=row[0],
        absorbed=row[1],
        survivor=row[2],
        merged_at=row[3],
        signed_by=_NAMES.decode(row[4]),
        undone_at=row[5],
    )


def filed_document(row: Any) -> FiledDocument:
    """Return a document from (unique_id, owner, set_id, state, replaced_by, receipt, committed_at, withheld)."""
    return FiledDocument(
        unique_id=row[0],
        owner=row[1],
        set_id=row[2],
        state=row[3],
        replaced_by=row[4],
        receipt=row[5],
        committed_at=row[6],
        withheld=bool(row[7]),
    )


def choices_row(row: Any) -> ChoicesRow:
    """Return choices from (state, closed_at, emergency_access)."""
    return ChoicesRow(state=row[0], closed_at=row[1], emergency_access=row[2])


def task_row(row: Any) -> TaskRow:
    """Return a task from (kind, patient, document, done_at)."""
    return TaskRow(kind=row[0], patient=row[1], document=row[2], done_at=row[3])


def versions_with(filed: Iterable[FiledDocument], begun: Collection[str]) -> set[str]:
    """
    Return the documents that are versions of one another with any of some: of one set, or one names the other as replaced.

    Args:
        filed: The documents of a patient.
        begun: Ids of those to begin with.

    Returns:
        Their ids, those of `begun` that are filed among them.
    """
    every = tuple(filed)
    found = {known.unique_id for known in every if known.unique_id in begun}
    while True:
        sets = {(known.owner, known.set_id) for known in every if known.unique_id in found and known.set_id is not None}
        names = {known.replaced_by for known in every if known.unique_id in found}
        more = {
            known.unique_id
            for known in every
            if known.unique_id in names or known.replaced_by in found or (known.owner, known.set_id) in sets
        }
        if more <= found:
            return found
        found |= more
