"""
The store's tests in their order: the one plan that a deposit follows and that an explanation repeats without writing.

Row 0 (D-6) · RECORD_ABSENT · INS_UNQUALIFIED, TRAITS_DIFFER (add, replace) · RECORD_CLOSED (add, replace) · OPPOSED (add,
replace) · NOT_AUTHOR, VERSION_STALE. Documents are decided one after the other, each on the state that the former leave; one
refusal refuses the submission.

Source: D-25; docs/rules.md.
"""

from datetime import datetime
from typing import Final

import msgspec

from gateway.model.base import Model
from gateway.model.patient import Traits
from gateway.model.submission import Act, Reception, Submission
from gateway.model.verdict import Verdict
from gateway.rules import identity, opposition, record, versions
from gateway.rules.decision import Decision
from gateway.rules.opposition import Held, Subject
from gateway.rules.record import RecordState
from gateway.rules.versions import Arrival, Known, Mark, State, VersionDecision


class Rows(Model, frozen=True, kw_only=True):
    """Everything that the store read under the patient's lock."""

    record: RecordState
    #: The identity that the record holds, if any was told.
    reference: identity.Reference | None = None
    #: The depositing establishment took back what it had said of this patient's identity.
    suspended: bool = False
    #: For each patient that an identifier of the submission leads to, the statements that bind them (D-1). They are judged one
    #: patient after the other: what was allowed under an identifier that is not linked lifts nothing of another patient's.
    statements: tuple[tuple[Held, ...], ...] = ()
    #: Of the record's patient, what `touched` asks for.
    documents: State = State()


class Facts(Model, frozen=True, kw_only=True):
    """What the rules need to know of a submission."""

    act: Act
    #: Every establishment named by the source, PRT-SB or a custodian (D-1).
    establishments: tuple[str, ...]
    #: Every kind that the depositing source is of (R-14).
    source_kinds: tuple[str, ...] = ()
    #: The traits of the message, then those of every recordTarget (D-19).
    identities: tuple[Traits, ...] = ()
    documents: tuple[Arrival, ...]


class Touched(Model, frozen=True, kw_only=True):
    """Which documents and tombstones of the patient a submission is decided on."""

    #: Documents and tombstones of these ids, whoever owns them.
    unique_ids: frozenset[str]
    #: Documents of these (owner, setId).
    sets: frozenset[tuple[str, str]]


class DocumentDecision(Model, frozen=True, kw_only=True):
    """What becomes of one document of the submission."""

    unique_id: str
    decision: Decision
    #: Codes of the warnings: PARENT_UNKNOWN, TARGET_UNKNOWN.
    warnings: tuple[str, ...] = ()
    #: Duplicate: receipt of the deposit whose outcome stands.
    first: str | None = None
    #: Another establishment deposited a document of this id.
    claimed: bool = False


class Writes(Model, frozen=True, kw_only=True):
    """What to write of documents, net of the whole submission: each row once, as it is at the end."""

    #: New documents; a deleted one is written without bytes and entries.
    insert: tuple[Known, ...] = ()
    #: Documents of `Rows` that change: state, replaced_by and deletion.
    update: tuple[Known, ...] = ()
    #: Tombstones to leave, unique by (unique_id, owner, kind).
    leave: tuple[Mark, ...] = ()


class DepositDecision(Model, frozen=True, kw_only=True):
    """What becomes of the submission: settled whole, with a reason per document."""

    #: Refused: that of the first document refused for a reason of its own. Else the strongest of the documents' verdicts.
    decision: Decision
    documents: tuple[DocumentDecision, ...]
    #: What the traits showed, where they were asked; names for the operator (D-19).
    identified: identity.IdentityDecision | None = None
    #: The whole submission is a duplicate: receipt of the first deposit of its first document.
    first: str | None = None
    #: Empty for a refusal or a duplicate.
    writes: Writes = Writes()


#: Of several documents not refused, the verdict that speaks for the submission.
_STRENGTH: Final = (Verdict.STORED, Verdict.REPLACED, Verdict.DELETED, Verdict.DUPLICATE)

_ALONG: Final = "Another document of the same submission is refused, and a submission is settled whole."


def facts(submission: Submission, reception: Reception) -> Facts:
    """
    Return what the rules need to know of a submission.

    Args:
        submission: As it travelled; its first establishment is the depositing source's, the owner (D-4).
        reception: For the receipt.

    Returns:
        One arrival per document, in order.
    """
    return Facts(
        act=submission.act,
        establishments=(*submission.establishments, *submission.formerly),
        source_kinds=submission.source_kinds,
        identities=(
            submission.patient.traits,
            *(patient.traits for document in submission.documents for patient in document.patients),
        ),
        documents=tuple(
            Arrival(
                act=submission.act,
                unique_id=entry.unique_id,
                owner=submission.establishments[0],
                set_id=entry.set_id,
                version=entry.version,
                replaces=entry.replaces,
                digest=entry.digest,
                visibility=submission.flags.visibility,
                type_code=entry.type_code.code,
                class_code=entry.class_code.code if entry.class_code is not None else None,
                professionals=tuple(dict.fromkeys((*document.professionals, *submission.professionals))),
                by_patient=document.by_patient,
                receipt=reception.receipt,
            )
            for document in submission.documents
            for entry in (document.entry,)
        ),
    )


