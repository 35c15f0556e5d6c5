"""FHIR deposits after PDSm: the documents of `cda/` through another door, byte for byte."""

import base64
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from recipe import documents as d
from recipe.cda import Document, render
from recipe.people import INS_TEST_ROOT, Patient

_PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition"
_MHD: Final = "https://profiles.ihe.net/ITI/MHD"
_FRENCH: Final = "https://hl7.fr/ig/fhir/core"
_NOS: Final = "https://mos.esante.gouv.fr/NOS"
_URI: Final = "urn:ietf:rfc:3986"
_LOINC: Final = "http://loinc.org"
_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_VISIBILITY: Final = f"{_NOS}/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
_CLASSES: Final = f"{_NOS}/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
_SECTORS: Final = f"{_NOS}/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite"
_SETTINGS: Final = f"{_NOS}/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"
_ACTIVITIES: Final = f"{_NOS}/TRE_R209-TypeActivite/FHIR/TRE-R209-TypeActivite"
_FORMATS: Final = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
#: Name space of the fullUrls: the same bytes each time.
_URLS: Final = uuid.UUID("8f1f5a1e-7f58-5c8d-9c55-0b0a6a5d0d65")
#: Class of each type of document here.
_CLASS: Final = {"11502-2": ("10", "Compte rendu"), "18748-4": ("31", "Imagerie médicale")}
#: OID of the portal that sends.
_PORTAL: Final = "1.2.250.1.999.1.9"
_GENDERS: Final = {"M": "male", "F": "female"}


@dataclass(frozen=True, kw_only=True)
class FhirSample:
    """
    One file of `samples/fhir/`, and what the gateway answers to it.

    Attributes:
        file: Path below `samples/`.
        path: Where it is posted.
        situation: What it shows.
        content: The bytes of the file.
        becomes: What becomes of it, for a record that is open and without opposition.
    """

    file: str
    path: str
    situation: str
    content: bytes
    becomes: str


def samples() -> list[FhirSample]:
    """Write every sample."""
    return [
        FhirSample(
            file="fhir/01-iti65-radiology.json",
            path="POST /fhir",
            situation="ITI-65: the radiology report of mdm/01, the identity qualified (VALI)",
            content=_bytes(transaction("01", [d.RADIO_1])),
            becomes="stored; after mdm/01 a duplicate",
        ),
        FhirSample(
            file="fhir/02-iti65-two-documents.json",
            path="POST /fhir",
            situation="ITI-65: the two documents of oru/04 in one submission set",
            content=_bytes(transaction("02", [d.BIO_PAIR_3, d.BIO_PAIR_1])),
            becomes="stored: one submission, two documents",
        ),
        FhirSample(
            file="fhir/03-iti65-replacement.json",
            path="POST /fhir",
            situation="ITI-65 with relatesTo and PATCH: replaces fhir/01 or mdm/01, as mdm/02 does",
            content=_bytes(transaction("03", [d.RADIO_1_V2])),
            becomes="stored: version 2; version 1 goes to history",
        ),
        FhirSample(
            file="fhir/04-iti65-masked.json",
            path="POST /fhir",
            situation="ITI-65: securityLabel N and MASQUE_PS, the report of oru/08",
            content=_bytes(transaction("04", [d.BIO_MASKED], labels=("MASQUE_PS",))),
            becomes="stored: read by its author, the patient and the treating doctor only",
        ),
        FhirSample(
            file="fhir/05-iti105-simple.json",
            path="POST /fhir/DocumentReference",
            situation="ITI-105: the second report of oru/05 in one DocumentReference; no status of identity",
            content=_bytes(simplified(d.BIO_2)),
            becomes="stored, for a source with the grant identity_asserted",
        ),
    ]


