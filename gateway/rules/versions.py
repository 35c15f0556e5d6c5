"""
Documents that converge: which is current, replaced or deleted, whatever order their messages arrive in (D-5).

Three facts make a state, and each is kept where it was learnt, so that no order loses one: a document *names* the one that it
replaces (`Known.replaced_by`, or a `Mark` while that one is unknown); a document has a higher version in its set; a deletion
names a document (`Known.state`, or a `Mark`). Deleted outweighs replaced, replaced outweighs current; neither is ever taken back.

Only a document that another one *names* is stale: one that merely has a higher version above it may still be replaced or deleted
by an act that was sent before that version and arrives after it.
"""

import enum
from collections.abc import Collection, Iterable

import msgspec

from gateway.model.base import Model
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.rules.decision import Decision


class Life(enum.StrEnum):
    """The life of a document. Source: R-19."""

    CURRENT = "current"
    #: In the history: a later version is, or was, there.
    REPLACED = "replaced"
    #: Head, hash and trace stay; bytes and entries are not shown, and are not kept if they come after the deletion.
    DELETED = "deleted"


class Known(Model, frozen=True, kw_only=True):
    """A document of the patient as the store holds it, deleted ones included."""

    unique_id: str
    #: Key of the establishment whose source deposited it (D-4).
    owner: str
    set_id: str | None = None
    version: int | None = None
    state: Life
    #: SHA-256 of the document's bytes, hexadecimal; outlives the bytes.
    digest: str
    #: MASQUE_PS, INVISIBLE_PATIENT, INVISIBLE_REP_LEGAUX of its deposit (D-6).
    visibility: tuple[bool, bool, bool] = (False, False, False)
    #: uniqueId of the document that names this one as replaced; None if only a higher version did, or nothing.
    replaced_by: str | None = None
    #: Receipt of the deposit that brought it.
    receipt: str = ""
    #: Receipt of the deletion.
    deletion: str | None = None


class Marked(enum.StrEnum):
    """What a tombstone says of a document that is not there."""

    REPLACED = "replaced"
    DELETED = "deleted"


class Mark(Model, frozen=True, kw_only=True):
    """A tombstone: what was asked of a document before it came. Of no effect on another establishment's document (D-5)."""

    unique_id: str
    #: Key of the establishment that asked.
    owner: str
    kind: Marked
    #: Replaced: uniqueId of the document that names it.
    by: str | None = None
    #: Receipt of the deposit that left it.
    receipt: str = ""


class State(Model, frozen=True, kw_only=True):
    """What the store holds of one patient's documents, as far as a submission touches it (`deposit.touched`)."""

    known: tuple[Known, ...] = ()
    marks: tuple[Mark, ...] = ()

    def find(self, unique_id: str) -> Known | None:
        """Return the document of that id, or None."""
        return next((known for known in self.known if known.unique_id == unique_id), None)

    def mark(self, unique_id: str, owner: str, kind: Marked) -> Mark | None:
        """Return the owner's tombstone of that kind for that id, or None."""
        return next((m for m in self.marks if (m.unique_id, m.owner, m.kind) == (unique_id, owner, kind)), None)


class Arrival(Model, frozen=True, kw_only=True):
    """What the rules need to know of one document of a submission."""

    act: Act
    #: Deletion: the id of the document to delete.
    unique_id: str
    #: Key of the depositing source's establishment.
    owner: str
    set_id: str | None = None
    version: int | None = None
    #: uniqueIds that it names as replaced.
    replaces: tuple[str, ...] = ()
    digest: str = ""
    visibility: tuple[bool, bool, bool] = (False, False, False)
    type_code: str = ""
    class_code: str | None = None
    #: Numbers of its authors, its legal authenticator and its sender (R-14).
    professionals: tuple[str, ...] = ()
    #: Its only author is the patient (O-14).
    by_patient: bool = False
    receipt: str = ""


