"""
A CDA that comes alone, over HTTP: a submission.

A CDA carries no status of identity: its INS counts only where the source is trusted to send qualified ones (D-19). What the
document does not say (act, flags, sender, visit) its sender declares beside it (`declared`). Everything else is as over HL7v2, so
that the same document is the same deposit through whichever door it comes (D-6).

Source: CI-SIS, CDA R2; D-4; D-16; D-19.
"""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mappers.cda.declared import Declared
from gateway.mappers.cda.declared import read as read_declared
from gateway.mappers.cda.read import CdaReading
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.cda.xml import encoding_of, same_encoding
from gateway.mappers.common import checks, establishments, flags, gate
from gateway.mappers.common.authorities import canonical
from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import FlagsReading
from gateway.mappers.common.reading import Read, rejected
from gateway.model.code import Code, Identifier
from gateway.model.document import Author, Document, DocumentEntry, Organisation, Person
from gateway.model.patient import PatientIdentity
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable
from gateway.model.professional import professional_key
from gateway.model.source import Directory, Grant, Source, finess_key
from gateway.model.submission import Act, Submission

#: Roots of the numbers of organisations and of people. Source: CI-SIS, Struct_IdNat, PS_IdNat.
ORGANISATIONS: Final = "1.2.250.1.71.4.2.2"
PEOPLE: Final = "1.2.250.1.71.4.2.1"

_BLANK: Final = b" \t\r\n"
_ROLE: Final = "/ClinicalDocument/recordTarget[1]/patientRole[1]"
#: The strict traits (D-19), what each is called, and where it should stand in the first patientRole.
_STRICT: Final = (
    ("birth_name", "family, qualifier BR", "/patient[1]/name[1]/family[1]"),
    ("birth_date", "birthTime", "/patient[1]/birthTime[1]"),
    ("sex", "administrativeGenderCode", "/patient[1]/administrativeGenderCode[1]"),
    ("birth_place", "birthplace: county", "/patient[1]/birthplace[1]/place[1]/addr[1]/county[1]"),
)


@dataclass(frozen=True, slots=True)
class _Received:
    """What came, and who sends it."""

    declared: Declared
    source: Source
    directory: Directory
    environment: str
    findings: Findings

    def rejected(self, cda: CdaReading | None, act: Act | None) -> Read:
        patients = (
            () if cda is None else tuple(known for patient in cda.patients for known in (*patient.ins, *patient.identifiers))
        )
        return rejected(
            self.findings,
            patient=patients[0].value if patients else None,
            document_ids=() if cda is None else (cda.entry.unique_id,),
            act=None if act is None else act.value,
        )


def read(
    document: bytes,
    headers: Mapping[str, str],
    part: bytes | None,
    source: Source,
    directory: Directory,
    *,
    environment: str,
    charset: str | None = None,
) -> Read:
    """
    Read a deposit of one CDA.

    Args:
        document: Its bytes, decoded from whatever carried them.
        headers: Of the request, by lower-case name.
        part: The part `submission` of a multipart request.
        source: Who sends.
        directory: Every establishment.
        environment: `production` or `test`: which roots of INS are taken.
        charset: Parameter of the document's media type: where the document says otherwise, the document counts.

    Returns:
        A submission whose only part is the document; or a rejection, its problems in the order of the checks: who may send, what
        is declared, the document, act and relation; then sender, identity, type, flags.
    """
    findings = Findings()
    if Grant.DEPOSIT not in source.grants:
        findings.add("SOURCE_NOT_ALLOWED", None, "deposit")
        return rejected(findings)
    declared = read_declared(headers, part, findings)
    of = _Received(declared, source, directory, environment, findings)
    try:
        cda = read_cda(document)
    except Unreadable as unreadable:
        findings.take(unreadable.problems)
        return of.rejected(None, declared.act)
    findings.take(cda.problems, 0)
    if charset is not None and not same_encoding(charset, encoding_of(document)):
        findings.warn("CDA_UNUSUAL", Place(path="header:Content-Type"), "charset: not the document's own encoding", document=0)
    act = _act(of, cda.entry)
    parents = _relation(cda.entry, act, findings)
    type_at = cda.entry.places.get("type_code")
    checks.type_granted(cda.entry.type_code, type_at, source, 0, findings, act=act)
    sender = _sender(of)
    identity = _identity(of, cda, act)
    checks.type_taken(cda.entry.type_code, type_at, act, 0, findings)
    reading = FlagsReading(declared.flags, declared.flag_places)
    flags.contradictions(reading, act, findings)
    checks.restricted(cda.entry.confidentiality_codes, cda.entry.places.get("confidentiality_codes[0]"), act, 0, findings)
    born = None if identity.traits.birth_date is None else identity.traits.birth_date.start
    flags.unusual(reading, born, cda.entry.creation_time.start, findings)
    if findings.errors:
        return of.rejected(cda, act)
    submission = _submission(of, cda, act, parents=parents, sender=sender, identity=identity)
    return Read(submission, (document,), submission.problems)