def transaction(name: str, documents: Sequence[Document], labels: Sequence[str] = ()) -> dict[str, Any]:
    """
    Write an ITI-65 bundle.

    Args:
        name: Makes its fullUrls.
        documents: One submission set for all; the first gives patient, sender and date.
        labels: Codes of visibility, for each document.

    Returns:
        The Bundle.
    """
    head = documents[0]
    url = {one.name: _url(name, one.name) for one in documents}
    submission_set = {
        "resourceType": "List",
        "meta": {"profile": [f"{_PDSM}/pdsm-submissionset-comprehensive"]},
        "contained": [_patient(head), *_author(head)],
        "extension": [
            {
                "url": f"{_MHD}/StructureDefinition/ihe-designationType",
                "valueCodeableConcept": _concept(_ACTIVITIES, "07", "Consultation"),
            },
            {"url": f"{_MHD}/StructureDefinition/ihe-sourceId", "valueIdentifier": _identifier(_URI, f"urn:oid:{_PORTAL}")},
            {"url": f"{_MHD}/StructureDefinition/ihe-sourcePatientId", "valueReference": {"reference": "#patient"}},
        ],
        "status": "current",
        "mode": "working",
        "code": _concept(f"{_MHD}/CodeSystem/MHDlistTypes", "submissionset"),
        "subject": {"reference": _subject(head.patient)},
        "date": _date(head.time),
        "source": {"reference": "#author"},
        "entry": [{"item": {"reference": url[one.name]}} for one in documents],
    }
    entries = [_entry(_url(name, "set"), submission_set, "POST", "List")]
    for one in documents:
        binary = _url(name, f"{one.name}/content")
        entries.append(_entry(url[one.name], _reference(one, binary, labels), "POST", "DocumentReference"))
        if one.replaces is not None:
            entries.append(_entry(_url(name, f"{one.name}/patch"), _patch(), "PATCH", _old(one.replaces)))
        data = base64.b64encode(render(one)).decode()
        resource = {"resourceType": "Binary", "contentType": "application/xml", "data": data}
        entries.append(_entry(binary, resource, "POST", "Binary"))
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{_PDSM}/pdsm-comprehensive-provide-document-bundle"]},
        "type": "transaction",
        "entry": entries,
    }


def simplified(document: Document) -> dict[str, Any]:
    """Write the DocumentReference of an ITI-105: what the CDA says itself is left out."""
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [f"{_PDSM}/pdsm-simplified-publish"]},
        "contained": _author(document),
        "masterIdentifier": _identifier(_URI, f"urn:oid:{document.id}"),
        "status": "current",
        "type": _concept(_LOINC, *document.type),
        "subject": {"reference": _subject(document.patient)},
        "date": _date(document.time),
        "author": [{"reference": "#author"}],
        "content": [
            {
                "attachment": {
                    "contentType": "application/xml",
                    "data": base64.b64encode(render(document)).decode(),
                    "title": document.title,
                }
            }
        ],
    }


def _reference(document: Document, binary: str, labels: Sequence[str]) -> dict[str, Any]:
    content = render(document)
    relation = (
        {"relatesTo": [{"code": "replaces", "target": {"reference": _old(document.replaces)}}]} if document.replaces else {}
    )
    visible = [{"coding": [{"system": _VISIBILITY, "code": label}]} for label in labels]
    return {
        "resourceType": "DocumentReference",
        "meta": {"profile": [f"{_PDSM}/pdsm-comprehensive-document-reference"]},
        "contained": [_patient(document), *_author(document)],
        "masterIdentifier": _identifier(_URI, f"urn:oid:{document.id}"),
        "status": "current",
        "type": _concept(_LOINC, *document.type),
        "category": [_concept(_CLASSES, *_CLASS[document.type[0]])],
        "subject": {"reference": _subject(document.patient)},
        "date": _date(document.time),
        "author": [{"reference": "#author"}],
        "authenticator": {"reference": "#author"},
        **relation,
        "securityLabel": [_concept(_CONFIDENTIALITY, "N", "normal"), *visible],
        "content": [
            {
                "attachment": {
                    "contentType": "application/xml",
                    "language": "fr-FR",
                    "url": binary,
                    "size": len(content),
                    "hash": base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),
                    "title": document.title,
                    "creation": _date(document.time),
                },
                "format": {"system": _FORMATS, "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient"},
            }
        ],
        "context": {
            "period": {"start": _date(document.time)},
            "facilityType": _concept(_SECTORS, *document.organization.facility_code),
            "practiceSetting": _concept(_SETTINGS, "ETABLISSEMENT", "Etablissement de santé"),
            "sourcePatientInfo": {"reference": "#patient"},
        },
    }