class VersionDecision(Model, frozen=True, kw_only=True):
    """What becomes of one document, and what to write; a refusal or a duplicate writes nothing."""

    decision: Decision
    #: Codes of the warnings: PARENT_UNKNOWN, TARGET_UNKNOWN.
    warnings: tuple[str, ...] = ()
    #: Duplicate: receipt of the deposit whose outcome stands.
    first: str | None = None
    #: The new document; deleted: without bytes and entries.
    insert: Known | None = None
    #: Documents that change, as they become.
    update: tuple[Known, ...] = ()
    #: Tombstones to leave.
    leave: tuple[Mark, ...] = ()
    #: Refused because another establishment deposited a document of this id: one of the two sent what is not its own.
    claimed: bool = False


_STORED = Decision(verdict=Verdict.STORED, rule="D-5", because="It is the latest version known.")
_HISTORY = Decision(verdict=Verdict.REPLACED, rule="D-5", because="A later version was there already: it goes to the history.")
_AFTER_DELETION = Decision(
    verdict=Verdict.DELETED, rule="D-5", because="Its deletion came first: it goes to the history without its bytes."
)
_DELETED = Decision(verdict=Verdict.DELETED, rule="R-19", because="Its owner deletes it: it is no longer shown, the trace stays.")
_DELETED_UNKNOWN = Decision(
    verdict=Verdict.DELETED, rule="D-5", because="The document is not known; should it come later, it will not be shown."
)
_SAME = Decision(
    verdict=Verdict.DUPLICATE, rule="D-6", because="The same document was deposited before: its first outcome stands."
)
_DELETED_BEFORE = Decision(
    verdict=Verdict.DUPLICATE, rule="D-6", because="The document was deleted before: the outcome of that deletion stands."
)
_OTHER = Decision(
    verdict=Verdict.REFUSED,
    problem="OTHER_CONTENT",
    rule="D-6",
    because="A document of this id was deposited before with other bytes or other visibility.",
)
_NOT_AUTHOR = Decision(
    verdict=Verdict.REFUSED,
    problem="NOT_AUTHOR",
    rule="D-4",
    because="The document named was deposited by another establishment.",
)
_CLAIMED = Decision(
    verdict=Verdict.REFUSED,
    problem="NOT_AUTHOR",
    rule="D-4",
    because="A document of this id was deposited by another establishment; a person must tell whose it is.",
)
_STALE = Decision(
    verdict=Verdict.REFUSED,
    problem="VERSION_STALE",
    rule="D-5",
    because="Another document has already replaced the one named.",
)
_SAME_VERSION = Decision(
    verdict=Verdict.REFUSED,
    problem="VERSION_STALE",
    rule="D-5",
    because="Another document already has this version number in this set.",
)
_OUTCOMES = {Life.CURRENT: _STORED, Life.REPLACED: _HISTORY, Life.DELETED: _AFTER_DELETION}


def repeated(arrival: Arrival, state: State) -> VersionDecision | None:
    """
    Tell whether an add or replace brings an id that is known already; the first of the store's tests.

    Bytes (by their hash) and the three flags of visibility are compared, nothing else. The act is not: the same document sent
    once as new and once as a replacement is the same document, and names the same parents in both.

    Only the owner's own document is repeated. Another establishment that brings the id is no duplicate, whatever its bytes: it
    would be told that its document is stored, and could never replace or delete it. `decide` refuses it (NOT_AUTHOR) in its turn,
    after the record and the oppositions, and a person is asked whose document it is. Which of two establishments that send one
    id comes first is the one thing about documents that depends on the order of arrival: the convergence of D-5 is that of
    histories in which an id has one owner.

    Args:
        arrival: The document.
        state: The patient's documents.

    Returns:
        `duplicate` with the first receipt, the refusal OTHER_CONTENT, or None: the id is new or another establishment's, or the
        act is a deletion.

    Source: D-4, D-6; CI-SIS, relatedDocument.
    """
    twin = state.find(arrival.unique_id)
    if twin is None or twin.owner != arrival.owner or arrival.act is Act.DELETE:
        return None
    if (twin.digest, twin.visibility) == (arrival.digest, arrival.visibility):
        return VersionDecision(decision=_SAME, first=twin.receipt)
    return VersionDecision(decision=_OTHER)


