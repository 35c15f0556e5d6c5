"""Merges, moved documents and tasks on PostgreSQL: written at once, for only events change them."""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.rules.versions import State
from gateway.store import columns, filing
from gateway.store.filing import ChoicesRow, FiledDocument, MergeRow, TaskRow
from gateway.store.postgres.reading import Rights
from gateway.store.postgres.session import Session
from gateway.store.postgres.writing import Writes
from gateway.store.rows import StoredDocument


class Merges:
    """What `gateway.store.transaction_filing` asks for."""

    at: str
    _session: Session
    _rights: Rights
    _writes: Writes

    # -- merges

    def write_merge(self, identifier: str, absorbed: int, survivor: int, signed_by: tuple[str, ...]) -> None:
        """Write that two patients turned out to be one."""
        both = (self._rights.require_lock(absorbed), self._rights.require_lock(survivor))
        self._session.run("write_merge", (identifier, *both, self.at, msgspec.json.encode(signed_by).decode()))

    def merge_of(self, identifier: str) -> MergeRow | None:
        """Return a merge; both its patients are locked."""
        row = self._session.one("read_merge", (identifier,))
        if row is None:
            return None
        merge = filing.merge_row(row)
        self._rights.require_lock(merge.absorbed)
        self._rights.require_lock(merge.survivor)
        return merge

    def merges_of(self, absorbed: int) -> list[MergeRow]:
        """Return the merges that took a patient away, undone ones too, in their order."""
        rows = self._session.all("merges_of_patient", (self._rights.require_lock(absorbed),))
        return [filing.merge_row(row) for row in rows]

    def merges_into(self, survivor: int) -> list[tuple[MergeRow, str | None]]:
        """Return the merges that hold of those a patient survived, with the state of each absorbed record, in their order."""
        rows = self._session.all("merges_into_patient", (self._rights.require_lock(survivor),))
        return [(filing.merge_row(row), row[6]) for row in rows]

    def parted(self, patients: Sequence[int]) -> bool:
        """Tell whether the undo of a merge separated any of the patients, or of those that turned out to be them since."""
        present = [self._rights.require_lock(patient) for patient in patients]
        row = self._session.one("patients_parted", (present, present))
        return row is not None and bool(row[0])

    def end_merge(self, identifier: str, undone_by: str) -> None:
        """Write that a merge is undone; the absorbed patient is one of its own again."""
        merge = self.merge_of(identifier)
        self._session.run("end_merge", (self.at, undone_by, identifier))
        if merge is not None:
            self._session.run("merge_patient", (None, merge.absorbed))

    def merged_into(self, patient: int) -> int | None:
        """Return the patient that this one turned out to be."""
        row = self._session.one("patient_merged_into", (self._rights.require_lock(patient),))
        return None if row is None else row[0]

    def redirected_by(self, receipt: str, patient: int) -> list[tuple[str, str]]:
        """Return the identifiers that an event took from a patient."""
        rows = self._session.all("identifiers_redirected", (self._rights.require_lock(patient), receipt))
        return [(row[0], row[1]) for row in rows]

    def linked_since(self, patient: int, at: str) -> list[tuple[str, str]]:
        """Return the identifiers that came to name a patient at an instant or later, and still do."""
        rows = self._session.all("identifiers_since", (self._rights.require_lock(patient), at))
        return [(row[0], row[1]) for row in rows]

    def every_binding(self, patient: int) -> list[str]:
        """Return each statement that ever bound a patient, in the order of their commits."""
        return [row[0] for row in self._session.all("every_binding", (self._rights.require_lock(patient),))]

    def end_binding(self, statement: str, patient: int, receipt: str) -> None:
        """Let a statement no longer bind a patient, from the commit of the event of `receipt` on."""
        self._session.run("end_binding", (self.at, receipt, self._rights.require_lock(patient), statement))
        self._rights.changed(patient)

    def choices_of(self, patient: int) -> ChoicesRow | None:
        """Return what was chosen about the record of a patient."""
        row = self._session.one("read_choices", (self._rights.require_lock(patient),))
        return None if row is None else filing.choices_row(row)

    def set_choices(self, patient: int, choices: ChoicesRow) -> None:
        """Change the state of a record, and what was chosen about it."""
        locked = self._rights.require_lock(patient)
        self._session.run("set_choices", (choices.state, choices.closed_at, choices.emergency_access, locked))
        self._rights.changed(patient)

    # -- documents

    def name_document(self, patient: int, unique_id: str, identifiers: Iterable[tuple[str, str]]) -> None:
        """Keep the local identifiers that a document came under."""
        self._rights.require_lock(patient)
        self._writes.name_document(patient, unique_id, identifiers)

    def filed(self, patient: int) -> list[FiledDocument]:
        """Return every document of a patient, deleted ones too, by its id."""
        rows = self._session.all("filed_documents", (self._rights.require_lock(patient),))
        return [filing.filed_document(row) for row in rows]

    def documents_and_marks(self, patient: int) -> State:
        """Return every document and tombstone of a patient, deleted ones too, by their ids."""
        locked = (self._rights.require_lock(patient),)
        known, marks = self._session.all("documents_of_patient", locked), self._session.all("marks_of_patient", locked)
        return State(known=tuple(map(columns.known, known)), marks=tuple(map(columns.mark, marks)))

    def stored_documents(self, patient: int, unique_ids: Sequence[str]) -> list[StoredDocument]:
        """Return what tells whether an opposition binds documents."""
        rows = self._session.all("subjects_of_documents", (self._rights.require_lock(patient), list(unique_ids)))
        return [StoredDocument(unique_id=row[0], subject=columns.decode_subject(row[1])) for row in rows]

    def came_under(self, patient: int) -> list[tuple[str, str, str]]:
        """Return (unique id, authority, value) of every identifier that the documents of a patient came under."""
        rows = self._session.all("documents_came_under", (self._rights.require_lock(patient), patient))
        return [(row[0], row[1], row[2]) for row in rows]

    def moved_by(self, receipt: str, patient: int) -> list[str]:
        """Return the ids of the documents that an event moved to a patient."""
        rows = self._session.all("documents_moved_by", (receipt, self._rights.require_lock(patient)))
        return [row[0] for row in rows]

    def move_documents(self, unique_ids: Sequence[str], patient: int, to: int, receipt: str) -> None:
        """Move documents, none of which is there yet, with entries, the identifiers they came under, and tasks."""
        ids = sorted(unique_ids)
        if not ids:
            return
        places = (self._rights.require_lock(to), self._rights.require_lock(patient))
        for name in ("move_documents", "move_entries", "move_document_identifiers", "move_document_tasks"):
            self._session.run(name, (*places, ids))
        self._session.run("note_moves", (receipt, ids, patient, to, self.at))

    def moved_away(self, patient: int, unique_id: str) -> bool:
        """Tell whether two persons moved a document from this patient to another one."""
        row = self._session.one("document_moved_away", (self._rights.require_lock(patient), unique_id))
        return row is not None and bool(row[0])

    def share_marks(self, patient: int, to: int, unique_ids: Sequence[str] | None = None) -> None:
        """Let the tombstones of a patient, or those about some documents, count for another one too."""
        names = None if unique_ids is None else list(unique_ids)
        places = (self._rights.require_lock(to), self._rights.require_lock(patient))
        self._session.run("share_marks", (*places, names, names, names))

    def release(self, patient: int, unique_id: str) -> None:
        """Show a withheld document again (O-7)."""
        self._session.run("release", (self._rights.require_lock(patient), unique_id))

    # -- tasks

    def task_of(self, number: int) -> TaskRow | None:
        """Return a task; its patient is locked."""
        row = self._session.one("read_task", (number,))
        if row is None:
            return None
        task = filing.task_row(row)
        if task.patient is not None:
            self._rights.require_lock(task.patient)
        return task

    def is_listed(self, kind: str, patient: int, detail: str | None = None) -> bool:
        """Tell whether such a task is open."""
        row = self._session.one("is_listed", (self._rights.require_lock(patient), kind, detail))
        return row is not None and bool(row[0])

    def list_task(self, kind: str, receipt: str, patient: int, *, document: str | None = None, detail: str | None = None) -> None:
        """List something that a person must look at, with the names and codes that it is about."""
        self._session.run("list_task", (self.at, kind, receipt, self._rights.require_lock(patient), document, detail))

    def end_task(self, number: int, done_by: str) -> None:
        """Write that a task is done, and by whom."""
        self._session.run("end_task", (self.at, done_by, number))

    def end_document_tasks(self, kind: str, patient: int, unique_id: str, done_by: str) -> None:
        """Write that what was to be done about a document is done."""
        locked = self._rights.require_lock(patient)
        self._session.run("end_document_tasks", (self.at, done_by, locked, kind, unique_id))