def subject(submission: Facts, arrival: Arrival) -> Subject:
    """Return a document of a submission as oppositions are tested on it: now, and when one begins to bind late (O-7)."""
    return Subject(
        establishments=submission.establishments,
        source_kinds=submission.source_kinds,
        professionals=arrival.professionals,
        type_code=arrival.type_code,
        class_code=arrival.class_code,
        by_patient=arrival.by_patient,
    )


def touched(submission: Facts) -> Touched:
    """Return which documents and tombstones the store has to read for `decide`."""
    arrivals = submission.documents
    return Touched(
        unique_ids=frozenset(name for arrival in arrivals for name in (arrival.unique_id, *arrival.replaces)),
        sets=frozenset((arrival.owner, arrival.set_id) for arrival in arrivals if arrival.set_id is not None),
    )


def decide(submission: Facts, rows: Rows, now: datetime) -> DepositDecision:
    """
    Decide a submission.

    Args:
        submission: Its facts, at least one document.
        rows: What the store read under the patient's lock.
        now: The present instant, aware.

    Returns:
        The whole decision; nothing is written by a refusal or a duplicate. In a refused submission a document that is already
        in the record stays `duplicate`: that is what the sender needs to know of it.

    Source: D-25; D-1, D-4, D-5, D-6.
    """
    state = rows.documents
    identified = _identified(submission, rows)
    decided: list[VersionDecision] = []
    for arrival in submission.documents:
        decision = _judge(arrival, submission, rows, state, now=now, identified=identified)
        decided.append(decision)
        state = versions.apply(state, decision)
    refused = next((each.decision for each in decided if each.decision.refuses), None)
    if refused is not None:
        return DepositDecision(
            decision=refused,
            documents=_refused(submission, decided, refused, rows.documents),
            identified=identified if identified is not None and refused == identified.decision else None,
        )
    strongest = min(decided, key=lambda each: _STRENGTH.index(each.decision.verdict))
    return DepositDecision(
        decision=strongest.decision,
        documents=tuple(_settled(a, each) for a, each in zip(submission.documents, decided, strict=True)),
        # A duplicate is not asked whose it is: it is in the record.
        identified=None if strongest.decision.verdict is Verdict.DUPLICATE else identified,
        first=strongest.first,
        writes=_writes(rows.documents, state),
    )


def apply(rows: Rows, decision: DepositDecision) -> Rows:
    """
    Return the rows after the decision was written: what the next submission of a batch is decided on (D-13).

    The rows must hold what both submissions touch.
    """
    writes = VersionDecision(decision=decision.decision, update=decision.writes.update, leave=decision.writes.leave)
    documents = versions.apply(rows.documents, writes)
    documents = msgspec.structs.replace(documents, known=documents.known + decision.writes.insert)
    return msgspec.structs.replace(rows, documents=documents)


def _identified(submission: Facts, rows: Rows) -> identity.IdentityDecision | None:
    """Return what the traits of the message and of its documents show together; None where they are not asked (D-4, D-19)."""
    if submission.act is Act.DELETE or rows.record is RecordState.ABSENT:
        return None
    if rows.suspended:
        return identity.IdentityDecision(decision=identity.SUSPENDED)
    if rows.reference is None or not submission.identities:
        return None
    transport, *documents = submission.identities
    return identity.decide(transport, tuple(documents), rows.reference.traits, homonym=rows.reference.homonym)


def _judge(
    arrival: Arrival,
    submission: Facts,
    rows: Rows,
    state: State,
    *,
    now: datetime,
    identified: identity.IdentityDecision | None,
) -> VersionDecision:
    repeated = versions.repeated(arrival, state)
    if repeated is not None:
        return repeated
    if identified is not None and identified.decision.refuses:
        return VersionDecision(decision=identified.decision)
    closed = record.decide(rows.record, arrival.act)
    if closed is not None:
        return VersionDecision(decision=closed)
    about = subject(submission, arrival)
    for statements in rows.statements:
        opposed = opposition.decide(arrival.act, statements, now, about)
        if opposed.refuses:
            return VersionDecision(decision=opposed)
    return versions.decide(arrival, state)


def _settled(arrival: Arrival, decided: VersionDecision) -> DocumentDecision:
    return DocumentDecision(
        unique_id=arrival.unique_id,
        decision=decided.decision,
        warnings=decided.warnings,
        first=decided.first,
        claimed=decided.claimed,
    )


def _refused(
    submission: Facts,
    decided: list[VersionDecision],
    refused: Decision,
    documents: State,
) -> tuple[DocumentDecision, ...]:
    """Refuse each document, save those that are in the record without this submission."""
    along = VersionDecision(decision=Decision(verdict=Verdict.REFUSED, rule=refused.rule, because=_ALONG))
    settled = []
    for arrival, each in zip(submission.documents, decided, strict=True):
        there = each.decision.verdict is Verdict.DUPLICATE and versions.decide(arrival, documents) == each
        settled.append(_settled(arrival, each if each.decision.refuses or there else along))
    return tuple(settled)


def _writes(before: State, after: State) -> Writes:
    was = {known.unique_id: known for known in before.known}
    return Writes(
        insert=tuple(known for known in after.known if known.unique_id not in was),
        update=tuple(known for known in after.known if known.unique_id in was and was[known.unique_id] != known),
        leave=after.marks[len(before.marks) :],
    )
