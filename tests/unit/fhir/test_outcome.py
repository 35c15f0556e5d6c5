"""Problems as an OperationOutcome: valid FHIR, French for the reader, and nothing of a content."""

import msgspec
import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome as Model
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.fhir import outcome
from gateway.mappers.fhir.texts_fr import TEXTS_FR
from gateway.model.place import Place
from gateway.model.problem import Problem, ProblemCode, Severity
from gateway.model.problems import CODES

#: HL7 FHIR R4, IssueType.
ISSUE_TYPES = frozenset({
    *("invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden"),
    *("suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long"),
    *("code-invalid", "extension", "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store"),
    *("exception", "timeout", "incomplete", "throttled", "informational"),
})  # fmt: skip


def test_every_code_of_the_table_has_a_french_text_and_no_other_has() -> None:
    assert set(TEXTS_FR) == set(CODES)
    assert all(text.strip() and text.endswith(".") for text in TEXTS_FR.values())
    assert len(set(TEXTS_FR.values())) == len(TEXTS_FR)


def test_every_issue_type_of_the_table_is_one_of_fhir() -> None:
    assert {row.issue for row in CODES.values()} <= ISSUE_TYPES


def test_what_the_default_code_of_xds_is_is_known_here() -> None:
    assert ProblemCode(code="X", text="", advice="", who=CODES["OPPOSED"].who).xds == outcome._SAYS_NOTHING


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("severity", list(Severity))
def test_each_code_is_a_valid_issue(code: str, severity: Severity) -> None:
    written = msgspec.json.encode(outcome.outcome((Problem(code=code, severity=severity),)))
    issue = Model.model_validate_json(written).issue[0]
    assert issue.severity in {severity.value, "fatal"}
    assert issue.details.coding[0].code == code
    assert issue.details.coding[0].system == outcome.SYSTEM
    assert issue.details.text == TEXTS_FR[code]
    assert issue.diagnostics == CODES[code].advice


@pytest.mark.parametrize(
    ("code", "coded"),
    [
        ("OTHER_CONTENT", "XDSNonIdenticalHash"),
        ("PID_CDA_DIFFER", "XDSPatientIdDoesNotMatch"),
        ("RECORD_CLOSED", "DMPClosed"),
        ("HTTP_PATH_UNKNOWN", None),
    ],
)
def test_the_code_of_ihe_stands_beside_where_it_says_something(code: str, coded: str | None) -> None:
    codings = outcome.outcome((Problem(code=code),)).issue[0].details.coding
    assert [coding.code for coding in codings[1:]] == ([coded] if coded else [])
    assert all(coding.system == outcome.IHE_ERRORS for coding in codings[1:])


def test_the_expression_is_the_place_in_the_request_and_the_inner_place_is_told_beside() -> None:
    within = Place(path="Bundle.entry[2].resource.data")
    inner = Place(path="/ClinicalDocument/id[1]", within=within)
    issue = outcome.outcome((Problem(code="CDA_INVALID", place=inner, detail="id"),)).issue[0]
    assert issue.expression == ("Bundle.entry[2].resource.data",)
    assert issue.diagnostics == f"{CODES['CDA_INVALID'].advice} | id | /ClinicalDocument/id[1]"


@pytest.mark.parametrize(
    ("path", "told"), [("$", ""), ("header:Accept", " | header:Accept"), ("query:_format", " | query:_format")]
)
def test_what_is_no_fhirpath_is_no_expression(path: str, told: str) -> None:
    issue = outcome.outcome((Problem(code="HTTP_NOT_ACCEPTABLE", place=Place(path=path)),)).issue[0]
    assert issue.expression == ()
    assert issue.diagnostics == CODES["HTTP_NOT_ACCEPTABLE"].advice + told


def test_a_problem_of_a_document_without_a_place_points_at_the_document() -> None:
    documents = ("Bundle.entry[1].resource", "Bundle.entry[3].resource")
    found = outcome.outcome((Problem(code="VERSION_STALE", document=1), Problem(code="OPPOSED", document=7)), documents=documents)
    assert [issue.expression for issue in found.issue] == [("Bundle.entry[3].resource",), ()]


def test_what_cannot_be_read_is_fatal_and_a_wrong_element_is_not() -> None:
    found = outcome.outcome((Problem(code="JSON_INVALID"), Problem(code="FHIR_STRUCTURE")))
    assert [issue.severity for issue in found.issue] == ["fatal", "error"]


def test_without_a_problem_one_issue_says_so() -> None:
    found = outcome.outcome(())
    assert [issue.severity for issue in found.issue] == ["information"]
    Model.model_validate_json(msgspec.json.encode(found))


def test_a_problem_that_is_told_twice_stands_once() -> None:
    assert len(outcome.outcome((Problem(code="OPPOSED"), Problem(code="OPPOSED"))).issue) == 1


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (("JSON_INVALID",), 400),
        (("FHIR_STRUCTURE", "OPPOSED"), 422),
        (("OPPOSED", "RECORD_CLOSED"), 403),
        (("RECORD_CLOSED",), 409),
        (("RECORD_ABSENT",), 404),
        (("OTHER_CONTENT",), 409),
        (("TOO_LARGE",), 413),
        (("STORE_UNAVAILABLE",), 503),
        (("PARENT_UNKNOWN",), 422),
        ((), 200),
    ],
)
def test_the_first_problem_that_refuses_gives_the_status(codes: tuple[str, ...], status: int) -> None:
    warned = Problem(code="RECORD_CLOSED", severity=Severity.WARNING)
    assert outcome.status_of((warned, *(Problem(code=code) for code in codes))) == status


@given(st.lists(st.builds(Problem, code=st.sampled_from(sorted(CODES)), severity=st.sampled_from(list(Severity))), max_size=20))
def test_any_problems_are_a_valid_outcome_in_their_order(problems: list[Problem]) -> None:
    found = outcome.outcome(problems)
    model = Model.model_validate_json(msgspec.json.encode(found))
    expected = [problem.code for problem in dict.fromkeys(problems)]
    assert [coding.code for issue in model.issue for coding in (issue.details.coding or [])[:1]] == expected
