"""A merge turns out to be wrong: each side gets back what was its own, and every statement goes on binding both (D-1)."""

from typing import NamedTuple

import msgspec

from gateway.model.event import MergeUndo, Position
from gateway.model.outcome import Outcome
from gateway.model.submission import Reception
from gateway.model.verdict import Verdict
from gateway.store.filing import FiledDocument, MergeRow, versions_with
from gateway.store.merging import SIGNERS, carry_over, keep_in_force
from gateway.store.outcomes import applied, refused, signers, unchanged
from gateway.store.rows import TraceRow
from gateway.store.transaction import Transaction


class _Sorted(NamedTuple):
    """The documents of the one that stayed, sorted."""

    #: Go back to the one that was absorbed.
    back: frozenset[str]
    #: Stay, and nobody can tell by their identifiers whose they are.
    doubtful: frozenset[str]


def undo_merge(tx: Transaction, reception: Reception, event: MergeUndo) -> Outcome:
    """
    Undo a merge.

    Identifiers that it redirected go back, unless they were moved elsewhere since; so do the documents that it moved, what came
    since under one of these identifiers, and what replaces or is replaced by such a document. What came since and says nothing of
    whose it is stays, for a person to look at. Each statement that ever bound one binds both, save an allowance of the one that
    would lift what the other opposes.

    Args:
        tx: Holds the locks of both patients, and of those that they turned out to be since.
        reception: Of the command.
        event: Which merge, and who signed.

    Returns:
        APPLIED; UNCHANGED if it was undone before; REFUSED if it is not known, not signed by two, or if a later merge has to be
        undone first.

    Source: D-1.
    """
    signed_by = signers(event.signed_by)
    if len(signed_by) < SIGNERS:
        return refused(tx, reception, "SIGNATURES_MISSING", "D-1")
    merge = tx.merge_of(event.merge)
    if merge is None:
        return refused(tx, reception, "MERGE_UNKNOWN", "D-1")
    if merge.undone_at is not None:
        return unchanged(tx, reception, "D-1")
    holder = _holder(tx, merge)
    if holder is None:
        return refused(tx, reception, "MERGE_FOLLOWED", "D-1")
    back = _redirect_back(tx, reception, merge, holder)
    _documents_back(tx, reception, merge, holder, back)
    _bind_both(tx, reception, merge.absorbed, holder)
    for one, other in ((merge.absorbed, holder), (holder, merge.absorbed)):
        carry_over(tx, one, other, reception.receipt)
    _reopen(tx, merge, holder)
    tx.end_merge(merge.id, " + ".join(signed_by))
    for patient in (holder, merge.absorbed):
        tx.rights_changed(patient)
        tx.list_task("merge.undone", reception.receipt, patient, detail=merge.id)
        tx.write_trace(
            TraceRow(
                actor=" + ".join(signed_by),
                action="patient.unmerged",
                receipt=reception.receipt,
                patient=patient,
                verdict=Verdict.APPLIED.value,
                rule="D-1",
                rights_version=tx.rights_version(patient),
            )
        )
    return applied(tx, reception, "D-1")


def _holder(tx: Transaction, merge: MergeRow) -> int | None:
    """Return who holds now what the merge moved: its survivor, or whom a link made of it; None if a later merge took it away."""
    holder = merge.survivor
    while (into := tx.merged_into(holder)) is not None:
        if any(later.undone_at is None and later.survivor == into for later in tx.merges_of(holder)):
            return None
        holder = into
    return holder


def _redirect_back(tx: Transaction, reception: Reception, merge: MergeRow, holder: int) -> set[tuple[str, str]]:
    """Let the identifiers that the merge took name the absorbed patient again; return them."""
    held = set(tx.identifiers_of(holder))
    back = [key for key in tx.redirected_by(merge.id, merge.absorbed) if key in held]
    for authority, value in back:
        tx.set_identifier(authority, value, merge.absorbed, reception.receipt, because="unmerge")
    return set(back)


