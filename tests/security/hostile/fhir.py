"""FHIR that points outside or at itself, carries what it should not, or asks for what is nobody's to ask."""

import base64
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from gateway.config.load import samples_directory
from tests.security.hostile.case import Case, case
from tests.security.hostile.xml import CDA, DOCTYPES

SIMPLE, SET, CONSENT = "05-iti105-simple", "01-iti65-radiology", "07-consent-deny"
HARMLESS: Final = (SIMPLE, SET, CONSENT)
_WEB: Final = "http://127.0.0.1:9/x"
_INS: Final = "Patient?identifier=urn:oid:1.2.250.1.213.1.4.10|"
#: What any of them may be refused by: of its form, of its identity, of its content.
_FORM: Final = (
    "FHIR_STRUCTURE FHIR_REQUIRED FHIR_VALUE FHIR_INVARIANT FHIR_UNSUPPORTED FHIR_REFERENCE JSON_INVALID "
    "UNSTORABLE_TEXT FHIR_CODE FHIR_MODIFIER"
)

_DIFFERS: Final = "ATTACHMENT_DIFFERS DOCUMENT_ID_DIFFERS TRAITS_MISSING"
_WHOLE: Final = {"contentType": "application/xml", "data": base64.b64encode(CDA.encode()).decode()}
_SUBJECTS: Final = {
    "another server": f"{_WEB}/Patient/1",
    "a file": "file:///etc/passwd",
    "up": "../Patient/1",
    "a resource of no one": "Patient/1",
    "what is not contained": "#nobody",
    "an author": "#author",
    "an entry that is not there": "urn:uuid:00000000-0000-0000-0000-000000000000",
    "a script": "javascript:alert(1)",
    "a search for all": "Patient?",
    "a search by name": "Patient?name=ESSAI-UN",
    "a search of another server": f"{_WEB}/Patient?identifier=urn:oid:1.2.250.1.213.1.4.10|284103523811464",
    "a wildcard": f"{_INS}*",
    "another key": f"{_INS}284103523811465",
    "two patients": f"{_INS}284103523811464,urn:oid:1.2.250.1.213.1.4.10|277076322082910",
    "a second condition": f"{_INS}284103523811464&name=x",
    "full-width digits": f"{_INS}２８４１０３５２３８１１４６４",
    "an escaped NUL": f"{_INS}284103523811464%00",
    "SQL": f"{_INS}' OR '1'='1",
    "a root that is none": "Patient?identifier=urn:oid:1.2.3|284103523811464",
    "nothing": "",
    "a blank": " ",
    "a hundred thousand characters": "Patient/" + "1" * 100_000,
}
_IDS: Final = (
    "",
    " ",
    "x",
    "urn:oid:",
    "urn:oid:1",
    "urn:oid:1..2",
    "urn:oid:../..",
    "urn:oid:1.2.x",
    "<a>",
    "urn:oid:" + "1." * 5000 + "1",
)
_TYPES: Final = (
    "Foo",
    "Binary",
    "Patient",
    "Parameters",
    "OperationOutcome",
    "Bundle ",
    "bundle",
    "Resource",
    "DomainResource",
    "os.system",
)


@cache
def sample(name: str) -> bytes:
    """Return a sample of `samples/fhir`."""
    return (samples_directory() / "fhir" / f"{name}.json").read_bytes()


def changed(name: str, *steps: tuple[str, Any]) -> bytes:
    """Return a sample with values written anew: a path of keys and numbers with dots between, and what stands there."""
    tree = json.loads(sample(name))
    for path, value in steps:
        *above, last = (int(each) if each.isdigit() else each for each in path.split("."))
        here = tree
        for each in above:
            here = here[each]
        if isinstance(here, list) and last == len(here):
            here.append(value)
        else:
            here[last] = value
    return json.dumps(tree).encode()


def resources() -> Iterator[Case]:
    """Every hostile resource of the door `fhir`."""
    yield from _references()
    yield from _contents()
    yield from _shapes()
    yield from _transactions()


def _references() -> Iterator[Case]:
    for name, reference in _SUBJECTS.items():
        data = changed(SIMPLE, ("subject.reference", reference))
        yield case(
            f"subject: {name}", "fhir", data, f"{_FORM} INS_ABSENT INS_KEY INS_ROOT INS_SEVERAL INS_UNQUALIFIED TRAITS_MISSING"
        )
    for name, steps in {
        "an author of another server": (("author.0.reference", f"{_WEB}/Practitioner/1"),),
        "an author that is not there": (("author.0.reference", "#nobody"),),
        "an author that is a patient": (("author.0.reference", "#organization"), ("contained.1.resourceType", "Patient")),
        "two of one id": (("contained.0.id", "organization"),),
        "contained in contained": (("contained.0.contained", [{"resourceType": "Patient", "id": "p"}]),),
        "contained without an id": (("contained.0.id", None),),
        "contained of no kind": (("contained.0.resourceType", "Foo"),),
    }.items():
        yield case(name, "fhir", changed(SIMPLE, *steps), f"{_FORM} SENDER_MISSING CDA_INVALID SENDER_DIFFERS INS_UNQUALIFIED")