def decide(arrival: Arrival, state: State) -> VersionDecision:
    """
    Decide what becomes of one document and of those that it touches.

    Order of the tests: D-6; then NOT_AUTHOR before VERSION_STALE, so that a stranger learns nothing of another's versions.

    A document named as its own parent is not counted. A replacement that names a current document of its own set becomes current
    even with a lower number: the parent's id counts before the set (CI-SIS, relatedDocument).

    Args:
        arrival: The document, or the deletion's target.
        state: Every document and tombstone of the patient that has this id, an id in `replaces`, or this owner and set.

    Returns:
        Verdict `stored`, `replaced` (to the history), `deleted`, `duplicate` or `refused`, with what to write.

    Source: D-4, D-5, D-6; R-19; CI-SIS, relatedDocument.
    """
    if arrival.act is Act.DELETE:
        return _delete(arrival, state)
    return repeated(arrival, state) or _refusal(arrival, state) or _take(arrival, state)


def apply(state: State, decision: VersionDecision) -> State:
    """Return the state after the decision was written: what the next document is decided on."""
    changed = {known.unique_id: known for known in decision.update}
    known = tuple(changed.get(row.unique_id, row) for row in state.known)
    if decision.insert is not None:
        known += (decision.insert,)
    return State(known=known, marks=state.marks + decision.leave)


def settled(state: State, came: Collection[str]) -> tuple[Known, ...]:
    """
    Return the documents that change, as they become, where the documents and tombstones of two records came together.

    Each document was decided on in the record where it arrived; what deletes or replaces it may have arrived in the other.

    Args:
        state: Every document and tombstone of the patient that both came to.
        came: Ids of the documents that were in the other record.

    Source: D-1, D-5.
    """
    every = ((known, _settled(known, state, came)) for known in state.known if known.state is not Life.DELETED)
    return tuple(after for before, after in every if before != after)


def _settled(known: Known, state: State, came: Collection[str]) -> Known:
    replaced = state.mark(known.unique_id, known.owner, Marked.REPLACED)
    if replaced is not None and known.replaced_by is None:
        known = msgspec.structs.replace(known, state=Life.REPLACED, replaced_by=replaced.by)
    deleted = state.mark(known.unique_id, known.owner, Marked.DELETED)
    if deleted is not None:
        return msgspec.structs.replace(known, state=Life.DELETED, deletion=deleted.receipt)
    beside = (p for p in state.known if known.set_id is not None and (p.unique_id in came) != (known.unique_id in came))
    peers = tuple(peer for peer in beside if (peer.owner, peer.set_id) == (known.owner, known.set_id))
    if any(peer.replaced_by == known.unique_id and not _above(known.version, peer.version) for peer in peers):
        return known  # the name of what it replaces counted before the number
    higher = any(_above(peer.version, known.version) for peer in peers)
    return msgspec.structs.replace(known, state=Life.REPLACED) if higher else known


def _delete(arrival: Arrival, state: State) -> VersionDecision:
    target = state.find(arrival.unique_id)
    if target is None:
        return _delete_unknown(arrival, state)
    if target.owner != arrival.owner:
        return VersionDecision(decision=_NOT_AUTHOR)
    if target.state is Life.DELETED:
        return VersionDecision(decision=_DELETED_BEFORE, first=target.deletion)
    if target.replaced_by is not None:
        return VersionDecision(decision=_STALE)
    gone = msgspec.structs.replace(target, state=Life.DELETED, deletion=arrival.receipt)
    return VersionDecision(decision=_DELETED, update=(gone,))


def _delete_unknown(arrival: Arrival, state: State) -> VersionDecision:
    before = state.mark(arrival.unique_id, arrival.owner, Marked.DELETED)
    if before is not None:
        return VersionDecision(decision=_DELETED_BEFORE, first=before.receipt)
    if state.mark(arrival.unique_id, arrival.owner, Marked.REPLACED) is not None:
        return VersionDecision(decision=_STALE)
    mark = Mark(unique_id=arrival.unique_id, owner=arrival.owner, kind=Marked.DELETED, receipt=arrival.receipt)
    return VersionDecision(decision=_DELETED_UNKNOWN, warnings=("TARGET_UNKNOWN",), leave=(mark,))


