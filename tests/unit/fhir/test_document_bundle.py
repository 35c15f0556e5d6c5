"""A FHIR document as a document of the record: alone, or published with its DocumentReference."""

import base64
import copy
import hashlib
import json as plain
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.load import load as configured
from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import document_bundle, provide, response
from gateway.mappers.fhir.json import load
from gateway.model.outcome import DocumentOutcome, Outcome, Rejection
from gateway.model.problem import Severity, Unreadable
from gateway.model.submission import Act, Submission
from gateway.model.verdict import Verdict

SAMPLES = Path(__file__).parents[3] / "samples"
DOCUMENT = plain.loads((SAMPLES / "fhir" / "06-document-bundle.json").read_bytes())
TRANSACTION = plain.loads((SAMPLES / "fhir" / "01-iti65-radiology.json").read_bytes())
VISIBILITY = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

_SETTINGS = configured(SAMPLES / "dmp-gateway.toml", {}, {}).settings
_SOURCES = {source.id: source for source in _SETTINGS.directory.sources}

Edit = Callable[[dict[str, Any]], object]


def _read(resource: dict[str, Any], source: str = "portail-valmont", *, indent: int | None = None) -> Read:
    body = plain.dumps(resource, indent=indent, ensure_ascii=False).encode()
    return document_bundle.read(load(body), _SOURCES[source], _SETTINGS.directory, "test")


def _edited(edit: Edit) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(DOCUMENT)
    edit(made)
    return made


def _submission(read: Read) -> Submission:
    assert isinstance(read.content, Submission), [(p.code, p.detail, str(p.place)) for p in read.problems]
    return read.content


def _refusals(read: Read) -> list[tuple[str, str]]:
    assert isinstance(read.content, Rejection)
    return [(p.code, p.place.path if p.place else "") for p in read.problems if p.severity is Severity.ERROR]


