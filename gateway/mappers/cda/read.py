"""Reads a CDA R2 document: its document entry, its patients, and what is unusual about it."""

import hashlib
from dataclasses import dataclass

from gateway.mappers.cda.body import read_body
from gateway.mappers.cda.envelope import find_document
from gateway.mappers.cda.header import HeaderReader, check_presence
from gateway.mappers.cda.patient import read_patient, source_patient_id
from gateway.mappers.cda.walk import Findings
from gateway.mappers.cda.xml import LIMITS, Limits, parse
from gateway.model.code import Identifier
from gateway.model.document import DocumentEntry
from gateway.model.patient import PatientIdentity
from gateway.model.place import Place
from gateway.model.problem import Problem, Unreadable
from gateway.terminology import class_of, format_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaReading:
    """What one CDA says of itself."""

    entry: DocumentEntry
    #: One identity per recordTarget.
    patients: tuple[PatientIdentity, ...]
    #: Warnings, in the order of reading.
    problems: tuple[Problem, ...]
    #: Level 1: the enclosed file, decoded.
    content: bytes | None = None


def read(document: bytes, within: Place | None = None, *, limits: Limits = LIMITS) -> CdaReading:
    """
    Read the header of a CDA R2 document, and the file of a level-1 one.

    Values are kept as written; the confidentiality codes are the document's own. Size and hashes are those of the bytes received.

    Args:
        document: The document, decoded from whatever carried it.
        within: The place of the value that carried it.
        limits: What the document may cost to read.

    Returns:
        The entry with the place of each of its fields, the patients, and warnings (CDA_UNUSUAL).

    Raises:
        Unreadable: XML_INVALID, XML_FORBIDDEN, NOT_CDA; else every error of the header and body at once: CDA_REQUIRED,
            CDA_INVALID, DOCUMENT_EMPTY, BASE64_INVALID, CONTENT_MISMATCH.

    Source: CI-SIS Structuration minimale; CI-SIS, CDA R2.
    """
    root, mime_type = find_document(parse(document, limits=limits, within=within), within)
    findings = Findings(within)
    check_presence(root, findings)
    header = HeaderReader(root, findings)
    unique_id, type_code, creation_time = header.unique_id(), header.type_code(), header.creation_time()
    title, language, confidentiality = header.title(), header.language(), header.confidentiality_codes()
    set_id, version, template_ids = header.set_id(), header.version(), header.template_ids()
    patients = tuple(known for node in root.all("recordTarget") if (known := read_patient(node, findings)) is not None)
    authors, custodian, legal = header.authors(), header.custodian(), header.legal_authenticator()
    service, facility = header.service(), header.healthcare_facility_type()
    reference_ids, replaces = header.reference_ids(), header.replaces()
    body = read_body(root, findings)
    if findings.errors or unique_id is None or type_code is None or creation_time is None or custodian is None:
        raise Unreadable(*findings.errors)
    source_id = source_patient_id(patients[0])
    if source_id is not None and source_id.place is not None:
        header.places["source_patient_id"] = source_id.place
    if body.media_type_place is not None:
        header.places["content_media_type"] = body.media_type_place
    entry = DocumentEntry(
        unique_id=unique_id,
        set_id=set_id,
        version=version,
        type_code=type_code,
        class_code=class_of(type_code),
        format_code=format_of(template_ids, body.media_type),
        title=title,
        language=language,
        creation_time=creation_time,
        confidentiality_codes=confidentiality,
        mime_type=mime_type,
        size=len(document),
        hash=hashlib.sha1(document, usedforsecurity=False).hexdigest(),
        digest=hashlib.sha256(document).hexdigest(),
        authors=authors,
        legal_authenticator=legal,
        custodian=custodian,
        event_codes=service.codes,
        service_start=service.start,
        service_stop=service.stop,
        practice_setting=service.practice_setting,
        healthcare_facility_type=facility,
        reference_ids=reference_ids,
        source_patient_id=None if source_id is None else Identifier(value=source_id.value, authority=source_id.authority or None),
        replaces=replaces,
        template_ids=template_ids,
        level=body.level,
        content_media_type=body.media_type,
        places=header.places,
    )
    return CdaReading(entry=entry, patients=patients, problems=tuple(findings.warnings), content=body.content)
