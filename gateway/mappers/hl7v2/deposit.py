"""
MDM^T02, T10, T04 and ORU^R01 that carry CDA documents: a submission.

The order of the checks decides which problem stands first: who may send, structure, act, flags, documents, relations; then, for
the shared record only, sender, identity, types and what flags may not say together.

Source: ANS Trans. CDA en HL7v2 2.1; D-25.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.common import carrier, checks, establishments, gate
from gateway.mappers.common import flags as flags_common
from gateway.mappers.common.authorities import canonical
from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import FlagsReading
from gateway.mappers.hl7v2 import act as acts
from gateway.mappers.hl7v2 import documents, flags, older, patient, people, relation
from gateway.mappers.hl7v2.documents import DocumentReading
from gateway.mappers.hl7v2.patient import PidReading
from gateway.mappers.hl7v2.reading import Reading, Received, ignored, rejected
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.mappers.hl7v2.values import absent, cx, value, when
from gateway.model.document import Document, DocumentEntry
from gateway.model.patient import PatientIdentity
from gateway.model.place import Place
from gateway.model.problem import Answer, Severity
from gateway.model.source import Grant
from gateway.model.submission import Act, Submission
from gateway.model.when import When


@dataclass(frozen=True, slots=True)
class _Message:
    """What is read of the message before its documents are."""

    received: Received
    pid: PidReading | None
    txa: Segment | None

    @property
    def message(self) -> Message:
        return self.received.message

    @property
    def findings(self) -> Findings:
        return self.received.findings

    def rejected(self, act: Act | None = None, read: Sequence[DocumentReading] = ()) -> Reading:
        return rejected(self.findings, patient=self._shown, document_ids=self.ids(read), act=act.value if act else None)

    def ignored(self, act: Act | None, read: Sequence[DocumentReading]) -> Reading:
        return ignored(self.findings, patient=self._shown, document_ids=self.ids(read), act=act.value if act else None)

    def ids(self, read: Sequence[DocumentReading]) -> tuple[str, ...]:
        """Return the ids of the documents: of their CDA, else of TXA-12."""
        found = [one.cda.entry.unique_id for one in read if one.cda is not None]
        number = relation.document_number(self.txa, 12)
        return tuple(dict.fromkeys(found or ([number] if number else [])))

    @property
    def is_older(self) -> bool:
        """Whether the message follows an earlier version of the volet."""
        return older.version(self.received.header) is not None

    @property
    def _shown(self) -> str | None:
        return None if self.pid is None else self.pid.shown


def read(received: Received) -> Reading:
    """
    Read a deposit.

    Args:
        received: The message and who sends it.

    Returns:
        A submission and its parts; a rejection; or, for DESTDMP=N, what is acknowledged and ignored.
    """
    message, header, findings = received.message, received.header, received.findings
    txa = message.first("TXA") if header.type_code == "MDM" else None
    pid = patient.read(message, received.source, received.directory)
    of = _Message(received, pid, txa)
    if Grant.DEPOSIT not in received.source.grants:
        findings.add("SOURCE_NOT_ALLOWED", message.header.place(3), "deposit")
        return of.rejected()
    written: list[Segment] = []
    unflagged: list[Segment] = []
    for obx in message.all("OBX"):
        (written if flags.is_flag(obx) else unflagged).append(obx)
    carrying = documents.carrying(unflagged, header.type_code)
    if header.type_code == "ORU" and unflagged and not carrying and not written:
        return _plain(of)
    _structure(of, carrying, _others(unflagged, carrying))
    act = acts.read(message, header.message_type, carrying, findings, older=of.is_older)
    flagged = flags.read(message, written, act, findings)
    older.warn(message, header, written, findings)
    most = documents.MOST[header.type_code]
    read_documents = [documents.read(message, obx, index, findings) for index, obx in enumerate(carrying[:most])]
    read_documents = _relations(of, act, read_documents)
    if (
        not flagged.flags.destdmp and flags.DESTINATION in flagged.places
    ):  # where it is missing, whose document it is still counts
        flags_common.contradictions(flagged, act, findings)
        return of.rejected(act, read_documents) if findings.errors else of.ignored(act, read_documents)
    identity = _shareable(of, act, flagged, read_documents)
    if findings.errors or act is None or identity is None:
        return of.rejected(act, read_documents)
    return _submission(of, act, flagged, read_documents, identity)


def _plain(of: _Message) -> Reading:
    """Results without a document: whose they are comes first, then that they are not read."""
    if of.pid is None:
        of.findings.add("SEGMENT_MISSING", absent("PID"), "PID")
    else:
        gate.check(patient.transport(of.pid), (), None, of.received.environment, of.findings)
    results = of.message.first("OBX")
    of.findings.add("PLAIN_RESULTS", None if results is None else results.place(2))
    return of.rejected()


def _others(segments: Sequence[Segment], taken: Sequence[Segment]) -> list[Segment]:
    indices = {segment.index for segment in taken}
    return [segment for segment in segments if segment.index not in indices]


def _structure(of: _Message, carrying: Sequence[Segment], results: Sequence[Segment]) -> None:
    """Segments that are missing or too many."""
    message, findings, type_code = of.message, of.findings, of.received.header.type_code
    if of.pid is None:
        findings.add("SEGMENT_MISSING", absent("PID"), "PID")
    for extra in message.all("PID")[1:]:
        findings.add("CARDINALITY", extra.whole, "several PID")
    if type_code == "MDM" and of.txa is None:
        findings.add("SEGMENT_MISSING", absent("TXA"), "TXA")
    if of.txa is not None and relation.document_number(of.txa, 12) is None:
        findings.add("FIELD_REQUIRED", of.txa.place(12), "TXA-12")
    if not carrying:
        findings.add("SEGMENT_MISSING", absent("OBX", len(message.all("OBX")) + 1), "OBX with the document")
    for extra in carrying[documents.MOST[type_code] :]:
        findings.add("CARDINALITY", extra.whole, f"{len(carrying)} documents")
    if results and carrying:
        findings.warn("PLAIN_RESULTS", results[0].place(2), "results beside the document")


def _relations(of: _Message, act: Act | None, read_documents: Sequence[DocumentReading]) -> list[DocumentReading]:
    """Check the ids, types and parents of the documents; return each with its parents."""
    related: list[DocumentReading] = []
    seen: set[str] = set()
    for one in read_documents:
        if one.cda is None:
            related.append(one)
            continue
        entry = one.cda.entry
        if entry.unique_id in seen:
            of.findings.add("CARDINALITY", one.obx.place(5), "two documents with one id", document=one.index)
        seen.add(entry.unique_id)
        if of.txa is not None:
            relation.check_number(of.txa, entry, of.findings, older=of.is_older)
        parents = () if act is None else relation.replaced(one, entry, act, of.txa, of.findings, older=of.is_older)
        related.append(replace(one, replaces=parents))
        _types(of, one, entry)
    return related


def _types(of: _Message, one: DocumentReading, entry: DocumentEntry) -> None:
    """OBX-3 and TXA-2 should give the CDA's type; the CDA's counts."""
    for segment, field in ((one.obx, 3), (of.txa, 2)):
        written = value(segment, field)
        if segment is not None and written is not None and written != entry.type_code.code:
            of.findings.warn("TYPE_DIFFERS", segment.place(field), document=one.index)


def _shareable(
    of: _Message, act: Act | None, flagged: FlagsReading, read_documents: Sequence[DocumentReading]
) -> PatientIdentity | None:
    """What the shared record asks beyond a well-formed message: sender, identity, types, flags that may stand together."""
    findings = of.findings
    identity = None
    for one in read_documents:
        if one.cda is not None:
            checks.type_granted(one.cda.entry.type_code, one.obx.place(3), of.received.source, one.index, findings, act=act)
        _check_sender(of, one, act)
    readable = [(one.index, one.cda) for one in read_documents if one.cda is not None]
    if of.pid is not None:
        identity = gate.check(patient.transport(of.pid), readable, act, of.received.environment, findings)
    for one in read_documents:
        if one.cda is not None:
            checks.type_taken(one.cda.entry.type_code, one.obx.place(3), act, one.index, findings)
    flags_common.contradictions(flagged, act, findings)
    for index, cda in readable:
        place = cda.entry.places.get("confidentiality_codes[0]") or read_documents[index].obx.place(5)
        checks.restricted(cda.entry.confidentiality_codes, place, act, index, findings)
    born = None if identity is None or identity.traits.birth_date is None else identity.traits.birth_date.start
    flags_common.unusual(flagged, born, _sent(of.message), findings)
    return identity


def _check_sender(of: _Message, one: DocumentReading, act: Act | None) -> None:
    """Ask for a sender with an organisation (a deletion is warned); tell where it is no FINESS, or not the source's own."""
    severity = Severity.WARNING if act is Act.DELETE else Severity.ERROR
    found = people.senders(of.message, one.obx)
    organisations = [
        (prt, organisation) for prt in found if (organisation := people.xon(prt, 8)) is not None and organisation.ids
    ]
    if not found:
        of.findings.add("SENDER_MISSING", one.obx.whole, severity=severity, document=one.index)
    elif not organisations:
        of.findings.add("SENDER_MISSING", found[0].place(8), "PRT-8.10", severity=severity, document=one.index)
    for prt, organisation in organisations:
        keys = establishments.keys_of(organisation, of.received.directory)
        if not keys:
            of.findings.warn("FIELD_INVALID", prt.place(8), "PRT-8: no FINESS", document=one.index)
        if any(of.received.directory.establishment(key) for key in keys if key != of.received.source.establishment):
            of.findings.warn("SENDER_DIFFERS", prt.place(8), "PRT-8", document=one.index)


