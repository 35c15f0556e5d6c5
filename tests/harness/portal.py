"""A gateway whose sources also come by HTTP, each with a token of its own, and what speaks to it: curl, or a plain request."""

import base64
import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness import traffic
from tests.harness.config import Admitted, Facility, write
from tests.harness.day import AUBIER, VALMONT, Document, Patient
from tests.harness.door import Door

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "samples"))

from recipe import fhir
from recipe.cda import render
from recipe.people import Establishment

#: Kinds of senders of each establishment: their application (MSH-3).
SENDERS: Final = {
    "gam": ("GAM-V", "GAM-A"),
    "sil": ("SIL-V", "SIL-A"),
    "ris": ("RIS-V", "DPI-A"),
    "portail": ("PORTAIL-V", "PORTAIL-A"),
    "labo": ("LABO-V", "LABO-A"),
}
OIDS: Final = {VALMONT.id: "1.2.250.1.999.1.9", AUBIER.id: "1.2.250.1.999.2.9"}
FHIR: Final = "application/fhir+json"
_SECONDS: Final = 60.0


def token(kind: str, where: Establishment = VALMONT) -> str:
    """Return the token of a sender: nothing else looks like it."""
    return f"tok-{kind}-{where.id}-" + base64.urlsafe_b64encode(f"{kind} of {where.name}".encode()).decode().rstrip("=")


def bearer(kind: str, where: Establishment = VALMONT) -> dict[str, str]:
    """Return the header that shows a sender."""
    return {"Authorization": f"Bearer {token(kind, where)}"}


def configuration(folder: Path, *, environment: str = "test", sections: Iterable[str] = ()) -> Path:
    """Write a configuration of both establishments: every sender has every grant and a token; none is admitted without it."""
    places = (VALMONT, AUBIER)
    return write(
        folder / "gateway.toml",
        [
            Facility(
                id=place.id,
                finess_ej=place.ej,
                finess_eg=(place.eg,),
                authorities={"ipp": (place.namespace, place.ej, f"{place.oid}.1")},
            )
            for place in places
        ],
        [
            Admitted(
                id=f"{kind}-{place.id}",
                establishment=place.id,
                application=names[index],
                facility=place.namespace,
                token=token(kind, place),
                oid=OIDS[place.id],
                content_type="07",
            )
            for index, place in enumerate(places)
            for kind, names in SENDERS.items()
        ],
        environment=environment,
        sections=sections,
    )


def portal(folder: Path, *, environment: str = "test", sections: Iterable[str] = (), log: str = "info") -> Door:
    """Return such a gateway, not started; its temporary files would be in `temporary` below the folder."""
    config = configuration(folder, environment=environment, sections=sections)
    (folder / "temporary").mkdir()
    return Door(folder, config=config, environment={"DMP_GATEWAY_LOG_LEVEL": log, "TMPDIR": str(folder / "temporary")})


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    #: By lower-case name.
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, read."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The deciding problem: of problem+json, or of an OperationOutcome."""
        return str(self.json["code"]) if "code" in self.json else self.issues[0][1]

    @property
    def issues(self) -> list[tuple[str, str, str]]:
        """Severity, our code and French text of each issue of an OperationOutcome."""
        return [
            (issue["severity"], issue["details"]["coding"][0]["code"], issue["details"]["text"]) for issue in self.json["issue"]
        ]


def ask(door: Door, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Said:
    """Ask a gateway over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", door.process.http_port, timeout=_SECONDS)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def post_cda(door: Door, content: bytes, who: Mapping[str, str], **declared: str) -> Said:
    """Post a CDA; `DMP_Act="delete"` declares beside it."""
    said = {name.replace("_", "-"): value for name, value in declared.items()}
    return ask(door, "POST", "/cda", content, {"Content-Type": "text/xml", **who, **said})


def post_fhir(door: Door, resource: Mapping[str, Any], who: Mapping[str, str], path: str = "/fhir") -> Said:
    """Post a resource."""
    return ask(door, "POST", path, json.dumps(resource).encode(), {"Content-Type": FHIR, "Accept": FHIR, **who})


def post_hl7v2(door: Door, message: bytes, who: Mapping[str, str]) -> Said:
    """Post an HL7v2 message."""
    return ask(door, "POST", "/hl7v2", message, {"Content-Type": "application/hl7-v2", **who})


def transaction(*documents: Document) -> dict[str, Any]:
    """Return an ITI-65 of documents."""
    return fhir.transaction(documents[0].id, documents)


def simplified(document: Document) -> dict[str, Any]:
    """Return an ITI-105 of a document."""
    return fhir.simplified(document)


def consent(patient: Patient, right: str, at: str, where: Establishment = VALMONT) -> dict[str, Any]:
    """Return the opposition of a patient (`deny`), or its lifting (`permit`)."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"identifier": {"system": f"urn:oid:{traffic.INS_TEST_ROOT}", "value": patient.ins}},
        "dateTime": at,
        "organization": [{"identifier": {"system": "https://finess.esante.gouv.fr", "value": where.ej}}],
        "provision": {
            "type": right,
            "action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "collect"}]}],
        },
    }


def curl(*arguments: str, stdin: bytes | None = None) -> Said:
    """
    Run curl and return the first answer that is none on the way (100); leave the test out where there is no curl.

    Args:
        arguments: Its options and the address.
        stdin: What it reads from `@-`.
    """
    if shutil.which("curl") is None:
        pytest.skip("no curl: install curl")
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--include", "--max-time", "30", "--noproxy", "*", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr.decode(errors='replace')}"
    rest = done.stdout
    while True:  # an interim answer (100) comes before the one that counts
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        if status != 100:
            pairs = (line.partition(":") for line in lines)
            return Said(status, {name.strip().lower(): value.strip() for name, _, value in pairs}, rest)


__all__ = [
    "FHIR",
    "SENDERS",
    "Said",
    "ask",
    "bearer",
    "configuration",
    "consent",
    "curl",
    "portal",
    "post_cda",
    "post_fhir",
    "post_hl7v2",
    "render",
    "simplified",
    "token",
    "transaction",
]