def _refusal(arrival: Arrival, state: State) -> VersionDecision | None:
    if state.find(arrival.unique_id) is not None:
        # Its own would be repeated: it is another establishment's.
        return VersionDecision(decision=_CLAIMED, claimed=True)
    parents = [state.find(parent) for parent in _parents(arrival)]
    if any(parent is not None and parent.owner != arrival.owner for parent in parents):
        return VersionDecision(decision=_NOT_AUTHOR)
    named = [parent.replaced_by for parent in parents if parent is not None]
    marks = (state.mark(parent, arrival.owner, Marked.REPLACED) for parent in _parents(arrival))
    named += [mark.by for mark in marks if mark is not None]
    if any(by not in {None, arrival.unique_id} for by in named):
        return VersionDecision(decision=_STALE)
    if arrival.version is not None and any(peer.version == arrival.version for peer in _peers(arrival, state)):
        return VersionDecision(decision=_SAME_VERSION)
    return None


def _take(arrival: Arrival, state: State) -> VersionDecision:
    parents = [parent for name in _parents(arrival) if (parent := state.find(name)) is not None]
    missing = [name for name in _parents(arrival) if state.find(name) is None]
    peers = _peers(arrival, state)
    replaced = state.mark(arrival.unique_id, arrival.owner, Marked.REPLACED)
    deleted = state.mark(arrival.unique_id, arrival.owner, Marked.DELETED)
    heads = [peer for peer in peers if peer in parents and peer.state is Life.CURRENT]
    if deleted is not None:
        life = Life.DELETED
    elif replaced is not None or (not heads and any(_above(peer.version, arrival.version) for peer in peers)):
        life = Life.REPLACED
    else:
        life = Life.CURRENT
    successor = replaced.by if replaced is not None else None
    older = [peer for peer in peers if _above(arrival.version, peer.version) and peer.unique_id != successor]
    nothing_replaced = arrival.act is Act.REPLACE and not parents and not older
    return VersionDecision(
        decision=_OUTCOMES[life],
        warnings=("PARENT_UNKNOWN",) if missing or nothing_replaced else (),
        insert=Known(
            unique_id=arrival.unique_id,
            owner=arrival.owner,
            set_id=arrival.set_id,
            version=arrival.version,
            state=life,
            digest=arrival.digest,
            visibility=arrival.visibility,
            replaced_by=successor,
            receipt=arrival.receipt,
            deletion=deleted.receipt if deleted is not None else None,
        ),
        update=_changed(parents, older, arrival.unique_id),
        leave=tuple(
            Mark(unique_id=name, owner=arrival.owner, kind=Marked.REPLACED, by=arrival.unique_id, receipt=arrival.receipt)
            for name in missing
            if state.mark(name, arrival.owner, Marked.REPLACED) is None
        ),
    )


def _changed(parents: Iterable[Known], older: Iterable[Known], by: str) -> tuple[Known, ...]:
    changed: dict[str, Known] = {}
    for parent in parents:
        life = Life.DELETED if parent.state is Life.DELETED else Life.REPLACED
        changed[parent.unique_id] = msgspec.structs.replace(parent, state=life, replaced_by=by)
    for peer in older:
        if peer.unique_id not in changed and peer.state is Life.CURRENT:
            changed[peer.unique_id] = msgspec.structs.replace(peer, state=Life.REPLACED)
    return tuple(changed.values())


def _parents(arrival: Arrival) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(arrival.replaces) if name != arrival.unique_id)


def _peers(arrival: Arrival, state: State) -> tuple[Known, ...]:
    """Return the other documents of the same set of the same owner."""
    if arrival.set_id is None:
        return ()
    return tuple(known for known in state.known if (known.owner, known.set_id) == (arrival.owner, arrival.set_id))


def _above(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one > other
