"""POST /cda: what each form of the request hands over, and how each verdict is answered."""

import base64
import json
import time
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from gateway.adapters.http.cda import CdaRoutes, DepositAnswer
from gateway.adapters.http.engine import Engine
from gateway.cli.schemas import schema
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.ports import Unavailable
from gateway.model.problem import Problem, Severity
from gateway.model.problems import CODES
from gateway.model.source import Directory
from gateway.model.submission import Act, Reception, Submission
from gateway.model.verdict import Verdict
from tests.harness.site import Asked, Hands, Site, stored

DOCUMENT = (Path(__file__).resolve().parents[3] / "samples/cda/bio-adele-v1.xml").read_bytes()
UNIQUE_ID = "1.2.250.1.999.1.2.201"
BOUNDARY = "multipart/form-data; boundary=b"


@pytest.fixture
def site(engine: Engine, directory: Directory) -> Site:
    return Site(CdaRoutes(engine, directory).routes(), directory)


def multipart(*parts: tuple[str, str, bytes, str]) -> bytes:
    """Each part: name, Content-Type, content, further headers."""
    pieces = (
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n{more}\r\n'.encode() + content + b"\r\n"
        for name, kind, content, more in parts
    )
    return b"".join((*pieces, b"--b--\r\n"))


FORMS = {
    "text/xml": (DOCUMENT, "text/xml", {}),
    "application/xml": (DOCUMENT, "application/xml; charset=utf-8", {}),
    "application/hl7-sda+xml": (DOCUMENT, "application/hl7-sda+xml", {}),
    "application/xslt+xml": (DOCUMENT, "application/xslt+xml", {}),
    "base64": (base64.encodebytes(DOCUMENT), "application/base64", {}),
    "coded": (base64.b64encode(DOCUMENT), "text/xml", {"Content-Transfer-Encoding": "BASE64"}),
    "multipart": (multipart(("document", "text/xml", DOCUMENT, "")), BOUNDARY, {}),
    "multipart, declared": (
        multipart(("submission", "application/json", b'{"act": "add"}', ""), ("document", "text/xml", DOCUMENT, "")),
        BOUNDARY,
        {},
    ),
    "multipart, coded": (
        multipart(("document", "text/xml", base64.b64encode(DOCUMENT), "Content-Transfer-Encoding: base64\r\n")),
        BOUNDARY,
        {},
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["/cda", "/cda/"])
def test_each_form_hands_over_the_same_document(site: Site, hands: Hands, form: str, path: str) -> None:
    body, kind, headers = FORMS[form]
    answer = site.ask("POST", path, body, kind, headers=headers)
    assert answer.status == 201, answer.content
    ((reception, submission, parts),) = hands.published
    assert parts == (DOCUMENT,)
    assert (submission.act, submission.documents[0].entry.unique_id) == (Act.ADD, UNIQUE_ID)
    assert (reception.source, reception.establishment, reception.message_type) == ("sil-valmont", "chu-valmont", "CDA")
    assert answer.headers["Location"] == f"/deposits/{reception.receipt}"
    shown = msgspec.json.decode(answer.content, type=DepositAnswer)
    assert (shown.receipt, shown.state, shown.act) == (reception.receipt, "stored", "add")
    assert [(one.unique_id, one.verdict, one.rule) for one in shown.documents] == [(UNIQUE_ID, "stored", "D-5")]
    jsonschema_rs.validator_for(json.loads(schema("http-deposit"))).validate(json.loads(answer.content))


def test_what_headers_declare_is_handed_over(site: Site, hands: Hands) -> None:
    headers = {"DMP-Act": "delete", "DMP-Flags": "MASQUE_PS", "DMP-Visit": "26000123", "DMP-Message-Id": "M-1"}
    assert site.ask("POST", "/cda", DOCUMENT, "text/xml", headers=headers).status == 201
    ((reception, submission, _),) = hands.published
    assert (submission.act, submission.flags.masque_ps, reception.message_id) == (Act.DELETE, True, "M-1")
    assert submission.visit is not None
    assert submission.visit.value == "26000123"


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.STORED, 201),
        (Verdict.REPLACED, 201),
        (Verdict.DELETED, 200),
        (Verdict.DUPLICATE, 200),
        (Verdict.PARKED, 202),
    ],
)
def test_each_verdict_has_its_status(site: Site, hands: Hands, verdict: Verdict, status: int) -> None:
    hands.decide = lambda reception, submission: stored(reception, submission, verdict)
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml")
    assert (answer.status, answer.json["state"]) == (status, verdict.value)
    assert ("Location" in answer.headers) == (status != 202)


