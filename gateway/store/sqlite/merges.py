"""Merges, moved documents and tasks on SQLite."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.rules.versions import State
from gateway.store import columns, filing
from gateway.store.filing import ChoicesRow, FiledDocument, MergeRow, TaskRow
from gateway.store.rows import StoredDocument
from gateway.store.sqlite.base import Base

_MERGE: Final = "SELECT id, absorbed, survivor, merged_at, signed_by, undone_at FROM merge"

#: Whom identifiers of the patients named before, as far as they turned out to be one of them.
_PARTED: Final = (
    "WITH RECURSIVE up (begun, id) AS ("
    " SELECT l.patient, l.patient FROM identifier i JOIN link l ON l.authority = i.authority AND l.value = i.value"
    " WHERE i.patient IN (SELECT value FROM json_each(?))"
    " UNION SELECT up.begun, p.merged_into FROM up JOIN patient p ON p.id = up.id WHERE p.merged_into IS NOT NULL"
    "), now (begun, id) AS (SELECT begun, id FROM up WHERE id IN (SELECT value FROM json_each(?)))"
    " SELECT EXISTS (SELECT 1 FROM merge m JOIN now a ON a.begun = m.absorbed JOIN now s ON s.begun = m.survivor"
    " WHERE m.undone_at IS NOT NULL AND a.id <> s.id)"
)


class Merges(Base):
    """What `gateway.store.transaction_filing` asks for."""

    # -- merges

    def write_merge(self, identifier: str, absorbed: int, survivor: int, signed_by: tuple[str, ...]) -> None:
        """Write that two patients turned out to be one."""
        self._do(
            "INSERT INTO merge (id, absorbed, survivor, merged_at, signed_by) VALUES (?, ?, ?, ?, ?)",
            identifier,
            absorbed,
            survivor,
            self.at,
            msgspec.json.encode(signed_by).decode(),
        )

    def merge_of(self, identifier: str) -> MergeRow | None:
        """Return a merge; both its patients are locked."""
        row = self._one(f"{_MERGE} WHERE id = ?", identifier)
        return None if row is None else filing.merge_row(row)

    def merges_of(self, absorbed: int) -> list[MergeRow]:
        """Return the merges that took a patient away, undone ones too, in their order."""
        return [filing.merge_row(row) for row in self._all(f"{_MERGE} WHERE absorbed = ? ORDER BY merged_at, id", absorbed)]

    def merges_into(self, survivor: int) -> list[tuple[MergeRow, str | None]]:
        """Return the merges that hold of those a patient survived, with the state of each absorbed record, in their order."""
        rows = self._all(
            "SELECT m.id, m.absorbed, m.survivor, m.merged_at, m.signed_by, m.undone_at, r.state"
            " FROM merge m LEFT JOIN record r ON r.patient = m.absorbed"
            " WHERE m.survivor = ? AND m.undone_at IS NULL ORDER BY m.merged_at, m.id",
            survivor,
        )
        return [(filing.merge_row(row), row[6]) for row in rows]

    def parted(self, patients: Sequence[int]) -> bool:
        """Tell whether the undo of a merge separated any of the patients, or of those that turned out to be them since."""
        present = msgspec.json.encode(patients).decode()
        return bool(self._one(_PARTED, present, present)[0])

    def end_merge(self, identifier: str, undone_by: str) -> None:
        """Write that a merge is undone; the absorbed patient is one of its own again."""
        self._do("UPDATE merge SET undone_at = ?, undone_by = ? WHERE id = ?", self.at, undone_by, identifier)
        self._do(
            "UPDATE patient SET merged_into = NULL WHERE id = (SELECT absorbed FROM merge WHERE merge.id = ?)",
            identifier,
        )

    def merged_into(self, patient: int) -> int | None:
        """Return the patient that this one turned out to be."""
        into: int | None = self._one("SELECT merged_into FROM patient WHERE id = ?", patient)[0]
        return into

    def redirected_by(self, receipt: str, patient: int) -> list[tuple[str, str]]:
        """Return the identifiers that an event took from a patient."""
        return self._all(
            "SELECT DISTINCT authority, value FROM link WHERE patient = ? AND ended_by = ? ORDER BY authority, value",
            patient,
            receipt,
        )

    def linked_since(self, patient: int, at: str) -> list[tuple[str, str]]:
        """Return the identifiers that came to name a patient at an instant or later, and still do."""
        return self._all(
            "SELECT authority, value FROM identifier WHERE patient = ? AND since >= ? ORDER BY authority, value", patient, at
        )

    def every_binding(self, patient: int) -> list[str]:
        """Return each statement that ever bound a patient, in the order of their commits."""
        rows = self._all(
            "SELECT s.id FROM statement s WHERE EXISTS (SELECT 1 FROM binding b WHERE b.patient = ? AND b.statement = s.id)"
            " ORDER BY s.sequence",
            patient,
        )
        return [row[0] for row in rows]

    def end_binding(self, statement: str, patient: int, receipt: str) -> None:
        """Let a statement no longer bind a patient, from the commit of the event of `receipt` on."""
        self._do(
            "UPDATE binding SET to_at = ?, ended_by = ? WHERE patient = ? AND statement = ? AND to_at IS NULL",
            self.at,
            receipt,
            patient,
            statement,
        )

    def choices_of(self, patient: int) -> ChoicesRow | None:
        """Return what was chosen about the record of a patient."""
        row = self._one("SELECT state, closed_at, emergency_access FROM record WHERE patient = ?", patient)
        return None if row is None else filing.choices_row(row)

    def set_choices(self, patient: int, choices: ChoicesRow) -> None:
        """Change the state of a record, and what was chosen about it."""
        self._do(
            "UPDATE record SET state = ?, closed_at = ?, emergency_access = ? WHERE patient = ?",
            choices.state,
            choices.closed_at,
            choices.emergency_access,
            patient,
        )

    # -- documents

    def name_document(self, patient: int, unique_id: str, identifiers: Iterable[tuple[str, str]]) -> None:
        """Keep the local identifiers that a document came under."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO document_identifier VALUES (?, ?, ?, ?)",
            [(patient, unique_id, *key) for key in identifiers],
        )

    def filed(self, patient: int) -> list[FiledDocument]:
        """Return every document of a patient, deleted ones too, by its id."""
        rows = self._all(
            "SELECT unique_id, owner, set_id, state, replaced_by, receipt, committed_at, withheld FROM document"
            " WHERE patient = ? ORDER BY unique_id",
            patient,
        )
        return [filing.filed_document(row) for row in rows]

    def documents_and_marks(self, patient: int) -> State:
        """Return every document and tombstone of a patient, deleted ones too, by their ids."""
        known = self._all(
            "SELECT unique_id, owner, set_id, version, state, digest, visibility, replaced_by, receipt, deletion FROM document"
            " WHERE patient = ? ORDER BY unique_id",
            patient,
        )
        marks = self._all(
            "SELECT unique_id, owner, kind, by_id, receipt FROM mark WHERE patient = ? ORDER BY unique_id, owner, kind", patient
        )
        return State(known=tuple(map(columns.known, known)), marks=tuple(map(columns.mark, marks)))

    def stored_documents(self, patient: int, unique_ids: Sequence[str]) -> list[StoredDocument]:
        """Return what tells whether an opposition binds documents."""
        found = (
            self._one("SELECT unique_id, subject FROM document WHERE patient = ? AND unique_id = ?", patient, unique_id)
            for unique_id in sorted(unique_ids)
        )
        return [StoredDocument(unique_id=row[0], subject=columns.decode_subject(row[1])) for row in found if row is not None]

    def came_under(self, patient: int) -> list[tuple[str, str, str]]:
        """Return (unique id, authority, value) of every identifier that the documents of a patient came under."""
        return self._all(
            "SELECT unique_id, authority, value FROM document_identifier WHERE patient = ?"
            " UNION SELECT d.unique_id, r.patient_authority, r.patient_value FROM document d JOIN receipt r ON r.id = d.receipt"
            " WHERE d.patient = ? AND r.patient_value IS NOT NULL ORDER BY 1, 2, 3",
            patient,
            patient,
        )

    def moved_by(self, receipt: str, patient: int) -> list[str]:
        """Return the ids of the documents that an event moved to a patient."""
        rows = self._all(
            "SELECT unique_id FROM document_move WHERE receipt = ? AND to_patient = ? ORDER BY unique_id", receipt, patient
        )
        return [row[0] for row in rows]

    def move_documents(self, unique_ids: Sequence[str], patient: int, to: int, receipt: str) -> None:
        """Move documents, none of which is there yet, with entries, the identifiers they came under, and tasks."""
        each = [(to, patient, unique_id) for unique_id in sorted(unique_ids)]
        for statement in (
            "UPDATE document SET origin = COALESCE(origin, patient), patient = ? WHERE patient = ? AND unique_id = ?",
            "UPDATE entry SET patient = ? WHERE patient = ? AND unique_id = ?",
            "UPDATE document_identifier SET patient = ? WHERE patient = ? AND unique_id = ?",
            "UPDATE task SET patient = ? WHERE patient = ? AND document = ? AND done_at IS NULL",
        ):
            self._connection.executemany(statement, each)
        self._connection.executemany(
            "INSERT INTO document_move VALUES (?, ?, ?, ?, ?)",
            [(receipt, unique_id, patient, to, self.at) for _, _, unique_id in each],
        )

    def moved_away(self, patient: int, unique_id: str) -> bool:
        """Tell whether two persons moved a document from this patient to another one."""
        return bool(
            self._one(
                "SELECT EXISTS (SELECT 1 FROM trace WHERE patient = ? AND document = ? AND action = 'document.moved_away')",
                patient,
                unique_id,
            )[0]
        )

    def share_marks(self, patient: int, to: int, unique_ids: Sequence[str] | None = None) -> None:
        """Let the tombstones of a patient, or those about some documents, count for another one too."""
        for row in self._all("SELECT unique_id, owner, kind, by_id, receipt, committed_at FROM mark WHERE patient = ?", patient):
            if unique_ids is None or row[0] in unique_ids or row[3] in unique_ids:
                self._do("INSERT OR IGNORE INTO mark VALUES (?, ?, ?, ?, ?, ?, ?)", to, *row)

    def release(self, patient: int, unique_id: str) -> None:
        """Show a withheld document again (O-7)."""
        self._do("UPDATE document SET withheld = 0 WHERE patient = ? AND unique_id = ?", patient, unique_id)

    # -- tasks

    def task_of(self, number: int) -> TaskRow | None:
        """Return a task; its patient is locked."""
        row = self._one("SELECT kind, patient, document, done_at FROM task WHERE id = ?", number)
        return None if row is None else filing.task_row(row)

    def is_listed(self, kind: str, patient: int, detail: str | None = None) -> bool:
        """Tell whether such a task is open."""
        return bool(
            self._one(
                "SELECT EXISTS (SELECT 1 FROM task WHERE patient = ? AND kind = ? AND detail IS ? AND done_at IS NULL)",
                patient,
                kind,
                detail,
            )[0]
        )

    def list_task(self, kind: str, receipt: str, patient: int, *, document: str | None = None, detail: str | None = None) -> None:
        """List something that a person must look at, with the names and codes that it is about."""
        self._do(
            "INSERT INTO task (raised_at, kind, receipt, patient, document, detail) VALUES (?, ?, ?, ?, ?, ?)",
            self.at,
            kind,
            receipt,
            patient,
            document,
            detail,
        )

    def end_task(self, number: int, done_by: str) -> None:
        """Write that a task is done, and by whom."""
        self._do("UPDATE task SET done_at = ?, done_by = ? WHERE id = ? AND done_at IS NULL", self.at, done_by, number)

    def end_document_tasks(self, kind: str, patient: int, unique_id: str, done_by: str) -> None:
        """Write that what was to be done about a document is done."""
        self._do(
            "UPDATE task SET done_at = ?, done_by = ? WHERE patient = ? AND kind = ? AND document = ? AND done_at IS NULL",
            self.at,
            done_by,
            patient,
            kind,
            unique_id,
        )
