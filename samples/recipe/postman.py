"""The Postman collection: samples posted over HTTP, with what must be answered; newman runs it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: The patient of every request has this INS: its record must be open.
PATIENT: Final = "284103523811464"
FILE: Final = "postman/dmp-gateway.postman_collection.json"
_SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_PORTAL: Final = "portail-valmont"
_XML: Final = "text/xml; charset=utf-8"
_FHIR: Final = "application/fhir+json"

_HELP: Final = f"""\
Deposits over HTTP: FHIR, CDA, HL7v2; what is refused; what became of a deposit.

Start a gateway on its sample configuration and open the record of the sample's patient:

    dmp-gateway serve
    dmp-gateway record open --ins {PATIENT} --collected-by desk

Then run it here, or by `newman run`; `--env-var baseUrl=…` names another address. It may be run again: what is there already
is answered 200 instead of 201.
"""


@dataclass(frozen=True, kw_only=True)
class Request:
    """
    One request, and what must be answered.

    Attributes:
        name: Of the request.
        why: What it shows.
        method: HTTP method.
        path: Below `baseUrl`; ``{{name}}`` is a variable that an earlier answer set.
        source: X-DMP-Source; empty: without.
        kind: Content-Type.
        file: Sample that is its body.
        headers: More headers.
        status: One of these is answered.
        holds: Value by path in the JSON of the answer (``problems.0.code``).
        text: Stands in the answer.
        keeps: Variable → header of the answer that it keeps.
        same: Header of the answer → variable that it must equal.
    """

    name: str
    why: str
    method: str
    path: str
    source: str = _PORTAL
    kind: str = ""
    file: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: tuple[int, ...]
    holds: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    keeps: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)


REQUESTS: Final = (
    Request(
        name="What the gateway can do",
        why="GET /fhir/metadata: the CapabilityStatement, asked for first by many clients.",
        method="GET",
        path="/fhir/metadata",
        source="",
        status=(200,),
        holds={"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"},
    ),
    Request(
        name="A radiology report by ITI-65",
        why="A transaction of PDSm: SubmissionSet, DocumentReference, the document in base64.",
        method="POST",
        path="/fhir",
        kind=_FHIR,
        file="fhir/01-iti65-radiology.json",
        status=(200,),
        holds={"resourceType": "Bundle", "type": "transaction-response"},
    ),
    Request(
        name="The same again: a duplicate",
        why="Sent twice, stored once: the answer is the first one's.",
        method="POST",
        path="/fhir",
        kind=_FHIR,
        file="fhir/01-iti65-radiology.json",
        status=(200,),
        holds={"resourceType": "Bundle", "type": "transaction-response"},
    ),
    Request(
        name="A report by ITI-105",
        why="One DocumentReference with the document in it.",
        method="POST",
        path="/fhir/DocumentReference",
        kind=_FHIR,
        file="fhir/05-iti105-simple.json",
        status=(201, 200),
        holds={"resourceType": "DocumentReference"},
    ),
    Request(
        name="A laboratory report as a CDA alone",
        why="POST /cda waits for the record: 201, and where to ask for it.",
        method="POST",
        path="/cda",
        kind=_XML,
        file="cda/bio-adele-second.xml",
        status=(201, 200),
        keeps={"deposit": "Location"},
    ),
    Request(
        name="The same CDA again: a duplicate",
        why="200, and the place of the first deposit.",
        method="POST",
        path="/cda/",
        kind=_XML,
        file="cda/bio-adele-second.xml",
        status=(200,),
        holds={"state": "duplicate"},
        same={"Location": "deposit"},
    ),
    Request(
        name="What became of it",
        why="GET /deposits/{id}, for the source that sent it.",
        method="GET",
        path="{{deposit}}",
        status=(200,),
        holds={"deposit.state": "stored", "deposit.source": _PORTAL},
    ),
    Request(
        name="Nobody else is told",
        why="Another source is answered as for an id that never was.",
        method="GET",
        path="{{deposit}}",
        source="dpi-aubier",
        status=(404,),
        holds={"code": "DEPOSIT_UNKNOWN"},
    ),
    Request(
        name="A report by HL7v2 over HTTP",
        why="The acknowledgment is the body of the answer.",
        method="POST",
        path="/hl7v2",
        source="",
        kind="application/hl7-v2",
        file="oru/01-new-report.er7",
        status=(200,),
        text="|AA|",
    ),
    Request(
        name="A wrong control key of the INS",
        why="422 with the code, the place as an XPath, and what to do.",
        method="POST",
        path="/cda",
        kind=_XML,
        file="cda/bio-adele-cle-fausse.xml",
        status=(422,),
        holds={"code": "INS_KEY"},
        text="/ClinicalDocument/recordTarget[1]/patientRole[1]/id[",
    ),
    Request(
        name="Flags that contradict each other",
        why="Neither professionals nor the patient could read it.",
        method="POST",
        path="/cda",
        kind=_XML,
        file="cda/bio-adele-v1.xml",
        headers={"DMP-Flags": "MASQUE_PS, INVISIBLE_PATIENT"},
        status=(422,),
        holds={"code": "FLAGS_FORBIDDEN", "problems.0.place": "header:DMP-Flags"},
    ),
    Request(
        name="A source without the grant",
        why="A CDA carries no status of identity: only a source that is trusted for it may send one alone.",
        method="POST",
        path="/cda",
        source="sil-valmont",
        kind=_XML,
        file="cda/bio-adele-v1.xml",
        status=(422,),
        holds={"code": "INS_UNQUALIFIED"},
    ),
    Request(
        name="A wrong content type",
        why="415, and which types are taken.",
        method="POST",
        path="/cda",
        kind="application/pdf",
        file="cda/bio-adele-v1.xml",
        status=(415,),
        holds={"code": "HTTP_TYPE_UNSUPPORTED"},
    ),
    Request(
        name="A path that is not there",
        why="404, as problem+json.",
        method="GET",
        path="/nothing",
        source="",
        status=(404,),
        holds={"code": "HTTP_PATH_UNKNOWN"},
    ),
    Request(
        name="A FHIR resource that is not there",
        why="404, as an OperationOutcome.",
        method="GET",
        path="/fhir/Nothing",
        source="",
        status=(404,),
        holds={"resourceType": "OperationOutcome"},
    ),
)


def collection(files: Mapping[str, bytes]) -> bytes:
    """
    Write the collection.

    Args:
        files: Samples by path.

    Returns:
        Postman Collection 2.1, in UTF-8.
    """
    whole = {
        "info": {"name": "dmp-gateway", "description": _HELP, "schema": _SCHEMA},
        "variable": [{"key": "baseUrl", "value": "http://127.0.0.1:8080"}, {"key": "deposit", "value": ""}],
        "item": [_item(request, files) for request in REQUESTS],
    }
    return (json.dumps(whole, ensure_ascii=False, indent=2) + "\n").encode()


def body(request: Request, files: Mapping[str, bytes]) -> str:
    """Return the body of a request: of a message the segments end in CR, as it travels."""
    if not request.file:
        return ""
    text = files[request.file].decode()
    return text.replace("\n", "\r") if request.file.endswith(".er7") else text


def _item(request: Request, files: Mapping[str, bytes]) -> dict[str, Any]:
    headers = {
        **({"X-DMP-Source": request.source} if request.source else {}),
        **({"Content-Type": request.kind} if request.kind else {}),
        **request.headers,
    }
    return {
        "name": request.name,
        "request": {
            "description": request.why,
            "method": request.method,
            "header": [{"key": key, "value": value} for key, value in headers.items()],
            "url": "{{baseUrl}}" + request.path,
            **({"body": {"mode": "raw", "raw": body(request, files)}} if request.file else {}),
        },
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": _script(request)}}],
    }


def _script(request: Request) -> list[str]:
    statuses = " or ".join(map(str, request.status))
    lines = [
        f"pm.test({_js(f'answered {statuses}')}, function () {{",
        f"  pm.expect({_js(list(request.status))}).to.include(pm.response.code);",
        "});",
    ]
    for path, value in request.holds.items():
        lines += [
            f"pm.test({_js(f'{path} is {value}')}, function () {{",
            f"  const found = {_js(path.split('.'))}.reduce((value, key) => value[key], pm.response.json());",
            f"  pm.expect(found).to.eql({_js(value)});",
            "});",
        ]
    if request.text:
        lines += [
            f"pm.test({_js(f'says {request.text}')}, function () {{",
            f"  pm.expect(pm.response.text()).to.include({_js(request.text)});",
            "});",
        ]
    for header, variable in request.same.items():
        lines += [
            f"pm.test({_js(f'{header} is the first one')}, function () {{",
            f"  pm.expect(pm.response.headers.get({_js(header)})).to.eql(pm.collectionVariables.get({_js(variable)}));",
            "});",
        ]
    lines += [
        f"pm.collectionVariables.set({_js(variable)}, pm.response.headers.get({_js(header)}));"
        for variable, header in request.keeps.items()
    ]
    return lines


def _js(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