def _composition(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["entry"][0]["resource"]
    return found


def test_the_body_is_the_document_byte_for_byte() -> None:
    body = plain.dumps(DOCUMENT, indent=7, ensure_ascii=False).encode()
    read = document_bundle.read(load(body), _SOURCES["portail-valmont"], _SETTINGS.directory, "test")
    submission = _submission(read)
    (document,) = submission.documents
    assert read.parts == (body,)
    assert (document.part, submission.carriers, submission.act) == (0, (), Act.ADD)
    entry = document.entry
    assert (entry.size, entry.digest) == (len(body), hashlib.sha256(body).hexdigest())
    assert entry.hash == hashlib.sha1(body, usedforsecurity=False).hexdigest()
    assert entry.mime_type == "application/fhir+json"


def test_the_entry_is_what_the_composition_says() -> None:
    (document,) = _submission(_read(DOCUMENT)).documents
    entry = document.entry
    assert entry.unique_id == DOCUMENT["identifier"]["value"].removeprefix("urn:oid:")
    assert (entry.type_code.code, entry.type_code.system) == ("11502-2", "2.16.840.1.113883.6.1")
    assert entry.class_code is not None
    assert entry.format_code is not None
    assert (entry.title, entry.language, entry.level) == (_composition(DOCUMENT)["title"], "fr-FR", 3)
    assert [code.code for code in entry.confidentiality_codes] == ["N"]
    assert [author.person.id.value for author in entry.authors if author.person and author.person.id] == ["899900000011"]
    assert entry.legal_authenticator is not None
    assert entry.legal_authenticator.time is not None
    assert entry.custodian.id is not None
    assert entry.custodian.id.value == "1990000026"
    assert entry.service_start is not None
    assert entry.creation_time.written == _composition(DOCUMENT)["date"]
    assert [known.value for known in document.patients[0].ins] == ["284103523811464"]


@pytest.mark.parametrize(
    ("identifier", "known"),
    [
        ({"system": "urn:oid:1.2.3", "value": "abc"}, "1.2.3^abc"),
        ({"system": "1.2.3", "value": "abc"}, "1.2.3^abc"),
        ({"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}, "1.2.3"),
        (
            {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:0C3201BD-1CBF-4D64-B04D-CD9187A4C6E0"},
            "0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0",
        ),
    ],
)
def test_the_identifier_is_the_unique_id_as_a_cda_gives_it(identifier: dict[str, str], known: str) -> None:
    read = _read(_edited(lambda made: made.update(identifier=identifier)))
    assert _submission(read).documents[0].entry.unique_id == known


def _without(*path: Any) -> Edit:
    def edit(made: dict[str, Any]) -> None:
        node: Any = made
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]

    return edit


def _with(*path: Any, to: Any) -> Edit:
    def edit(made: dict[str, Any]) -> None:
        node: Any = made
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = to

    return edit


_OTHER = "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e1"
_C = ("entry", 0, "resource")
_AT = "Bundle.entry[0].resource"


_WRONG: list[tuple[Edit, str, str]] = [
    (_without("identifier"), "FHIR_REQUIRED", "Bundle.identifier"),
    (_without("identifier", "system"), "FHIR_REQUIRED", "Bundle.identifier.system, value"),
    (_without("timestamp"), "FHIR_REQUIRED", "Bundle.timestamp"),
    (_without("entry", 2, "fullUrl"), "FHIR_REQUIRED", "Bundle.entry[2].fullUrl"),
    (_with("entry", 2, "fullUrl", to="http://x/Practitioner/1/_history/2"), "FHIR_INVARIANT", "Bundle.entry[2].fullUrl"),
    (_with("entry", 2, "request", to={"method": "POST", "url": "x"}), "FHIR_INVARIANT", "Bundle.entry[2].request"),
    (lambda made: made["entry"].append(made["entry"][1]), "FHIR_INVARIANT", "Bundle.entry[6].fullUrl"),
    (
        lambda made: made["entry"].append(
            {"fullUrl": "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e1", "resource": _composition(made)}
        ),
        "FHIR_INVARIANT",
        "Bundle.entry[6].resource",
    ),
    (lambda made: made["entry"].insert(0, made["entry"].pop()), "FHIR_INVARIANT", "Bundle.entry"),
    (_with("type", to="collection"), "FHIR_UNSUPPORTED", "Bundle.type"),
    (_with(*_C, "status", to="preliminary"), "DOCUMENT_NOT_FINAL", f"{_AT}.status"),
    (_with(*_C, "status", to="entered-in-error"), "DOCUMENT_NOT_FINAL", f"{_AT}.status"),
    (_with(*_C, "status", to="finished"), "FHIR_CODE", f"{_AT}.status"),
    (_without(*_C, "subject"), "FHIR_REQUIRED", f"{_AT}.subject"),
    (_with(*_C, "subject", to={"reference": "urn:uuid:nobody"}), "FHIR_REFERENCE", f"{_AT}.subject.reference"),
    (_with(*_C, "author", 0, "reference", to="Practitioner/7"), "FHIR_REFERENCE", f"{_AT}.author[0].reference"),
    (
        _with(*_C, "section", 0, "entry", 0, "reference", to="urn:uuid:x"),
        "FHIR_REFERENCE",
        f"{_AT}.section[0].entry[0].reference",
    ),
    (_with(*_C, "section", 0, to={"title": "vide"}), "FHIR_INVARIANT", f"{_AT}.section[0]"),
    (
        _with(*_C, "section", 0, "emptyReason", to={"text": "x"}),
        "FHIR_INVARIANT",
        f"{_AT}.section[0].emptyReason",
    ),
    (_with(*_C, "type", to={"text": "Compte rendu"}), "FHIR_REQUIRED", f"{_AT}.type.coding"),
    (_with(*_C, "type", "coding", 0, "code", to="1-8"), "TYPE_NOT_DMP", f"{_AT}.type"),
    (_with(*_C, "confidentiality", to="R"), "FLAGS_FORBIDDEN", f"{_AT}.confidentiality"),
    (_with("meta", to={"security": [{"system": CONFIDENTIALITY, "code": "V"}]}), "FLAGS_FORBIDDEN", f"{_AT}.confidentiality"),
    (_with("meta", to={"security": [{"system": "urn:x", "code": "secret"}]}), "FLAG_INVALID", "Bundle.meta.security[0].code"),
    (
        _with(*_C, "modifierExtension", to=[{"url": "urn:x", "valueBoolean": True}]),
        "FHIR_MODIFIER",
        f"{_AT}.modifierExtension[0].url",
    ),
    (
        _with(*_C, "relatesTo", to=[{"code": "replaces", "targetReference": {"reference": "Composition/1"}}]),
        "FHIR_REFERENCE",
        f"{_AT}.relatesTo[0]",
    ),
    (
        _with("entry", 1, "resource", "identifier", 0, "value", to="284103523811465"),
        "INS_KEY",
        "Bundle.entry[1].resource.identifier[0].value",
    ),
    (_without("entry", 1, "resource", "identifier"), "INS_ABSENT", "Bundle.entry[1].resource"),
    (_without("entry", 1, "resource", "gender"), "TRAITS_MISSING", "Bundle.entry[1].resource.gender"),
]


@pytest.mark.parametrize(("edit", "code", "path"), _WRONG, ids=map(str, range(len(_WRONG))))
def test_what_is_wrong_is_told_with_its_place(edit: Edit, code: str, path: str) -> None:
    assert (code, path) in _refusals(_read(_edited(edit)))


@pytest.mark.parametrize(
    "edit",
    [
        _without(*_C, "language"),
        _without(*_C, "confidentiality"),
        _without(*_C, "custodian"),
        _with("entry", 5, "resource", "performer", 0, "reference", to="Organization/7"),
        _with(*_C, "relatesTo", to=[{"code": "transforms", "targetReference": {"reference": "Composition/1"}}]),
    ],
    ids=["language", "confidentiality", "custodian", "reference", "relation"],
)
def test_what_is_only_unusual_is_warned_of(edit: Edit) -> None:
    submission = _submission(_read(_edited(edit)))
    assert {problem.code for problem in submission.problems} == {"FHIR_UNUSUAL"}
    assert submission.documents[0].entry.custodian.id is not None


def test_a_replacement_names_the_document_that_it_replaces() -> None:
    target = {"code": "replaces", "targetIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.9"}}
    submission = _submission(_read(_edited(_with(*_C, "relatesTo", to=[target]))))
    assert (submission.act, submission.documents[0].entry.replaces) == (Act.REPLACE, ("1.2.250.1.999.9",))


def test_labels_hide_the_document() -> None:
    label = {"system": VISIBILITY, "code": "MASQUE_PS"}
    submission = _submission(_read(_edited(_with("meta", to={"security": [label]}))))
    assert submission.flags.masque_ps
    assert [code.code for code in submission.documents[0].entry.confidentiality_codes] == ["N", "MASQUE_PS"]


def test_series_and_version_are_read() -> None:
    def edit(made: dict[str, Any]) -> None:
        _composition(made)["identifier"] = {"system": "urn:oid:1.2.3", "value": "7"}
        url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Composition.version"
        _composition(made)["extension"] = [{"url": url, "valueString": "2"}]

    entry = _submission(_read(_edited(edit))).documents[0].entry
    assert (entry.set_id, entry.version) == ("1.2.3^7", 2)
    worded = _edited(edit)
    _composition(worded)["extension"][0]["valueString"] = "2a"
    assert ("FHIR_VALUE", f"{_AT}.extension[0].valueString") in _refusals(_read(worded))


def test_a_source_without_the_grant_deposits_nothing() -> None:
    assert _refusals(_read(DOCUMENT, "gam-valmont")) == [("SOURCE_NOT_ALLOWED", "")]


# -- published with its DocumentReference (ITI-65)


def _published(edit: Edit = lambda _: None, document: dict[str, Any] = DOCUMENT) -> tuple[dict[str, Any], bytes]:
    made: dict[str, Any] = copy.deepcopy(TRANSACTION)
    listed, reference, binary = made["entry"]
    for entry in (listed, reference):
        entry["resource"]["contained"][0] = {**document["entry"][1]["resource"], "id": "patient"}
    binary |= {"resource": document, "request": {"method": "POST", "url": "Bundle"}}
    described = reference["resource"]
    described["masterIdentifier"] = document["identifier"]
    described["type"] = _composition(document)["type"]
    attachment = described["content"][0]["attachment"]
    attachment["contentType"] = "application/fhir+json"
    del attachment["size"], attachment["hash"]
    edit(made)
    return made, plain.dumps(made, indent=3, ensure_ascii=False).encode()


def _provide(body: bytes) -> Read:
    return provide.read(load(body), _SOURCES["portail-valmont"], _SETTINGS.directory, "test")


def test_a_published_document_is_its_bytes_in_the_body() -> None:
    made, body = _published()
    read = _provide(body)
    (document,) = _submission(read).documents
    content = read.parts[document.part]
    assert content in body
    assert plain.loads(content) == DOCUMENT
    assert (document.entry.size, document.entry.digest) == (len(content), hashlib.sha256(content).hexdigest())
    unique_id = document.entry.unique_id
    outcome = Outcome(
        verdict=Verdict.STORED, receipt="R1", documents=(DocumentOutcome(unique_id=unique_id, verdict=Verdict.STORED),)
    )
    answered = plain.loads(response.transaction(made, _submission(read), outcome, (), representation=True))
    reference, bundle = answered["entry"][1], answered["entry"][2]
    assert bundle["response"]["location"] == f"Bundle/{reference['resource']['id']}/_history/1"
    assert reference["resource"]["content"][0]["attachment"]["url"] == f"Bundle/{reference['resource']['id']}"


def test_the_same_document_alone_or_published_is_the_same() -> None:
    _, body = _published()
    read = _provide(body)
    (published,) = _submission(read).documents
    alone = document_bundle.read(load(read.parts[published.part]), _SOURCES["portail-valmont"], _SETTINGS.directory, "test")
    (other,) = _submission(alone).documents
    assert (published.entry.unique_id, published.entry.digest) == (other.entry.unique_id, other.entry.digest)


_ATTACHMENT = ("entry", 1, "resource", "content", 0, "attachment")


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (_with(*_ATTACHMENT, "size", to=80), "FHIR_INVARIANT"),
        (_with(*_ATTACHMENT, "hash", to=base64.b64encode(bytes(20)).decode()), "FHIR_INVARIANT"),
        (_with(*_ATTACHMENT, "contentType", to="application/xml"), "ATTACHMENT_DIFFERS"),
        (_with("entry", 1, "resource", "masterIdentifier", "value", to="urn:oid:1.2.3"), "DOCUMENT_ID_DIFFERS"),
        (_with("entry", 2, "resource", "entry", 0, "resource", "status", to="preliminary"), "DOCUMENT_NOT_FINAL"),
        (
            _with("entry", 2, "resource", "meta", to={"security": [{"system": VISIBILITY, "code": "MASQUE_PS"}]}),
            "FLAGS_FORBIDDEN",
        ),
        (_with("entry", 2, "resource", "type", to="collection"), "FHIR_UNSUPPORTED"),
        (
            lambda made: made["entry"].append({**made["entry"][2], "fullUrl": _OTHER}),
            "FHIR_INVARIANT",
        ),
    ],
    ids=["size", "hash", "type", "id", "status", "labels", "kind", "twice"],
)
def test_a_published_document_and_what_describes_it_agree(edit: Edit, code: str) -> None:
    _, body = _published(lambda made: made.update(plain.loads(plain.dumps(made))) or edit(made))
    assert code in {found for found, _ in _refusals(_provide(body))}


@st.composite
def _mangled(draw: st.DrawFn) -> dict[str, Any]:
    """The sample with some nodes replaced or gone."""
    made: dict[str, Any] = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        node: Any = made
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and draw(st.booleans()):
                node = node[key]
                continue
            node[key] = draw(st.sampled_from([None, "", "x", 1, True, [], {}, ["x"], {"x": 1}]))
            break
    return made


@settings(max_examples=80)
@given(_mangled())
def test_whatever_is_mangled_ends_in_a_reading(made: dict[str, Any]) -> None:
    try:
        read = _read(made)
    except Unreadable:
        return
    if isinstance(read.content, Rejection):
        assert read.content.problems[0].severity is Severity.ERROR