def decoded(text: bytes) -> bytes:
    """
    Return what base64 stands for; line ends and blanks are let through, nothing else (RFC 4648 § 3.3).

    Raises:
        Unreadable: BASE64_INVALID, DOCUMENT_EMPTY.
    """
    bare = text.translate(None, _BLANK)
    try:
        content = binascii.a2b_base64(bare, strict_mode=True)
    except binascii.Error:
        raise Unreadable(Problem(code="BASE64_INVALID", place=Place(path="body"))) from None
    if len(bare) != (len(content) + 2) // 3 * 4:  # the library lets padding pass that fills no group
        raise Unreadable(Problem(code="BASE64_INVALID", place=Place(path="body")))
    if not content:
        raise Unreadable(Problem(code="DOCUMENT_EMPTY", place=Place(path="body")))
    return content


def _act(of: _Received, entry: DocumentEntry) -> Act:
    """Return what is asked for: as declared, else what the document itself shows."""
    if of.declared.act is not None:
        return of.declared.act
    return Act.REPLACE if entry.replaces else Act.ADD


def _relation(entry: DocumentEntry, act: Act, findings: Findings) -> tuple[str, ...]:
    """
    Return the uniqueIds that the document replaces; what is declared and what it says must agree.

    The CDA of a deletion is the last version as it was, so its relatedDocument says nothing.
    """
    if act is Act.DELETE:
        return ()
    if act is Act.ADD:
        if entry.replaces:
            findings.add("RELATION_DIFFERS", entry.places.get("replaces[0]"), "relatedDocument in a new document", document=0)
        return ()
    if not entry.replaces:
        if entry.set_id is not None and (entry.version or 0) > 1:
            detail = "no relatedDocument: the parent goes by setId"
            findings.warn("CDA_UNUSUAL", entry.places.get("set_id"), detail, document=0)
        else:
            place = Place(path="/ClinicalDocument/relatedDocument[1]")
            findings.add("RELATION_DIFFERS", place, "no parent document is named", document=0)
    return entry.replaces


def _sender(of: _Received) -> Author:
    """Return who sends: as declared, else an application of the source's establishment; tell what is unusual about it."""
    declared, source, directory = of.declared, of.source, of.directory
    person = _person(declared)
    if declared.organization is None:
        own = directory.establishment(source.establishment)
        number = finess_key(source.site or (own.finess_ej if own is not None else ""))
        organisation = _organisation(None if number is None else f"1{number}", own.name if own is not None else None)
        return Author(person=person or Person(device=source.application), organisation=organisation)
    organisation = _organisation(declared.organization, declared.organization_name)
    keys = establishments.keys_of(organisation, directory)
    place = declared.places.get("organization")
    if not keys:
        of.findings.warn("FIELD_INVALID", place, "no FINESS")
    if any(directory.establishment(key) for key in keys if key != source.establishment):
        of.findings.warn("SENDER_DIFFERS", place)
    return Author(person=person or Person(device=source.application), organisation=organisation)


def _organisation(number: str | None, name: str | None) -> Organisation:
    return Organisation(id=None if number is None else Identifier(value=number, authority=ORGANISATIONS), name=name)


def _person(declared: Declared) -> Person | None:
    if declared.professional is None and declared.family is None and declared.given is None:
        return None
    number = None if declared.professional is None else Identifier(value=declared.professional, authority=PEOPLE)
    return Person(id=number, family=declared.family, given=declared.given)


def _identity(of: _Received, cda: CdaReading, act: Act) -> PatientIdentity:
    """Pass the patient of the document through the gate: each recordTarget is the first one's patient."""
    first = canonical(cda.patients[0], of.source, of.directory)
    written = (known.place for known in first.identifiers if known.place is not None)
    at = next(written, None) or Place(path=f"{_ROLE}/id[1]")
    transport = gate.Transport(
        identity=first,
        ins=first.ins,
        is_qualified=Grant.IDENTITY_ASSERTED in of.source.grants,
        unqualified="a CDA carries no status: the source needs the grant identity_asserted",
        identifiers_at=at,
        status_at=at,
        strict=tuple(
            gate.Strict(trait=trait, name=name, place=first.places.get(f"traits.{trait}") or Place(path=_ROLE + below))
            for trait, name, below in _STRICT
        ),
    )
    # One recordTarget is the transport's patient and the document's at once: it is told once what is wrong with it.
    several = [(0, cda)] if len(cda.patients) > 1 else []
    return gate.check(transport, several, act, of.environment, of.findings)


def _submission(
    of: _Received, cda: CdaReading, act: Act, *, parents: tuple[str, ...], sender: Author, identity: PatientIdentity
) -> Submission:
    declared, source, directory = of.declared, of.source, of.directory
    codes = cda.entry.confidentiality_codes + checks.confidentiality(declared.flags)
    entry = msgspec.structs.replace(cda.entry, confidentiality_codes=codes, replaces=parents)
    document = Document(entry=entry, patients=tuple(canonical(known, source, directory) for known in cda.patients), part=0)
    named = establishments.named(source, [sender], [entry.custodian], directory)
    key = None if declared.professional is None else professional_key(declared.professional)
    content_type = declared.content_type or source.content_type
    return Submission(
        act=act,
        patient=identity,
        documents=(document,),
        flags=declared.flags,
        sender=sender,
        establishments=named,
        formerly=establishments.formerly(named, directory),
        source_kinds=directory.kinds(source),
        professionals=() if key is None else (key,),
        content_type=None if content_type is None else Code(code=content_type, system="JDV_J59"),
        visit=None if declared.visit is None else Identifier(value=declared.visit),
        problems=of.findings.in_message_order,
        places=declared.places,
    )
