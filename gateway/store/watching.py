"""What identity watch does to files, documents and its own list: one event each (D-1)."""

from gateway.model.event import DocumentMove, DocumentRelease, FileMerge, MergeUndo, TaskEnding
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.store.merging import merge_files
from gateway.store.moving import move_document, release_document
from gateway.store.tasks import end_task
from gateway.store.transaction import Transaction
from gateway.store.unmerging import undo_merge

#: The events that this file knows.
Watched = FileMerge | MergeUndo | DocumentMove | DocumentRelease | TaskEnding


def apply_watched(tx: Transaction, reception: Reception, event: Watched) -> Outcome:
    """Apply an event of identity watch and return what became of it."""
    match event:
        case FileMerge():
            return merge_files(tx, reception, event)
        case MergeUndo():
            return undo_merge(tx, reception, event)
        case DocumentMove():
            return move_document(tx, reception, event)
        case DocumentRelease():
            return release_document(tx, reception, event)
        case TaskEnding():
            return end_task(tx, reception, event)