def test_a_duplicate_leads_to_the_first_deposit(site: Site, hands: Hands) -> None:
    hands.decide = lambda reception, submission: stored(reception, submission, Verdict.DUPLICATE, first="FIRST")
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml")
    assert (answer.headers["Location"], answer.json["first"]) == ("/deposits/FIRST", "FIRST")
    assert answer.json["receipt"] != "FIRST"


@pytest.mark.parametrize(
    ("code", "status"),
    [("OPPOSED", 403), ("NOT_AUTHOR", 403), ("RECORD_ABSENT", 404), ("RECORD_CLOSED", 409), ("OTHER_CONTENT", 409)],
)
def test_a_refusal_of_the_record_has_its_status_and_says_nothing_of_the_document(
    site: Site, hands: Hands, code: str, status: int
) -> None:
    def refuse(reception: Reception, submission: Submission) -> Outcome:
        documents = tuple(
            DocumentOutcome(unique_id=one.entry.unique_id, verdict=Verdict.REFUSED, problems=(Problem(code=code),))
            for one in submission.documents
        )
        return Outcome(
            verdict=Verdict.REFUSED, receipt=reception.receipt, problems=(Problem(code=code),), documents=documents, rule="O-2"
        )

    hands.decide = refuse
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml")
    assert_problem(answer, status, code)
    assert answer.json["receipt"] == hands.published[0][0].receipt
    for secret in (b"284103523811464", b"ADELE", b"11502-2"):
        assert secret not in answer.content.upper()


def test_whoever_prefers_not_to_wait_is_told_where_to_ask(site: Site, hands: Hands) -> None:
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml", headers={"Prefer": "respond-async"})
    receipt = hands.published[0][0].receipt
    assert (answer.status, answer.json["state"], answer.json["documents"]) == (202, "queued", [{"unique_id": UNIQUE_ID}])
    assert answer.headers["Content-Location"] == f"/deposits/{receipt}"
    assert int(answer.headers["Retry-After"]) > 0


