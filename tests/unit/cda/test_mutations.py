"""Damaged documents are read or refused, never anything else; and what is read is where it says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mappers.cda.read import CdaReading, read
from gateway.mappers.cda.xml import Limits
from gateway.model.place import Place
from gateway.model.problem import Severity, Unreadable
from gateway.model.problems import CODES
from tests.strategies.cda import check_places, damaged_bytes, damaged_trees, golden

OBX = Place(path="OBX[1]-5[1].5")


def attempt(document: bytes) -> CdaReading | None:
    """Read; None if the document is refused."""
    try:
        reading = read(document, OBX)
    except Unreadable as refused:
        reading, problems, severity = None, refused.problems, Severity.ERROR
        assert problems
    else:
        problems, severity = reading.problems, Severity.WARNING
    assert {problem.severity for problem in problems} <= {severity}
    assert {problem.code for problem in problems} <= set(CODES)
    assert all(problem.place is not None and problem.place.within == OBX for problem in problems)
    return reading


@given(damaged_trees())
@settings(max_examples=150)
def test_damaged_documents_are_read_or_refused(document: bytes) -> None:
    found = attempt(document)
    if found is not None:
        check_places(document, found)


@given(damaged_bytes())
@settings(max_examples=200)
def test_damaged_bytes_are_read_or_refused(document: bytes) -> None:
    found = attempt(document)
    if found is not None:
        check_places(document, found)


@given(st.binary(max_size=200), st.integers(1, 100))
def test_bytes_are_refused(document: bytes, depth: int) -> None:
    with pytest.raises(Unreadable) as caught:
        read(document, limits=Limits(depth_limit_elements=depth))
    assert {problem.code for problem in caught.value.problems} <= {"XML_INVALID", "XML_FORBIDDEN", "NOT_CDA"}


def test_a_document_that_is_whole_is_read_with_all_its_places() -> None:
    document = golden("lab_report")
    assert check_places(document, read(document)) > 50
