"""The list of what a person must look at: every kind with what it asks for, and how a task ends."""

from types import MappingProxyType
from typing import Final

from gateway.model.event import TaskEnding
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.store.outcomes import applied, refused, unchanged
from gateway.store.rows import TraceRow
from gateway.store.transaction import Transaction

#: Every kind of task and what to do about it, for whoever works through the list (D-22).
TO_DO: Final = MappingProxyType(
    {
        "identity.conflict": "Two INS or two records were named as one person's. If so, `record merge`; else tell the sender.",
        "identity.traits": "Deposits were refused: these traits differ from the record's. Find out which side is wrong.",
        "identity.note": "A trait differs a little from the record's; the document was stored. Look whether it is one person.",
        "identity.watch": "An identity was changed in a way that no message may. Compare with INSi.",
        "identity.misfiled": "An identifier left this patient. `record misfiled` lists what was stored under it.",
        "identity.withdrawn": "An establishment took back what it had said of this identity. See `record misfiled`.",
        "merge.undone": "A merge was undone: ask the patient which statements hold, and what is to be done in an emergency.",
        "rights.ask_again": "This allowance was set aside: it came by another file, and this one opposed. Ask the patient again.",
        "patient.tell": "Tell the patient: records were merged, or a document was moved into the record.",
        "document.twice": "Both files had a document of this id. The one of the file that stayed is shown: compare them.",
        "document.doubtful": "It came while two files were one; nothing tells whose it is. `record move` it if it must go.",
        "document.withheld": "An opposition stated earlier came later. Ask its author to delete it, or `record release` it.",
        "document.claimed": "Another establishment sent a document with the id of this one. Ask both which is right.",
        "document.moved": "Deleted or replaced by its owner under the patient it was moved from. Ask whether it must go.",
        "opposition.null": "A sender emptied an opposition. Ask the establishment what the patient said.",
        "opposition.unread": "A sender's statement could not be read. Ask the establishment what the patient said.",
        "opposition.superseded": "An opposition was taken and is not in force: a later statement stands. Ask the patient.",
        "parked.expired": "A parked deposit was kept for its time and is gone. Ask its sender to send it again.",
        "parked.unjudged": "A parked deposit could not be judged again after an opposition. See `deposits show` of its receipt.",
    }
)


def end_task(tx: Transaction, reception: Reception, event: TaskEnding) -> Outcome:
    """
    Write that a task is done, by whom; traced for its patient.

    Returns:
        APPLIED; UNCHANGED if it was done before; REFUSED if there is no such task.

    Source: R-35.
    """
    task = tx.task_of(event.task)
    if task is None:
        return refused(tx, reception, "TASK_UNKNOWN", "R-35")
    if task.done_at is not None:
        return unchanged(tx, reception, "R-35")
    tx.end_task(event.task, event.done_by)
    tx.write_trace(
        TraceRow(
            actor=event.done_by,
            action="task.done",
            receipt=reception.receipt,
            patient=task.patient,
            document=task.document,
            verdict=Verdict.APPLIED.value,
            rule="R-35",
        )
    )
    return applied(tx, reception, "R-35")
