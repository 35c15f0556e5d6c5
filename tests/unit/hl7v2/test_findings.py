"""How many problems of one message are kept."""

import pytest

from gateway.mappers.common.findings import MOST, Findings
from gateway.model.place import Place
from gateway.model.problem import Problem, Severity


def place(start: int) -> Place:
    return Place(path=f"NTE[{start + 1}]", start=start, end=start + 1)


@pytest.mark.parametrize("count", [MOST - 1, MOST, MOST + 1, 5 * MOST])
def test_the_last_one_says_how_many_more_there_were(count: int) -> None:
    findings = Findings()
    for number in range(count):
        findings.warn("CARDINALITY", place(number), "several")
    for found in (findings.deciding, findings.in_message_order):
        assert len(found) == min(count, MOST)
        assert [problem.detail for problem in found[:-1]] == ["several"] * (len(found) - 1)
        assert found[-1].detail == ("several" if count <= MOST else f"several; and {count - MOST} more")


def test_an_error_is_kept_whatever_was_found_before_it() -> None:
    findings = Findings()
    for number in range(3 * MOST):
        findings.warn("CARDINALITY", place(number))
    findings.take([Problem(code="INS_KEY", place=place(9000))], document=1)
    assert [problem.code for problem in findings.errors] == ["INS_KEY"]
    assert (findings.deciding[0].code, findings.deciding[0].document) == ("INS_KEY", 1)
    assert findings.in_message_order[-1].code == "INS_KEY"
    assert findings.in_message_order[-1].detail == f"and {2 * MOST + 1} more"
    assert len(findings.deciding) == len(findings.in_message_order) == MOST


def test_many_errors_leave_the_first_one_deciding() -> None:
    findings = Findings()
    findings.add("INS_KEY", place(7))
    for number in range(2 * MOST):
        findings.add("FIELD_INVALID", place(number))
    findings.warn("CARDINALITY", place(0))
    assert findings.errors[0].code == findings.deciding[0].code == "INS_KEY"
    assert {problem.severity for problem in findings.deciding} == {Severity.ERROR}
    assert findings.deciding[-1].detail == f"and {MOST + 2} more"