def _patient(document: Document) -> dict[str, Any]:
    """Write the patient with the traits and the status of the identity."""
    patient, place = document.patient, document.organization
    insee = {"system": f"{_NOS}/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM", "code": patient.birthplace[0]}
    official = {
        "use": "official",
        "family": patient.family,
        "given": [patient.given],
        "extension": [
            {"url": f"{_FRENCH}/StructureDefinition/fr-core-patient-birth-list-given-name", "valueString": patient.givens}
        ],
    }
    return {
        "resourceType": "Patient",
        "id": "patient",
        "extension": [
            {
                "url": f"{_FRENCH}/StructureDefinition/fr-core-identity-reliability",
                "extension": [
                    {
                        "url": "identityStatus",
                        "valueCoding": {"system": f"{_FRENCH}/CodeSystem/fr-core-cs-v2-0445", "code": "VALI"},
                    }
                ],
            },
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {
                    "city": patient.birthplace[1],
                    "extension": [{"url": f"{_FRENCH}/StructureDefinition/fr-core-address-insee-code", "valueCoding": insee}],
                },
            },
        ],
        "identifier": [
            {"use": "official", **_identifier(f"urn:oid:{INS_TEST_ROOT}", patient.ins)},
            {
                "use": "usual",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PI"}]},
                **_identifier(f"urn:oid:{place.oid}.1", patient.local[place.id]),
            },
        ],
        "name": [official, *([{"use": "usual", "family": patient.used_family}] if patient.used_family else [])],
        "gender": _GENDERS[patient.sex],
        "birthDate": f"{patient.born[:4]}-{patient.born[4:6]}-{patient.born[6:]}",
    }


def _author(document: Document) -> list[dict[str, Any]]:
    """Write the author in the role that signs, with person and site."""
    author, place = document.author, document.organization
    name = {"family": author.family, "given": [author.given]}
    practitioner = {
        "resourceType": "Practitioner",
        "id": "practitioner",
        "identifier": [_identifier("urn:oid:1.2.250.1.71.4.2.1", author.idnps)],
        "name": [name],
    }
    organization = {
        "resourceType": "Organization",
        "id": "organization",
        "identifier": [_identifier("https://finess.esante.gouv.fr", place.eg)],
        "name": place.name,
    }
    role = {
        "resourceType": "PractitionerRole",
        "id": "author",
        "practitioner": {"reference": "#practitioner"},
        "organization": {"reference": "#organization"},
    }
    return [practitioner, organization, role]


def _patch() -> dict[str, Any]:
    part = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "value", "valueCode": "superseded"},
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}


def _old(document: Document) -> str:
    """Name a document of the record by its uniqueId: no server id is known."""
    return f"DocumentReference?identifier={_URI}|urn:oid:{document.id}"


def _subject(patient: Patient) -> str:
    return f"Patient?identifier=urn:oid:{INS_TEST_ROOT}|{patient.ins}"


def _entry(url: str, resource: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    return {"fullUrl": url, "resource": resource, "request": {"method": method, "url": path}}


def _identifier(system: str, value: str) -> dict[str, Any]:
    return {"system": system, "value": value}


def _concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}]}


def _url(name: str, of: str) -> str:
    return f"urn:uuid:{uuid.uuid5(_URLS, f'{name}/{of}')}"


def _date(time: str) -> str:
    """Write a TS with seconds and zone as a dateTime."""
    return f"{time[:4]}-{time[4:6]}-{time[6:8]}T{time[8:10]}:{time[10:12]}:{time[12:14]}{time[14:17]}:{time[17:19]}"


def _bytes(resource: dict[str, Any]) -> bytes:
    return (json.dumps(resource, indent=2, ensure_ascii=False) + "\n").encode()
