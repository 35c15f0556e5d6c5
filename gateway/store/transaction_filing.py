"""What merges, moved documents and tasks ask of an open transaction, whatever the database behind it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.rules.versions import State
from gateway.store.filing import ChoicesRow, FiledDocument, MergeRow, TaskRow
from gateway.store.rows import StoredDocument


class Filing(Protocol):
    """The part of `gateway.store.transaction.Transaction` that says whose a file and its documents are (D-1)."""

    # -- merges

    def write_merge(self, identifier: str, absorbed: int, survivor: int, signed_by: tuple[str, ...]) -> None:
        """Write that two patients turned out to be one."""
        ...

    def merge_of(self, identifier: str) -> MergeRow | None:
        """Return a merge; both its patients are locked."""
        ...

    def merges_of(self, absorbed: int) -> list[MergeRow]:
        """Return the merges that took a patient away, undone ones too, in their order."""
        ...

    def merges_into(self, survivor: int) -> list[tuple[MergeRow, str | None]]:
        """
        Return the merges that hold of those a patient survived, with the state of each absorbed record, in their order.

        The survivor's lock protects both: a merge is undone, and its absorbed record changed, under that lock alone.
        """
        ...

    def parted(self, patients: Sequence[int]) -> bool:
        """
        Tell whether the undo of a merge separated any of the patients, or of those that turned out to be them since.

        The locks of the patients protect it: who turns out to be one of them does so under that one's lock.
        """
        ...

    def end_merge(self, identifier: str, undone_by: str) -> None:
        """Write that a merge is undone; the absorbed patient is one of its own again."""
        ...

    def merged_into(self, patient: int) -> int | None:
        """Return the patient that this one turned out to be."""
        ...

    def redirected_by(self, receipt: str, patient: int) -> list[tuple[str, str]]:
        """Return the identifiers that an event took from a patient."""
        ...

    def linked_since(self, patient: int, at: str) -> list[tuple[str, str]]:
        """Return the identifiers that came to name a patient at an instant or later, and still do."""
        ...

    def every_binding(self, patient: int) -> list[str]:
        """Return each statement that ever bound a patient, in the order of their commits."""
        ...

    def end_binding(self, statement: str, patient: int, receipt: str) -> None:
        """Let a statement no longer bind a patient, from the commit of the event of `receipt` on."""
        ...

    def choices_of(self, patient: int) -> ChoicesRow | None:
        """Return what was chosen about the record of a patient."""
        ...

    def set_choices(self, patient: int, choices: ChoicesRow) -> None:
        """Change the state of a record, and what was chosen about it."""
        ...

    # -- documents

    def name_document(self, patient: int, unique_id: str, identifiers: Iterable[tuple[str, str]]) -> None:
        """Keep the local identifiers that a document came under."""
        ...

    def filed(self, patient: int) -> list[FiledDocument]:
        """Return every document of a patient, deleted ones too, by its id."""
        ...

    def documents_and_marks(self, patient: int) -> State:
        """Return every document and tombstone of a patient, deleted ones too, by their ids."""
        ...

    def stored_documents(self, patient: int, unique_ids: Sequence[str]) -> list[StoredDocument]:
        """Return what tells whether an opposition binds documents."""
        ...

    def came_under(self, patient: int) -> list[tuple[str, str, str]]:
        """Return (unique id, authority, value) of every identifier that the documents of a patient came under."""
        ...

    def moved_by(self, receipt: str, patient: int) -> list[str]:
        """Return the ids of the documents that an event moved to a patient."""
        ...

    def move_documents(self, unique_ids: Sequence[str], patient: int, to: int, receipt: str) -> None:
        """Move documents, none of which is there yet, with entries, the identifiers they came under, and tasks."""
        ...

    def moved_away(self, patient: int, unique_id: str) -> bool:
        """Tell whether two persons moved a document from this patient to another one."""
        ...

    def share_marks(self, patient: int, to: int, unique_ids: Sequence[str] | None = None) -> None:
        """Let the tombstones of a patient, or those about some documents, count for another one too."""
        ...

    def release(self, patient: int, unique_id: str) -> None:
        """Show a withheld document again (O-7)."""
        ...

    # -- tasks

    def task_of(self, number: int) -> TaskRow | None:
        """Return a task; its patient is locked."""
        ...

    def is_listed(self, kind: str, patient: int, detail: str | None = None) -> bool:
        """Tell whether such a task is open."""
        ...

    def list_task(self, kind: str, receipt: str, patient: int, *, document: str | None = None, detail: str | None = None) -> None:
        """List something that a person must look at, with the names and codes that it is about."""
        ...

    def end_task(self, number: int, done_by: str) -> None:
        """Write that a task is done, and by whom."""
        ...

    def end_document_tasks(self, kind: str, patient: int, unique_id: str, done_by: str) -> None:
        """Write that what was to be done about a document is done."""
        ...