def _sent(message: Message) -> datetime | None:
    try:
        sent: When | None = when(value(message.header, 7))
    except ValueError:
        return None
    return None if sent is None else sent.start


def _submission(
    of: _Message,
    act: Act,
    flagged: FlagsReading,
    read_documents: Sequence[DocumentReading],
    identity: PatientIdentity,
) -> Reading:
    sending = [prt for one in read_documents for prt in people.senders(of.message, one.obx)]
    senders = [people.sender(prt) for prt in sending]
    carried = [one.carried for one in read_documents if one.carried is not None]
    parts, carriers = carrier.cut(of.message.payload, carried)
    entries = tuple(
        Document(
            entry=_entry(one.cda, one.replaces, flagged),
            patients=tuple(canonical(known, of.received.source, of.received.directory) for known in one.cda.patients),
            part=one.index + 1,
        )
        for one in read_documents
        if one.cda is not None
    )
    pv1 = of.message.first("PV1")
    custodians = [document.entry.custodian for document in entries]
    named = establishments.named(of.received.source, senders, custodians, of.received.directory)
    problems = of.findings.in_message_order
    submission = Submission(
        act=act,
        patient=identity,
        documents=entries,
        flags=flagged.flags,
        sender=next((one for one in senders if one.organisation is not None), None),
        establishments=named,
        formerly=establishments.formerly(named, of.received.directory),
        source_kinds=of.received.directory.kinds(of.received.source),
        professionals=tuple(dict.fromkeys(number for prt in sending for number in people.numbers(prt))),
        content_type=patient.content_type(pv1),
        visit=cx(pv1, 19),
        problems=problems,
        carriers=carriers,
        places=_places(of, flagged, read_documents),
    )
    return Reading(submission, parts, Answer.AA, problems)


def _entry(cda: CdaReading, parents: tuple[str, ...], flagged: FlagsReading) -> DocumentEntry:
    """Return the entry with what the transport says: parents, and the confidentiality that flags add."""
    codes = cda.entry.confidentiality_codes + checks.confidentiality(flagged.flags)
    return msgspec.structs.replace(cda.entry, confidentiality_codes=codes, replaces=parents)


def _places(of: _Message, flagged: FlagsReading, read_documents: Sequence[DocumentReading]) -> dict[str, Place]:
    places = {f"flags.{code.lower()}": place for code, place in flagged.places.items()}
    orc = of.message.first("ORC")
    if orc is not None:
        places["act"] = orc.place(1)
    for one in read_documents:
        places[f"documents[{one.index}]"] = one.obx.place(5, 1, 5)
        for prt in people.senders(of.message, one.obx)[:1]:
            places.setdefault("sender", prt.whole)
    pv1 = of.message.first("PV1")
    if pv1 is not None:
        places |= {"content_type": pv1.place(2), "visit": pv1.place(19)}
    return places
