"""A FHIR document, and oppositions stated as a Consent."""

# ruff: noqa: SLF001 - one recipe in two files

from typing import Any, Final

from recipe import documents as d
from recipe import fhir
from recipe.cda import Document
from recipe.fhir import FhirSample

_ACTIONS: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
_SCOPES: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_CATEGORY: Final = ("http://loinc.org", "59284-0", "Patient Consent")
_POTASSIUM: Final = ("http://loinc.org", "2823-3", "Potassium [Moles/volume] in Serum or Plasma")


def samples() -> list[FhirSample]:
    """Write every sample."""
    return [
        FhirSample(
            file="fhir/06-document-bundle.json",
            path="POST /fhir/Bundle",
            situation="a FHIR document (Bundle of type document): a laboratory report",
            content=fhir._bytes(document(d.BIO_1)),
            becomes="stored: the bytes of the file are the document",
        ),
        FhirSample(
            file="fhir/07-consent-deny.json",
            path="POST /fhir/Consent",
            situation="an opposition told to the hospital, as ZFA-9 = IO says it (adt/02)",
            content=fhir._bytes(consent("deny", "2026-03-02T11:00:00+01:00")),
            becomes="applied: from now on the hospital's deposits are refused (403, OPPOSED)",
        ),
        FhirSample(
            file="fhir/08-consent-permit.json",
            path="POST /fhir/Consent",
            situation="the same, lifted",
            content=fhir._bytes(consent("permit", "2026-03-09T09:00:00+01:00")),
            becomes="applied: what was refused may be sent again",
        ),
    ]


def consent(kind: str, stated_at: str) -> dict[str, Any]:
    """
    Write a Consent about the feeding of the record.

    Args:
        kind: `deny` or `permit`.
        stated_at: When the patient said it.

    Returns:
        The Consent; it binds the deposits of the establishment that sends it.
    """
    return {
        "resourceType": "Consent",
        "contained": [fhir._patient(d.RADIO_1)],
        "identifier": [{"system": "urn:oid:1.2.250.1.999.1.4", "value": f"consent-{kind}"}],
        "status": "active",
        "scope": fhir._concept(_SCOPES, "patient-privacy"),
        "category": [fhir._concept(*_CATEGORY)],
        "patient": {"reference": "#patient"},
        "dateTime": stated_at,
        "provision": {"type": kind, "action": [fhir._concept(_ACTIONS, "collect")]},
    }


def document(of: Document) -> dict[str, Any]:
    """Write a FHIR document: its header says what the CDA of the same name says, its id is its own."""
    name = "06"
    url = {kind: fhir._url(name, kind) for kind in ("composition", "patient", "practitioner", "organization", "author", "result")}
    patient = {known: value for known, value in fhir._patient(of).items() if known != "id"}
    practitioner, organization, _ = fhir._author(of)
    role = {
        "resourceType": "PractitionerRole",
        "practitioner": {"reference": url["practitioner"]},
        "organization": {"reference": url["organization"]},
    }
    result = {
        "resourceType": "Observation",
        "status": "final",
        "category": [fhir._concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
        "code": fhir._concept(*_POTASSIUM),
        "subject": {"reference": url["patient"]},
        "effectiveDateTime": fhir._date(of.time),
        "performer": [{"reference": url["author"]}],
        "valueQuantity": {"value": 5.6, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    }
    composition = {
        "resourceType": "Composition",
        "language": "fr-FR",
        "status": "final",
        "type": fhir._concept("http://loinc.org", *of.type),
        "subject": {"reference": url["patient"]},
        "date": fhir._date(of.time),
        "author": [{"reference": url["author"]}],
        "title": of.title,
        "confidentiality": "N",
        "attester": [{"mode": "legal", "time": fhir._date(of.time), "party": {"reference": url["author"]}}],
        "custodian": {"reference": url["organization"]},
        "event": [{"period": {"start": fhir._date(of.time)}}],
        "section": [
            {
                "title": "Biochimie",
                "code": fhir._concept("http://loinc.org", "18719-5", "Chemistry studies (set)"),
                "text": {
                    "status": "generated",
                    "div": '<div xmlns="http://www.w3.org/1999/xhtml">Potassium : 5,6 mmol/L</div>',
                },
                "entry": [{"reference": url["result"]}],
            }
        ],
    }
    bare = [{known: value for known, value in each.items() if known != "id"} for each in (practitioner, organization)]
    kinds = ("composition", "patient", "practitioner", "organization", "author", "result")
    resources = (composition, patient, *bare, role, result)
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:1.2.250.1.999.1.2.6.{of.number}"},
        "type": "document",
        "timestamp": fhir._date(of.time),
        "entry": [{"fullUrl": url[kind], "resource": each} for kind, each in zip(kinds, resources, strict=True)],
    }
