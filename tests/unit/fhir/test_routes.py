"""The routes of /fhir over ports that the test answers for: what is asked, handed over, and answered."""

import asyncio
import json as plain
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.consent import Consent
from fhir.resources.R4B.documentreference import DocumentReference
from fhir.resources.R4B.operationoutcome import OperationOutcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.http.engine import Engine
from gateway.adapters.http.fhir import FhirRoutes, render
from gateway.adapters.http.registry import Style
from gateway.config.load import load
from gateway.mappers.fhir import capability
from gateway.model.entry_id import entry_uuid, set_uuid
from gateway.model.event import PatientEvent, RecordEvent
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Reception, Submission
from gateway.model.verdict import Verdict
from tests.harness.site import NOW, Asked, Hands, Site, Still, stored

SAMPLES = Path(__file__).parents[3] / "samples"
FHIR = "application/fhir+json"
PORTAL, GAM = "portail-valmont", "gam-valmont"


class _Receipts:
    def __init__(self) -> None:
        self.number = 0

    def issue(self, source: str, at: datetime) -> str:
        self.number += 1
        return f"R{self.number}-{source}"

    def keyed(self, content: bytes) -> str:
        raise AssertionError("nothing is keyed by these routes")


class _Events(Hands):
    """Hands that take events, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stated: list[tuple[Reception, RecordEvent]] = []
        self.answer: Outcome | Exception | None = None

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        self.stated.append((reception, event))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or Outcome(verdict=Verdict.APPLIED, receipt=reception.receipt, committed_at=NOW.isoformat())


class _World:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.hands = _Events()
        loaded = load(SAMPLES / "dmp-gateway.toml", {}, {}).settings
        clock = Still()
        engine = Engine(
            deposits=self.hands,
            events=self.hands,
            receipts=_Receipts(),
            clock=clock,
            environment="test",
            loop=loop,
            wait_seconds=5,
        )
        self.routes = FhirRoutes(engine, loaded.directory, version="1.2.3", started_at=NOW).routes()
        self._site = Site(self.routes, loaded.directory, renderers={Style.FHIR: render})

    def post(self, path: str, body: bytes, kind: str = FHIR, *, source: str = PORTAL, **headers: str) -> Asked:
        return self._site.ask(
            "POST", path, body, kind, source=source, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def ask(self, method: str, path: str, **headers: str) -> Asked:
        return self._site.ask(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever)
    thread.start()
    yield running
    running.call_soon_threadsafe(running.stop)
    thread.join(10)
    running.close()


@pytest.fixture
def world(loop: asyncio.AbstractEventLoop) -> _World:
    return _World(loop)


def _sample(name: str) -> bytes:
    return next((SAMPLES / "fhir").glob(f"{name}-*.json")).read_bytes()


def _codes(asked: Asked) -> list[str]:
    assert asked.headers["Content-Type"] == FHIR
    model = OperationOutcome.model_validate_json(asked.content)
    return [issue.details.coding[0].code for issue in model.issue if issue.details.coding]


def _edited(name: str, **changes: Any) -> bytes:
    return plain.dumps(plain.loads(_sample(name)) | changes).encode()


def test_each_entry_has_its_address_however_the_request_names_it(world: _World) -> None:
    world.hands.decide = lambda r, s: stored(r, s, committed_at=NOW.isoformat())
    tree = plain.loads(_sample("01"))
    held, described, binary = (entry["resource"] for entry in tree["entry"])
    binary["id"] = "bytes"
    described["content"][0]["attachment"]["url"] = "Binary/bytes"
    held["code"]["coding"].append({"system": "urn:x", "code": "folder"})
    answer = world.post("/fhir", plain.dumps(tree).encode())
    assert answer.status == 200
    addresses = [entry["response"]["location"].split("/")[:2] for entry in plain.loads(answer.content)["entry"]]
    assert [kind for kind, _ in addresses] == ["List", "DocumentReference", "Binary"]
    assert addresses[1][1] == addresses[2][1] != addresses[0][1]


def test_a_transaction_is_answered_entry_by_entry_in_its_order(world: _World) -> None:
    world.hands.decide = lambda r, s: stored(r, s, committed_at=NOW.isoformat())
    answer = world.post("/fhir", _sample("02"))
    assert answer.status == 200
    bundle = Bundle.model_validate_json(answer.content)
    assert bundle.type == "transaction-response"
    sent = plain.loads(_sample("02"))["entry"]
    ((_, submission, _),) = world.hands.published
    ids = [entry_uuid("R1-portail-valmont", one.entry.unique_id) for one in submission.documents]
    locations = [entry.response.location for entry in bundle.entry]
    kinds = [entry["resource"]["resourceType"] for entry in sent]
    assert kinds == ["List", "DocumentReference", "Binary", "DocumentReference", "Binary"]
    assert locations == [
        f"List/{set_uuid('R1-portail-valmont')}/_history/1",
        f"DocumentReference/{ids[0]}/_history/1",
        f"Binary/{ids[0]}/_history/1",
        f"DocumentReference/{ids[1]}/_history/1",
        f"Binary/{ids[1]}/_history/1",
    ]
    assert {(entry.response.status, entry.response.etag) for entry in bundle.entry} == {("201", 'W/"1"')}
    assert {entry.response.lastModified for entry in bundle.entry} == {NOW}
    assert all(entry.resource is None for entry in bundle.entry)


def test_who_asks_for_the_representation_gets_set_and_references_with_their_new_addresses(world: _World) -> None:
    bundle = plain.loads(world.post("/fhir/", _sample("01"), Prefer="return=representation").content)
    listed, reference, binary = (entry.get("resource") for entry in bundle["entry"])
    assert binary is None
    assert listed["entry"][0]["item"]["reference"] == f"DocumentReference/{reference['id']}"
    assert reference["content"][0]["attachment"]["url"] == f"Binary/{reference['id']}"
    assert "urn:uuid" not in plain.dumps([listed, reference])
    DocumentReference.model_validate(reference)


def test_a_duplicate_has_the_first_address_and_is_nothing_new(world: _World) -> None:
    def again(reception: Reception, submission: Submission) -> Outcome:
        documents = tuple(
            DocumentOutcome(unique_id=one.entry.unique_id, verdict=Verdict.DUPLICATE, first="R0-sil-valmont")
            for one in submission.documents
        )
        return Outcome(verdict=Verdict.DUPLICATE, receipt=reception.receipt, first="R0-sil-valmont", documents=documents)

    world.hands.decide = again
    bundle = Bundle.model_validate_json(world.post("/fhir", _sample("01")).content)
    ((_, submission, _),) = world.hands.published
    known = entry_uuid("R0-sil-valmont", submission.documents[0].entry.unique_id)
    assert [entry.response.location for entry in bundle.entry[1:]] == [
        f"DocumentReference/{known}/_history/1",
        f"Binary/{known}/_history/1",
    ]
    assert {entry.response.status for entry in bundle.entry} == {"200"}
    assert {entry.response.lastModified for entry in bundle.entry} == {None}
    simple = world.post("/fhir/DocumentReference", _sample("05"))
    assert simple.status == 200
    known = entry_uuid("R0-sil-valmont", world.hands.published[1][1].documents[0].entry.unique_id)
    assert simple.headers["Location"] == f"/fhir/DocumentReference/{known}/_history/1"


def test_of_a_set_that_is_partly_new_each_document_has_its_own_address(world: _World) -> None:
    def partly(reception: Reception, submission: Submission) -> Outcome:
        first, second = (one.entry.unique_id for one in submission.documents)
        documents = (
            DocumentOutcome(unique_id=first, verdict=Verdict.DUPLICATE, first="R0"),
            DocumentOutcome(unique_id=second, verdict=Verdict.STORED),
        )
        return Outcome(verdict=Verdict.STORED, receipt=reception.receipt, documents=documents)

    world.hands.decide = partly
    entries = Bundle.model_validate_json(world.post("/fhir", _sample("02")).content).entry
    ((_, submission, _),) = world.hands.published
    ids = [one.entry.unique_id for one in submission.documents]
    assert [(entry.response.status, entry.response.location) for entry in entries[1::2]] == [
        ("200", f"DocumentReference/{entry_uuid('R0', ids[0])}/_history/1"),
        ("201", f"DocumentReference/{entry_uuid('R1-portail-valmont', ids[1])}/_history/1"),
    ]


def test_the_patch_of_a_replacement_is_answered_200_with_what_it_named(world: _World) -> None:
    body = _sample("03")
    entries = Bundle.model_validate_json(world.post("/fhir", body).content).entry
    sent = plain.loads(body)["entry"]
    (index,) = [i for i, entry in enumerate(sent) if entry["request"]["method"] == "PATCH"]
    assert (entries[index].response.status, entries[index].response.location) == ("200", sent[index]["request"]["url"])
    assert [entry.response.status for i, entry in enumerate(entries) if i != index] == ["201", "201", "201"]


def test_a_warning_stands_at_the_entry_that_it_concerns(world: _World) -> None:
    def warned(reception: Reception, submission: Submission) -> Outcome:
        problems = (Problem(code="PARENT_UNKNOWN", severity=Severity.WARNING, document=0),)
        documents = (
            DocumentOutcome(unique_id=submission.documents[0].entry.unique_id, verdict=Verdict.STORED, problems=problems),
        )
        return Outcome(verdict=Verdict.STORED, receipt=reception.receipt, documents=documents)

    world.hands.decide = warned
    entries = Bundle.model_validate_json(world.post("/fhir", _sample("01")).content).entry
    told = [[i.details.coding[0].code for i in e.response.outcome.issue] if e.response.outcome else [] for e in entries]
    assert told == [[], ["PARENT_UNKNOWN"], []]


def test_a_document_reference_comes_back_as_created(world: _World) -> None:
    world.hands.decide = lambda r, s: stored(r, s, committed_at=NOW.isoformat())
    answer = world.post("/fhir/DocumentReference", _sample("05"))
    assert answer.status == 201
    made = plain.loads(answer.content)
    DocumentReference.model_validate(made)
    ((_, submission, parts),) = world.hands.published
    entry = submission.documents[0].entry
    attachment = made["content"][0]["attachment"]
    assert "data" not in attachment
    assert attachment["url"] == f"Binary/{made['id']}"
    assert attachment["size"] == entry.size == len(parts[submission.documents[0].part])
    assert made["meta"]["versionId"] == "1"
    assert made["category"][0]["coding"][0]["code"] == entry.class_code.code if entry.class_code else False
    assert answer.headers["Location"] == f"/fhir/DocumentReference/{made['id']}/_history/1"
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"] == "Tue, 10 Mar 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("verdict", "status"), [(Verdict.REPLACED, "superseded"), (Verdict.DELETED, "entered-in-error"), (Verdict.STORED, "current")]
)
def test_what_went_to_the_history_says_so(world: _World, verdict: Verdict, status: str) -> None:
    world.hands.decide = lambda r, s: stored(r, s, verdict)
    answer = world.post("/fhir/DocumentReference", _sample("05"))
    assert (answer.status, plain.loads(answer.content)["status"]) == (201, status)
    bundle = plain.loads(world.post("/fhir", _sample("01"), Prefer="return=representation").content)
    assert bundle["entry"][1]["resource"]["status"] == status


def test_what_is_parked_is_ours_and_not_decided(world: _World) -> None:
    world.hands.decide = lambda r, s: stored(r, s, Verdict.PARKED, problems=(Problem(code="PARKED", severity=Severity.WARNING),))
    for path, name in (("/fhir", "01"), ("/fhir/DocumentReference", "05"), ("/fhir/Bundle", "06")):
        answer = world.post(path, _sample(name))
        assert answer.status == 202
        assert answer.headers["Content-Location"].startswith("/deposits/R")
        issues = OperationOutcome.model_validate_json(answer.content).issue
        assert [issue.severity for issue in issues] == ["information", "warning"]


@given(st.permutations(range(5)))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_the_answer_is_that_of_the_request(world: _World, order: list[int]) -> None:
    sent = plain.loads(_sample("02"))
    sent["entry"] = [sent["entry"][number] for number in order]
    entries = Bundle.model_validate_json(world.post("/fhir", plain.dumps(sent).encode()).content).entry
    kinds = [entry["resource"]["resourceType"] for entry in sent["entry"]]
    assert [entry.response.location.partition("/")[0] for entry in entries] == kinds
    described = {e["fullUrl"]: n for n, e in enumerate(sent["entry"])}
    for number, entry in enumerate(sent["entry"]):
        if kinds[number] == "DocumentReference":
            binary = described[entry["resource"]["content"][0]["attachment"]["url"]]
            assert entries[binary].response.location == entries[number].response.location.replace("DocumentReference", "Binary")


@given(st.text(alphabet='aplicton/fhirjsxm+*;q=0.1, 5"', max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_accepted_is_answered_or_refused(world: _World, accept: str) -> None:
    answer = world.ask("GET", "/fhir/metadata", Accept=accept)
    assert answer.status in {200, 406}
    assert plain.loads(answer.content)["resourceType"] in {"CapabilityStatement", "OperationOutcome"}


def test_a_statement_is_made_of_what_is_served_and_of_nothing_that_it_has_no_words_for() -> None:
    few = CapabilityStatement.model_validate_json(capability.statement([("POST", "/Consent")], version="1", at=NOW))
    assert [one.type for one in few.rest[0].resource] == ["Consent"]
    assert few.rest[0].interaction is None
    with pytest.raises(LookupError, match="/Patient"):
        capability.statement([("GET", "/Patient")], version="1", at=NOW)


@pytest.mark.parametrize(("prefer", "kind"), [("return=minimal", None), ("return=OperationOutcome", "OperationOutcome")])
def test_a_client_may_prefer_another_body(world: _World, prefer: str, kind: str | None) -> None:
    answer = world.post("/fhir/DocumentReference", _sample("05"), Prefer=prefer)
    assert answer.status == 201
    assert answer.headers["Location"]
    assert (plain.loads(answer.content)["resourceType"] if answer.content else None) == kind


def test_who_does_not_wait_is_told_where_to_ask(world: _World) -> None:
    answer = world.post("/fhir", _sample("01"), Prefer="respond-async")
    assert answer.status == 202
    assert answer.headers["Content-Location"] == "/deposits/R1-portail-valmont"
    assert int(answer.headers["Retry-After"]) > 0
    assert OperationOutcome.model_validate_json(answer.content).issue[0].severity == "information"


@pytest.mark.parametrize(
    "refusal",
    [
        ("OPPOSED", 403, "forbidden"),
        ("RECORD_CLOSED", 409, "conflict"),
        ("RECORD_ABSENT", 404, "not-found"),
        ("OTHER_CONTENT", 409, "duplicate"),
        ("VERSION_STALE", 409, "conflict"),
        ("NOT_AUTHOR", 403, "forbidden"),
    ],
)
@pytest.mark.parametrize(("path", "name"), [("/fhir", "01"), ("/fhir/DocumentReference", "05"), ("/fhir/Bundle", "06")])
def test_a_refusal_of_the_record_is_an_outcome_at_the_document(
    world: _World, path: str, name: str, refusal: tuple[str, int, str]
) -> None:
    code, status, issue = refusal

    def refused(reception: Reception, submission: Submission) -> Outcome:
        problem = Problem(code=code, document=0)
        documents = (DocumentOutcome(unique_id="x", verdict=Verdict.REFUSED, problems=(problem,)),)
        return Outcome(verdict=Verdict.REFUSED, receipt=reception.receipt, documents=documents)

    world.hands.decide = refused
    answer = world.post(path, _sample(name))
    assert answer.status == status
    assert _codes(answer) == [code]
    (told,) = plain.loads(answer.content)["issue"]
    assert told["code"] == issue
    assert told["expression"] == ["Bundle.entry[1].resource" if path == "/fhir" else path.removeprefix("/fhir/")]


def test_a_document_bundle_is_stored_as_it_came(world: _World) -> None:
    body = _sample("06")
    answer = world.post("/fhir/Bundle/", body, "application/json")
    assert answer.status == 201
    assert answer.content == body
    ((reception, submission, parts),) = world.hands.published
    assert parts == (body,)
    assert (reception.message_type, submission.documents[0].part) == ("FHIR^Bundle", 0)
    known = entry_uuid(reception.receipt, submission.documents[0].entry.unique_id)
    assert answer.headers["Location"] == f"/fhir/Bundle/{known}/_history/1"


@pytest.mark.parametrize(
    ("path", "name", "condition"),
    [
        ("/fhir/DocumentReference", "05", "identifier=urn:ietf:rfc:3986|{}"),
        ("/fhir/DocumentReference", "05", "DocumentReference?identifier=urn%3Aietf%3Arfc%3A3986%7C{}"),
        ("/fhir/Bundle", "06", "identifier=urn:ietf:rfc:3986|{}"),
    ],
)
def test_if_none_exist_of_the_documents_own_identifier_is_what_a_resend_is_anyway(
    world: _World, path: str, name: str, condition: str
) -> None:
    resource = plain.loads(_sample(name))
    known = resource.get("masterIdentifier") or resource["identifier"]
    assert world.post(path, _sample(name), If_None_Exist=condition.format(known["value"])).status == 201
    assert len(world.hands.published) == 1


@pytest.mark.parametrize("condition", ["identifier=urn:ietf:rfc:3986|urn:oid:1.2.3", "identifier=x", "subject=Patient/1", ""])
def test_another_condition_is_refused_and_nothing_is_done(world: _World, condition: str) -> None:
    answer = world.post("/fhir/DocumentReference", _sample("05"), If_None_Exist=condition)
    assert (answer.status, _codes(answer)) == (412, ["CONDITION_UNSUPPORTED"])
    assert world.post("/fhir/Consent", _sample("07"), source=GAM, If_None_Exist=condition).status == 412
    assert world.hands.published == []
    assert world.hands.stated == []


def test_a_consent_is_answered_once_it_is_committed(world: _World) -> None:
    answer = world.post("/fhir/Consent", _sample("07"), source=GAM)
    assert answer.status == 201
    ((reception, event),) = world.hands.stated
    assert isinstance(event, PatientEvent)
    assert reception.message_id == "consent-deny"
    made = Consent.model_validate_json(answer.content)
    assert made.id == set_uuid(reception.receipt)
    assert answer.headers["Location"] == f"/fhir/Consent/{made.id}/_history/1"


@pytest.mark.parametrize(
    ("identifier", "known"),
    [
        ("urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:0c3201bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        ("oppo-284103523811464", ""),
        ("oppo-1780' OR 1", ""),
    ],
)
def test_an_identifier_that_no_list_may_show_is_no_message_id(world: _World, identifier: str, known: str) -> None:
    world.post("/fhir/Consent", _edited("07", identifier=[{"value": identifier}]), source=GAM)
    ((reception, _),) = world.hands.stated
    assert reception.message_id == known
    world.post("/fhir/Consent", _edited("07", identifier=[{"value": identifier}]), source=GAM, DMP_Message_Id="m-1")
    assert world.hands.stated[1][0].message_id == "m-1"


def test_a_consent_sent_again_has_the_first_address(world: _World) -> None:
    world.hands.answer = Outcome(verdict=Verdict.DUPLICATE, receipt="R9", first="R0")
    answer = world.post("/fhir/Consent", _sample("07"), source=GAM)
    assert (answer.status, answer.headers["Location"]) == (200, f"/fhir/Consent/{set_uuid('R0')}/_history/1")


def test_an_opposition_that_is_not_in_force_says_so_unless_another_body_was_asked_for(world: _World) -> None:
    noted = Problem(code="STATEMENT_SUPERSEDED", severity=Severity.WARNING)
    world.hands.answer = Outcome(verdict=Verdict.APPLIED, receipt="R9", problems=(noted,))
    answer = world.post("/fhir/Consent", _sample("07"), source=GAM)
    assert answer.status == 201
    assert "STATEMENT_SUPERSEDED" in _codes(answer)
    briefly = world.post("/fhir/Consent", _sample("07"), source=GAM, Prefer="return=minimal")
    assert (briefly.status, "STATEMENT_SUPERSEDED" in _codes(briefly)) == (201, True)
    asked = world.post("/fhir/Consent", _sample("07"), source=GAM, Prefer="return=representation")
    assert plain.loads(asked.content)["resourceType"] == "Consent"


def test_an_opposition_kept_under_fewer_identifiers_than_it_came_with_says_so(world: _World) -> None:
    tree = plain.loads(_sample("07"))
    tree["contained"][0]["identifier"][0]["value"] = "284103523811465"
    for prefer in ({}, {"Prefer": "return=minimal"}):
        answer = world.post("/fhir/Consent", plain.dumps(tree).encode(), source=GAM, **prefer)
        assert (answer.status, "INS_UNQUALIFIED_DROPPED" in _codes(answer)) == (201, True)
    whole = world.post("/fhir/Consent", _sample("07"), source=GAM, Prefer="return=minimal")
    assert (whole.status, whole.content) == (201, b"")


def test_a_circumstance_is_never_the_consents_fault(world: _World) -> None:
    world.hands.answer = Unavailable("STORE_UNAVAILABLE")
    answer = world.post("/fhir/Consent", _sample("07"), source=GAM)
    assert (answer.status, _codes(answer)) == (503, ["STORE_UNAVAILABLE"])
    assert int(answer.headers["Retry-After"]) > 0


def test_a_source_without_the_grant_states_nothing(world: _World) -> None:
    answer = world.post("/fhir/Consent", _sample("07"), source=PORTAL)
    assert (answer.status, _codes(answer)) == (403, ["SOURCE_NOT_ALLOWED"])
    assert world.hands.stated == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/fhir", b"{", 400, "JSON_INVALID"),
        ("/fhir", b"\xff", 400, "JSON_INVALID"),
        ("/fhir", b"[]", 400, "JSON_INVALID"),
        ("/fhir", b'{"resourceType":"Bundle","type":"transaction","type":"batch"}', 400, "JSON_INVALID"),
        ("/fhir", b'{"resourceType":"Bundle","type":"batch"}', 422, "FHIR_UNSUPPORTED"),
        ("/fhir", b'{"resourceType":"Bundle","type":"document"}', 422, "FHIR_UNSUPPORTED"),
        ("/fhir", b'{"resourceType":"Foo"}', 422, "FHIR_UNSUPPORTED"),
        ("/fhir", b'{"resourceType":"Patient","Active":true}', 422, "FHIR_STRUCTURE"),
        ("/fhir/Bundle", b'{"resourceType":"Bundle","type":"transaction"}', 422, "FHIR_UNSUPPORTED"),
        ("/fhir/DocumentReference", b'{"resourceType":"Patient","active":true}', 422, "FHIR_UNSUPPORTED"),
        ("/fhir/Consent", b"", 400, "JSON_INVALID"),
    ],
)
def test_what_is_none_of_it_is_refused_with_its_reason(world: _World, path: str, body: bytes, status: int, code: str) -> None:
    answer = world.post(path, body, source=GAM if path.endswith("Consent") else PORTAL)
    assert (answer.status, _codes(answer)[0]) == (status, code)
    assert world.hands.published == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/fhir+xml", 415),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+json; fhirVersion=5.0", 415),
        ("application/json; charset=utf-8", 200),
        ("application/json; charset=latin1", 415),
        ("", 415),
    ],
)
def test_the_type_of_the_body_counts(world: _World, kind: str, status: int) -> None:
    answer = world.post("/fhir", _sample("01"), kind)
    assert answer.status == status
    assert status == 200 or _codes(answer) == ["HTTP_TYPE_UNSUPPORTED"]


@pytest.mark.parametrize(
    ("accept", "query", "status", "kind"),
    [
        ("", "", 200, FHIR),
        ("*/*", "", 200, FHIR),
        ("application/json", "", 200, "application/json"),
        ("application/fhir+xml, application/fhir+json;q=0.8", "", 200, FHIR),
        ("application/json;q=0.1, application/fhir+json;q=0.9", "", 200, FHIR),
        ("application/fhir+json; fhirVersion=4.0", "", 200, FHIR),
        ("application/fhir+json; fhirVersion=3.0", "", 406, FHIR),
        ("application/fhir+xml", "", 406, FHIR),
        ("application/fhir+json;q=0", "", 406, FHIR),
        ("application/fhir+xml", "?_format=json", 200, FHIR),
        ("application/fhir+xml", "?_format=application/fhir%2Bjson", 200, FHIR),
        ("application/fhir+xml", "?_format=application/fhir+json", 200, FHIR),
        ("application/fhir+json", "?_format=xml", 406, FHIR),
        ("application/fhir+json", "?_format=application/json", 200, "application/json"),
    ],
)
def test_the_type_of_the_answer_is_negotiated(world: _World, accept: str, query: str, status: int, kind: str) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = world.ask("GET", f"/fhir/metadata{query}", **headers)
    assert (answer.status, answer.headers["Content-Type"]) == (status, kind)
    posted = world.post(f"/fhir{query}", _sample("01"), **headers)
    assert (posted.status, posted.headers["Content-Type"]) == (status, kind)
    assert len(world.hands.published) == (1 if status == 200 else 0)


@pytest.mark.parametrize("path", ["/fhir/metadata", "/fhir/metadata/"])
def test_the_capability_statement_tells_what_is_served_and_nothing_else(world: _World, path: str) -> None:
    answer = world.ask("GET", path)
    assert answer.status == 200
    model = CapabilityStatement.model_validate_json(answer.content)
    assert (model.fhirVersion, model.kind, model.software.version) == ("4.0.1", "instance", "1.2.3")
    assert set(model.format) == {"application/fhir+json", "application/json", "json"}
    (rest,) = model.rest
    served = {(route.method, route.path) for route in world.routes}
    creates = {("POST", f"/fhir/{one.type}") for one in rest.resource if [i.code for i in one.interaction] == ["create"]}
    assert creates | {("POST", "/fhir"), ("GET", "/fhir/metadata")} == served
    assert [interaction.code for interaction in rest.interaction] == ["transaction"]
    assert {one.type: one.conditionalCreate for one in rest.resource} == {
        "DocumentReference": True,
        "Bundle": True,
        "Consent": False,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/fhir/Patient", 404, "HTTP_PATH_UNKNOWN"),
        ("GET", "/fhir/DocumentReference/7", 404, "HTTP_PATH_UNKNOWN"),
        ("POST", "/fhir/Observation", 404, "HTTP_PATH_UNKNOWN"),
        ("GET", "/fhir", 405, "HTTP_METHOD_UNSUPPORTED"),
        ("DELETE", "/fhir/DocumentReference", 405, "HTTP_METHOD_UNSUPPORTED"),
        ("PUT", "/fhir/Consent", 405, "HTTP_METHOD_UNSUPPORTED"),
    ],
)
def test_everything_else_under_fhir_is_an_outcome(world: _World, method: str, path: str, status: int, code: str) -> None:
    answer = world.ask(method, path)
    assert (answer.status, _codes(answer)) == (status, [code])


@pytest.mark.parametrize("condition", ["If_None_Exist", "If_Match"])
def test_a_condition_on_a_transaction_is_not_passed_over(world: _World, condition: str) -> None:
    answer = world.post("/fhir", _sample("01"), **{condition: "identifier=urn:x|1"})
    assert answer.status == 412 and _codes(answer) == ["CONDITION_UNSUPPORTED"]
    assert not world.hands.published


@pytest.mark.parametrize("path", ["/fhir", "/fhir/DocumentReference", "/fhir/Consent"])
def test_a_header_of_cda_hides_nothing_here_and_is_refused(world: _World, path: str) -> None:
    """Passed over, it would show what its sender means to be hidden."""
    answer = world.post(path, _sample("01"), DMP_Flags="MASQUE_PS")
    assert answer.status == 400 and _codes(answer) == ["FIELD_INVALID"]
    assert not world.hands.published