def test_what_is_not_durable_is_503_and_to_be_sent_again(site: Site, hands: Hands) -> None:
    def away(*_: object) -> Outcome:
        raise Unavailable("QUEUE_UNAVAILABLE")

    hands.decide = away
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml")
    assert_problem(answer, 503, "QUEUE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0


def test_an_error_of_ours_is_told_by_its_reference_alone(site: Site, hands: Hands) -> None:
    def broken(*_: object) -> Outcome:
        raise RuntimeError("284103523811464")

    hands.decide = broken
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml")
    assert_problem(answer, CODES["INTERNAL"].http, "INTERNAL")
    assert answer.json["reference"]
    assert b"284103523811464" not in answer.content


def test_what_the_door_refuses_is_noted_without_content(site: Site, hands: Hands) -> None:
    document = DOCUMENT.replace(b"1.2.250.1.213.1.4.10", b"1.2.250.1.999.7")
    answer = site.ask("POST", "/cda", document, "text/xml")
    assert_problem(answer, 422, "INS_ABSENT")
    assert answer.json["problems"][0]["place"].startswith("/ClinicalDocument/recordTarget[1]")
    # The answer does not wait for the note.
    limit = time.monotonic() + 10
    while not hands.reported and time.monotonic() < limit:
        time.sleep(0.01)
    ((reception, rejection),) = hands.reported
    assert (rejection.verdict, rejection.document_ids) == (Verdict.REJECTED, (UNIQUE_ID,))
    assert reception.receipt == answer.json["receipt"]
    assert hands.published == []


REFUSED = [
    (b"", "text/xml", {}, 400, "DOCUMENT_EMPTY"),
    (b"", "application/base64", {}, 400, "DOCUMENT_EMPTY"),
    (b"*", "application/base64", {}, 400, "BASE64_INVALID"),
    (base64.b64encode(DOCUMENT), "text/xml", {}, 400, "XML_INVALID"),
    (b"<a/>", "text/xml", {}, 422, "NOT_CDA"),
    (b"<!DOCTYPE a []><a/>", "text/xml", {}, 422, "XML_FORBIDDEN"),
    (DOCUMENT, "application/pdf", {}, 415, "HTTP_TYPE_UNSUPPORTED"),
    (DOCUMENT, "", {}, 415, "HTTP_TYPE_UNSUPPORTED"),
    (DOCUMENT, "text/xml", {"Content-Transfer-Encoding": "quoted-printable"}, 415, "HTTP_TYPE_UNSUPPORTED"),
    (DOCUMENT, "text/xml", {"DMP-Act": "x"}, 422, "VALUE_UNKNOWN"),
    (DOCUMENT, "text/xml", {"DMP-Act": "replace"}, 422, "RELATION_DIFFERS"),
    (DOCUMENT, "text/xml", {"DMP-Flags": "MASQUE_PS, INVISIBLE_PATIENT"}, 422, "FLAGS_FORBIDDEN"),
    (DOCUMENT, "text/xml", {"DMP-Visit": "<"}, 400, "FIELD_INVALID"),
    (DOCUMENT, "text/xml", {"DMP-Message-Id": "a b"}, 400, "FIELD_INVALID"),
    (DOCUMENT, "text/xml", {"DMP-Flag": "MASQUE_PS"}, 400, "FIELD_INVALID"),
    (DOCUMENT, "text/xml", {"X-DMP-Flags": "MASQUE_PS"}, 400, "FIELD_INVALID"),
    (DOCUMENT, BOUNDARY, {}, 400, "HTTP_BODY_INVALID"),
    (DOCUMENT, "multipart/form-data", {}, 400, "HTTP_BODY_INVALID"),
    (multipart(("document", "application/pdf", DOCUMENT, "")), BOUNDARY, {}, 415, "HTTP_TYPE_UNSUPPORTED"),
    (multipart(("submission", "application/json", b"{}", "")), BOUNDARY, {}, 400, "HTTP_BODY_INVALID"),
    (multipart(("document", "text/xml", DOCUMENT, ""), ("x", "text/xml", b"", "")), BOUNDARY, {}, 400, "HTTP_BODY_INVALID"),
    (
        multipart(("document", "text/xml", DOCUMENT, ""), ("submission", "text/xml", b"{}", "")),
        BOUNDARY,
        {},
        415,
        "HTTP_TYPE_UNSUPPORTED",
    ),
    (
        multipart(("document", "text/xml", DOCUMENT, ""), ("submission", "application/json", b"{", "")),
        BOUNDARY,
        {},
        400,
        "FIELD_INVALID",
    ),
]


@pytest.mark.parametrize(("body", "kind", "headers", "status", "code"), REFUSED)
def test_what_is_sent_wrongly_is_refused_with_its_code(  # noqa: PLR0917 - the columns of the table
    site: Site, hands: Hands, body: bytes, kind: str, headers: dict[str, str], status: int, code: str
) -> None:
    assert_problem(site.ask("POST", "/cda", body, kind, headers=headers), status, code)
    assert hands.published == []


def test_a_source_that_may_not_deposit_is_refused(site: Site, hands: Hands) -> None:
    assert_problem(site.ask("POST", "/cda", b"<", "text/xml", source="gam-valmont"), 403, "SOURCE_NOT_ALLOWED")
    assert hands.reported == []


def test_a_stranger_is_told_nothing(site: Site) -> None:
    answer = site.ask("POST", "/cda", DOCUMENT, "text/xml", address="192.0.2.1")
    assert_problem(answer, 401, "NOT_AUTHENTICATED")
    assert b"valmont" not in answer.content


def assert_problem(answer: Asked, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code), answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["problems"][0]["severity"] == Severity.ERROR.value
