"""
The CapabilityStatement: what this gateway serves, and nothing else.

It is made of the paths that are really served: what is not in the table of routes is not in the statement.

Source: HL7 FHIR R4, capabilitystatement; IHE MHD, ITI-65 and ITI-105.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.mappers.fhir.response import encoded

FHIR_VERSION: Final = "4.0.1"
#: What bodies are taken in and answers given in; XML is not read.
FORMATS: Final = ("application/fhir+json", "application/json", "json")

#: Profiles that are read. Source: PDSm 3.1; IHE MHD 4.2.
PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition"
_PROVIDE: Final = f"{PDSM}/pdsm-comprehensive-provide-document-bundle"
_SIMPLIFIED: Final = f"{PDSM}/pdsm-simplified-publish"

_SECURITY_CODES: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"


@dataclass(frozen=True, slots=True)
class _Resource:
    """What a path says of a resource type."""

    type: str
    documentation: str
    profiles: tuple[str, ...] = ()
    conditional: bool = False


#: Path below the base that is served for POST → the resource that it creates.
_CREATES: Final[Mapping[str, _Resource]] = {
    "/DocumentReference": _Resource(
        "DocumentReference",
        "ITI-105, Simplified Publish: one document in content.attachment.data. A document that was deposited before is answered"
        " 200 with its first address.",
        profiles=(_SIMPLIFIED,),
        conditional=True,
    ),
    "/Bundle": _Resource(
        "Bundle",
        "A Bundle of type document is deposited as a document of the record, byte for byte. A transaction goes to the base.",
        conditional=True,
    ),
    "/Consent": _Resource(
        "Consent",
        "An opposition to the feeding of the record (provision.type deny, action collect), or its lifting (permit); the same for"
        " access by the establishment's team. 201 is given once it is in force.",
    ),
}

_TRANSACTION: Final = (
    "ITI-65, Provide Document Bundle (comprehensive metadata, FHIR Document Publish): all or nothing, answered once the record"
    " has decided; Prefer: respond-async is answered 202. Profile: " + _PROVIDE
)


def statement(served: Collection[tuple[str, str]], *, version: str, at: datetime, security: Sequence[str] = ()) -> bytes:
    """
    Return the CapabilityStatement.

    Args:
        served: (method, path below the base, "" for the base itself) of every route.
        version: Of the software.
        at: When what is served last changed: the start of the process.
        security: What stands behind a source, as the HTTP door knows it: in words, for a person.

    Raises:
        LookupError: a path is served that the statement has no words for: it would be left out.
    """
    known = {("GET", "/metadata"), ("POST", ""), *(("POST", path) for path in _CREATES)}
    if unknown := sorted(set(served) - known):
        raise LookupError(f"served and not described: {unknown}")
    rest: dict[str, Any] = {
        "mode": "server",
        "documentation": "FHIR R4 in JSON only; XML is answered 415 or 406. Nothing is read or searched by this interface.",
        "security": {
            "service": [
                {"coding": [{"system": _SECURITY_CODES, "code": "Certificates"}], "text": "mutual TLS, or a bearer token"}
            ],
            "description": " ".join(
                (
                    "A request speaks for one source, which a client certificate, a bearer token or the connection shows.",
                    *security,
                )
            ),
        },
    }
    resources = [_resource(row) for path, row in _CREATES.items() if ("POST", path) in served]
    if resources:
        rest["resource"] = resources
    if ("POST", "") in served:
        rest["interaction"] = [{"code": "transaction", "documentation": _TRANSACTION}]
    return encoded({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": at.isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "dmp-gateway", "version": version},
        "implementation": {"description": "Gateway that feeds the shared medical record"},
        "fhirVersion": FHIR_VERSION,
        "format": list(FORMATS),
        "rest": [rest],
    })  # fmt: skip


def _resource(row: _Resource) -> dict[str, Any]:
    found: dict[str, Any] = {"type": row.type}
    if row.profiles:
        found["supportedProfile"] = list(row.profiles)
    found["documentation"] = row.documentation
    found["interaction"] = [{"code": "create"}]
    found["versioning"] = "no-version"
    found["conditionalCreate"] = row.conditional
    return found
