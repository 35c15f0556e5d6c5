"""Times of a CDA: proper, odd and impossible ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.mappers.cda.times import read_when, repaired
from gateway.mappers.cda.walk import Findings, Node
from gateway.model.when import When


def time(value: str | None) -> Node:
    element = etree.Element("time")
    if value is not None:
        element.set("value", value)
    return Node(element, "/time")


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("20240106113623+100", "2024-01-06T11:36:23+01:00"),
        ("20240106113623+1", "2024-01-06T11:36:23+01:00"),
        ("20240106113623-05", "2024-01-06T11:36:23-05:00"),
        ("202401061136+530", "2024-01-06T11:36+05:30"),
        ("20240106113623.5+100", "2024-01-06T11:36:23.5+01:00"),
        ("20210409094914827+0100", "2021-04-09T09:49:14.827+01:00"),
        ("20210409094914827", "2021-04-09T09:49:14.827"),
        (" 20240106 ", "2024-01-06"),
    ],
)
def test_an_odd_time_is_read_and_said(written: str, iso: str) -> None:
    findings = Findings()
    when = read_when(findings, time(written))
    assert when is not None
    assert when.iso == iso
    assert when.start.year in {2021, 2024}
    assert findings.warnings[0].code == "CDA_UNUSUAL"
    assert findings.warnings[0].place is not None
    assert findings.warnings[0].place.path == "/time/@value"
    assert not findings.errors


@pytest.mark.parametrize("written", ["2024", "202401", "20240106", "20240106113623+0100", "20210409094914.827+0100"])
def test_a_proper_time_is_kept_without_a_word(written: str) -> None:
    findings = Findings()
    when = read_when(findings, time(written))
    assert when is not None
    assert when.written == written
    assert not findings.warnings
    assert not findings.errors


def test_a_time_without_zone_is_said() -> None:
    findings = Findings()
    assert read_when(findings, time("20240106113623")) == When.read("20240106113623")
    assert [problem.detail for problem in findings.warnings] == ["no zone: Europe/Paris assumed"]


@pytest.mark.parametrize("written", ["20092012081500+0100", "2026-03-10", "hier", "00000101", "20240106113623+2500", "+100"])
def test_an_impossible_time_is_dropped_or_an_error(written: str) -> None:
    dropped, refused = Findings(), Findings()
    assert read_when(dropped, time(written)) is None
    assert [problem.code for problem in dropped.warnings] == ["CDA_UNUSUAL"]
    assert not dropped.errors
    assert read_when(refused, time(written), required=True) is None
    assert [problem.code for problem in refused.errors] == ["CDA_INVALID"]
    assert written not in repr(refused.errors)


@pytest.mark.parametrize("node", [None, time(None), time("")])
def test_no_time_is_no_problem(node: Node | None) -> None:
    findings = Findings()
    assert read_when(findings, node) is None
    assert not findings.warnings
    assert not findings.errors


@given(st.text(max_size=60))
def test_any_text_is_repaired_or_not(text: str) -> None:
    proper = repaired(text)
    assert proper != text
    assert proper is None or repaired(proper) is None or len(text) > 40