def _documents_back(tx: Transaction, reception: Reception, merge: MergeRow, holder: int, back: set[tuple[str, str]]) -> None:
    filed = tx.filed(holder)
    since = {known.unique_id for known in filed if known.committed_at >= merge.merged_at}
    sorted_out = _sort(tx, merge, holder, filed, since=since, back=back)
    there = {known.unique_id for known in tx.filed(merge.absorbed)}
    moving = sorted_out.back - there
    tx.move_documents(sorted(moving), holder, merge.absorbed, reception.receipt)
    for unique_id in sorted((sorted_out.doubtful | sorted_out.back) - moving):
        tx.list_task("document.doubtful", reception.receipt, holder, document=unique_id, detail=merge.id)


def _sort(
    tx: Transaction,
    merge: MergeRow,
    holder: int,
    filed: list[FiledDocument],
    *,
    since: set[str],
    back: set[tuple[str, str]],
) -> _Sorted:
    moved = set(tx.moved_by(merge.id, merge.survivor))
    under: dict[str, set[tuple[str, str]]] = {known.unique_id: set() for known in filed}
    for unique_id, authority, value in tx.came_under(holder):
        under[unique_id].add((authority, value))
    going = {known.unique_id for known in filed if known.unique_id in moved}
    going |= {unique_id for unique_id in since if under[unique_id] & back}
    going |= versions_with(filed, going) & since
    # A local identifier that named the one that stayed before the merge tells whose a document is.
    own = set(tx.identifiers_of(holder)) - set(tx.linked_since(holder, merge.merged_at))
    local = {key for key in own if "/" in key[0]}
    doubtful = {unique_id for unique_id in since - going if not under[unique_id] & local}
    if tx.record_of(merge.absorbed) is None:
        # Nothing is filed where no record is: what came since stays, and a person is told of what carries the other's number.
        kept = going & since
        return _Sorted(back=frozenset(going - kept), doubtful=frozenset(kept))
    return _Sorted(back=frozenset(going), doubtful=frozenset(doubtful))


def _bind_both(tx: Transaction, reception: Reception, one: int, other: int) -> None:
    """
    Let each statement that ever bound one of two patients bind both; but what one opposes no allowance of the other lifts.

    An allowance is that of the side by whose identifiers it came; one that came by those of both is of neither.
    """
    every = dict.fromkeys((*tx.every_binding(one), *tx.every_binding(other)))
    for patient in (one, other):
        bound = {binding.statement for binding in tx.bindings_of(patient)}
        for statement in every:
            if statement not in bound:
                tx.bind(statement, patient, "unmerge", reception.receipt)
    named = {patient: set(tx.named_under(one, tx.identifiers_of(patient))) for patient in (one, other)}
    for patient, beside in ((one, other), (other, one)):
        said = named[patient] - named[beside]
        own = (held for held in tx.held_by((patient,)) if held.statement.position is Position.OPPOSES or held.id in said)
        keep_in_force(tx, reception, patient, tuple(own))


def _reopen(tx: Transaction, merge: MergeRow, holder: int) -> None:
    """
    Open the record again that nothing but the merge closed; what the patient closed since is closed on both sides.

    The answer for emergencies stays the more protective one.
    """
    choices = tx.choices_of(holder)
    if choices is None or choices.state != "closed" or choices.closed_at is None:
        return
    others = [(other, state) for other, state in tx.merges_into(holder) if other.id != merge.id]
    if choices.closed_at == merge.merged_at:
        closing = next((other.merged_at for other, state in others if state == "closed"), None)
        # Another merge that holds closes it as well: it is open again when that one is undone too.
        state = "open" if closing is None else "closed"
        tx.set_choices(holder, msgspec.structs.replace(choices, state=state, closed_at=closing))
    elif choices.closed_at > merge.merged_at and not any(other.merged_at == choices.closed_at for other, _ in others):
        theirs = tx.choices_of(merge.absorbed)
        if theirs is not None and theirs.state == "open":
            tx.set_choices(merge.absorbed, msgspec.structs.replace(theirs, state="closed", closed_at=choices.closed_at))