def _contents() -> Iterator[Case]:
    for name, doctype in DOCTYPES.items():
        head, _, rest = CDA.partition("\n")
        document = base64.b64encode(f"{head}\n{doctype}{rest}".encode()).decode()
        yield case(
            f"DOCTYPE {name}", "fhir", changed(SIMPLE, ("content.0.attachment.data", document)), "XML_FORBIDDEN TRAITS_MISSING"
        )
    for name, attachment in {
        "a document elsewhere": {"contentType": "application/xml", "url": _WEB},
        "a document in a file": {"contentType": "application/xml", "url": "file:///etc/passwd"},
        "no document": {"contentType": "application/xml"},
        "an empty one": {"contentType": "application/xml", "data": ""},
        "HTML": {"contentType": "text/html", "data": base64.b64encode(b"<script>alert(1)</script>" * 9).decode()},
        "a zip": {"contentType": "application/zip", "data": base64.b64encode(b"PK\3\4" + bytes(200)).decode()},
        "another hash": {**_WHOLE, "hash": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        "another size": {**_WHOLE, "size": 1},
        "a negative size": {**_WHOLE, "size": -1},
    }.items():
        codes = f"{_FORM} DOCUMENT_EMPTY CONTENT_MISMATCH XML_INVALID NOT_CDA BASE64_INVALID {_DIFFERS}"
        yield case(f"content: {name}", "fhir", changed(SIMPLE, ("content.0.attachment", attachment)), codes)


def _shapes() -> Iterator[Case]:
    for written in _IDS:
        data = changed(SIMPLE, ("masterIdentifier.value", written))
        yield case(f"id {written[:20]!r}", "fhir", data, f"{_FORM} DOCUMENT_ID_DIFFERS FIELD_INVALID")
    for kind in _TYPES:
        yield case(f"type {kind!r}", "fhir", changed(SET, ("resourceType", kind)), _FORM)
    for name, value in (("a number", 1), ("a list", ["Bundle"]), ("an object", {"a": 1}), ("null", None), ("true", True)):
        yield case(f"resourceType {name}", "fhir", changed(SET, ("resourceType", value)), _FORM)
    deep: Any = {"url": "urn:x", "valueString": "x"}
    for _ in range(70):
        deep = {"url": "urn:x", "extension": [deep]}
    for name, steps in {
        "extensions 70 deep": (("extension", [deep]),),
        "a modifier": (("modifierExtension", [{"url": "urn:x", "valueBoolean": True}]),),
        "rules of another server": (("implicitRules", _WEB),),
        "an unknown element": (("danger", 1),),
        "a name of the library": (("status__ext", {"id": "x"}),),
        "a comment": (("fhir_comments", ["x"]),),
        "a status beside it": (("_status", 5),),
        "a status of no value": (("status", "finalised"),),
        "an error": (("status", "entered-in-error"),),
        "a date that is none": (("date", "2026-02-30T10:00:00+01:00"),),
        "a date without zone": (("date", "2026-02-10T10:00:00"),),
        "a list in the place of an object": (("type", []), ("subject", [{"reference": "x"}])),
        "an object in the place of a list": (("author", {"reference": "#author"}),),
        "a number in the place of a text": (("status", 1),),
        "an empty object": (("type", {}),),
        "an empty text": (("description", ""),),
    }.items():
        yield case(
            f"shape: {name}", "fhir", changed(SIMPLE, *steps), f"{_FORM} JSON_FORBIDDEN TYPE_NOT_DMP DATE_INVALID CDA_INVALID"
        )


def _transactions() -> Iterator[Case]:
    tree = json.loads(sample(SET))
    for name, steps in {
        "a deletion": (("entry.0.request.method", "DELETE"),),
        "a GET": (("entry.0.request.method", "GET"),),
        "another address": (("entry.0.request.url", f"{_WEB}/List"),),
        "up": (("entry.0.request.url", "../../admin"),),
        "no request": (("entry.0.request", None),),
        "no entries": (("entry", []),),
        "the same twice": ((f"entry.{len(tree['entry'])}", tree["entry"][0]),),
        "two of one address": (("entry.1.fullUrl", tree["entry"][0]["fullUrl"]),),
        "a list that names itself": (("entry.0.resource.entry.0.item.reference", tree["entry"][0]["fullUrl"]),),
        "a list that names nothing": (("entry.0.resource.entry.0.item.reference", "urn:uuid:0"),),
        "a list that names another server": (("entry.0.resource.entry.0.item.reference", _WEB),),
        "a bundle in a bundle": (("entry.0.resource", tree),),
        "a batch": (("type", "batch"),),
        "an answer": (("type", "transaction-response"),),
        "a history": (("type", "history"),),
        "no type": (("type", None),),
        "an entry that is none": (("entry.0", "x"),),
        "an entry that is null": (("entry.0", None),),
    }.items():
        yield case(f"set: {name}", "fhir", changed(SET, *steps), f"{_FORM} INS_UNQUALIFIED")
    for name, steps in {
        "another verdict": (("provision.type", "maybe"),),
        "no provision": (("provision", None),),
        "another scope": (("scope.coding.0.code", "research"),),
        "another server's patient": (("patient.reference", f"{_WEB}/Patient/1"),),
        "a patient that is not there": (("patient.reference", "#nobody"),),
    }.items():
        yield case(f"consent: {name}", "fhir", changed(CONSENT, *steps), f"{_FORM} EVENT_UNUSABLE INS_ABSENT CONSENT_UNCLEAR")
