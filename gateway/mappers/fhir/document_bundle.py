"""
A FHIR document (a Bundle of type document) as a document of the record: its bytes as they came, its header from the Composition.

Source: HL7 FHIR R4, documents, bundle (bdl-7 to bdl-11), composition (cmp-1, cmp-2); IHE MHD, FHIR Document Publish; D-6, D-19.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.common import checks, establishments, flags
from gateway.mappers.common.checks import VISIBILITY
from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import SPELLINGS, FlagsReading
from gateway.mappers.common.reading import Read, rejected
from gateway.mappers.fhir.composition import CONFIDENTIALITY, Header, Reader, own_organisation
from gateway.mappers.fhir.json import Loaded
from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.subject import Subjects
from gateway.mappers.fhir.validate import validate
from gateway.mappers.fhir.values import code
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code
from gateway.model.document import Author, Document, Person
from gateway.model.place import Place
from gateway.model.source import Directory, Grant, Source
from gateway.model.submission import Act, Flags, Submission

#: What a document that may be deposited is. Source: HL7 FHIR R4, CompositionStatus.
_FINAL: Final = frozenset({"final", "amended"})
_LEVELS: Final = frozenset({"U", "L", "M", "N", "R", "V"})
_FLAGS: Final = frozenset({"MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX"})
_HISTORY: Final = "/_history/"


@dataclass(frozen=True, slots=True)
class DocumentReading:
    """
    A FHIR document, read.

    Attributes:
        reading: What a CDA would give: its entry and its patient.
        flagged: Who may see it, as its labels say.
        composition: Where its header stands.
    """

    reading: CdaReading
    flagged: FlagsReading
    composition: Node


def read(loaded: Loaded, source: Source, directory: Directory, environment: str) -> Read:
    """
    Read a deposit of one FHIR document: the body is the document.

    Args:
        loaded: The body.
        source: Who sends.
        directory: All establishments and their authorities.
        environment: `production` or `test`: which roots of INS are taken.

    Returns:
        A submission whose only part is the body, byte for byte; or a rejection, in the order of the checks: who may send, the
        document, identity, type, confidentiality.
    """
    findings = Findings()
    if Grant.DEPOSIT not in source.grants:
        findings.add("SOURCE_NOT_ALLOWED", None, "deposit")
        return rejected(findings)
    bundle = validate(loaded, findings)
    if bundle is None:
        return rejected(findings)
    found = header(bundle, loaded.payload, 0, source, directory, findings=findings)
    if found is None:
        return rejected(findings)
    entry, places = found.reading.entry, found.reading.entry.places
    act = Act.REPLACE if entry.replaces else Act.ADD
    subjects = Subjects(References(bundle), source, directory, findings)
    subjects.add(found.composition.one("subject"), found.composition, "subject")
    checks.type_granted(entry.type_code, places.get("type_code"), source, 0, findings, act=act)
    # The subject is the patient of the transport and of the document at once: it is told once what is wrong with it.
    identity = subjects.check((), found.composition.place("subject"), environment)
    checks.type_taken(entry.type_code, places.get("type_code"), act, 0, findings)
    flags.contradictions(found.flagged, act, findings)
    checks.restricted(entry.confidentiality_codes, places.get("confidentiality_codes[0]"), act, 0, findings)
    if findings.errors:
        return rejected(findings, patient=subjects.shown, document_ids=(entry.unique_id,), act=act.value)
    codes = entry.confidentiality_codes + checks.confidentiality(found.flagged.flags)
    document = Document(
        entry=msgspec.structs.replace(entry, confidentiality_codes=codes), patients=found.reading.patients, part=0
    )
    sender = Author(person=Person(device=source.application), organisation=own_organisation(source, directory))
    named = establishments.named(source, [sender], [entry.custodian], directory)
    submission = Submission(
        act=act,
        patient=identity,
        documents=(document,),
        flags=found.flagged.flags,
        sender=sender,
        establishments=named,
        formerly=establishments.formerly(named, directory),
        source_kinds=directory.kinds(source),
        content_type=None if source.content_type is None else Code(code=source.content_type, system="JDV_J59"),
        problems=findings.in_message_order,
        places={"documents[0]": bundle.place()},
    )
    return Read(submission, (loaded.payload,), submission.problems)


def header(
    bundle: Node, content: bytes, index: int, source: Source, directory: Directory, *, findings: Findings
) -> DocumentReading | None:
    """
    Check a FHIR document and read its header.

    Args:
        bundle: The Bundle, valid R4: the body, or an entry of a transaction.
        content: Its bytes.
        index: Of the document in its submission.
        source: Who sends.
        directory: All establishments.
        findings: Takes FHIR_UNSUPPORTED, FHIR_REQUIRED, FHIR_INVARIANT, FHIR_REFERENCE, FHIR_VALUE, FLAG_INVALID,
            DOCUMENT_NOT_FINAL; FHIR_UNUSUAL and CATEGORY_DIFFERS as warnings.

    Returns:
        The document; None, with an error, where it has no header that could be read.
    """
    if bundle.type != "Bundle" or bundle.text("type") != "document":
        findings.add("FHIR_UNSUPPORTED", bundle.place("type"), "a Bundle of type document belongs here", document=index)
        return None
    composition = _entries(bundle, index, findings)
    if composition is None:
        return None
    if composition.text("status") not in _FINAL:
        findings.add("DOCUMENT_NOT_FINAL", composition.place("status"), "status", document=index)
    _sections(composition, index, findings)
    references = References(bundle)
    _references(bundle, composition, references, index, findings)
    flagged, levels = _labels(bundle, composition, index, findings)
    reader = Reader(bundle, composition, references, source, directory, findings, index)
    found: Header | None = reader.read(content, levels)
    if found is None:
        return None
    return DocumentReading(CdaReading(entry=found.entry, patients=(found.patient,), problems=()), flagged, composition)


def _entries(bundle: Node, index: int, findings: Findings) -> Node | None:
    """Check the entries of a document; return its Composition."""
    if not bundle.has("timestamp"):
        findings.add("FHIR_REQUIRED", bundle.place("timestamp"), "timestamp", document=index)
    entries = bundle.all("entry")
    first = entries[0].one("resource") if entries else None
    if first is None or first.type != "Composition":
        findings.add("FHIR_INVARIANT", bundle.place("entry"), "bdl-11: the first entry is a Composition", document=index)
        return None
    for entry in entries:
        resource, url = entry.one("resource"), entry.text("fullUrl")
        if url is None:
            findings.add("FHIR_REQUIRED", entry.place("fullUrl"), "fullUrl", document=index)
        elif _HISTORY in url:
            findings.add("FHIR_INVARIANT", entry.place("fullUrl"), "bdl-8: no version in fullUrl", document=index)
        if resource is None:
            findings.add("FHIR_REQUIRED", entry.place("resource"), "resource", document=index)
        elif resource.type == "Composition" and resource.path != first.path:
            findings.add("FHIR_INVARIANT", resource.place(), "a second Composition", document=index)
        for name in ("request", "response", "search"):
            if entry.has(name):
                findings.add("FHIR_INVARIANT", entry.place(name), "bdl-2 to bdl-4: of another type of Bundle", document=index)
    return first


def _sections(composition: Node, index: int, findings: Findings) -> None:
    for node in composition.below():
        for section in node.all("section"):
            if not any(section.has(name) for name in ("text", "entry", "section")):
                findings.add("FHIR_INVARIANT", section.place(), "cmp-1: text, entries or sections", document=index)
            if section.has("emptyReason") and section.has("entry"):
                findings.add("FHIR_INVARIANT", section.place("emptyReason"), "cmp-2: empty, with entries", document=index)


def _references(bundle: Node, composition: Node, references: References, index: int, findings: Findings) -> None:
    """
    Look where every reference leads: what the Composition refers to is in the document, the rest is warned of.

    Source: HL7 FHIR R4, documents (content).
    """
    for entry in bundle.all("entry"):
        holder = entry.one("resource")
        if holder is None:
            continue
        outside = {one.path for relation in holder.all("relatesTo") for one in relation.all("targetReference")}
        for node in holder.below():
            if node.text("reference") is None or node.path in outside:
                continue
            found = references.resolve(node, holder)
            if found.failed and holder.path == composition.path:
                findings.add("FHIR_REFERENCE", node.place("reference"), found.failed, document=index)
            elif found.failed or found.unusual:
                findings.warn("FHIR_UNUSUAL", node.place("reference"), found.failed or found.unusual, document=index)


def _labels(bundle: Node, composition: Node, index: int, findings: Findings) -> tuple[FlagsReading, tuple[Code, ...]]:
    """Read meta.security of the document and its Composition; a label that nobody knows could be a restriction."""
    raised: dict[str, Place] = {}
    levels: list[Code] = []
    for label in (label for node in (bundle, composition) for meta in node.all("meta") for label in meta.all("security")):
        found = code(label)
        name = None if found is None else SPELLINGS.get(found.code, found.code)
        if found is not None and found.system == VISIBILITY and name in _FLAGS:
            raised.setdefault(name, label.place("code"))
        elif found is not None and found.system in {VISIBILITY, CONFIDENTIALITY} and found.code in _LEVELS:
            levels.append(Code(code=found.code, system=CONFIDENTIALITY))
        else:
            findings.add("FLAG_INVALID", label.place("code"), "meta.security", document=index)
    return FlagsReading(Flags(destdmp=True, **{name.lower(): True for name in raised}), raised), tuple(levels)
