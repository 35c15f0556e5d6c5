"""What a sender declares beside a CDA: in headers, in a part, in both; and whatever else may stand there."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.cda.declared import FACTS, FLAGS, LONGEST_PART, Declared, read
from gateway.mappers.common.findings import Findings
from gateway.model.submission import Act, Flags

#: Header → value → where it ends.
HEADERS = [
    ("dmp-act", "replace", "act", Act.REPLACE),
    ("dmp-sender-organization", "1990000018", "organization", "1990000018"),
    ("dmp-sender-professional", "899900000017", "professional", "899900000017"),
    ("dmp-visit", "26000123", "visit", "26000123"),
    ("dmp-content-type-code", "03", "content_type", "03"),
]


def found(headers: dict[str, str] | None = None, part: bytes | None = None) -> tuple[Declared, list[tuple[str, str]]]:
    findings = Findings()
    declared = read(headers or {}, part, findings)
    return declared, [(problem.code, problem.place.path if problem.place else "") for problem in findings.errors]


def in_part(said: Any) -> tuple[Declared, list[tuple[str, str]]]:
    return found(part=json.dumps(said).encode())


def test_nothing_said_is_for_the_record_without_flags() -> None:
    declared, errors = found()
    assert errors == []
    assert declared == Declared(flags=Flags(destdmp=True))


@pytest.mark.parametrize(("header", "written", "name", "value"), HEADERS)
def test_a_header_says_a_fact(header: str, written: str, name: str, value: object) -> None:
    declared, errors = found({header: f" {written} "})
    assert errors == []
    assert getattr(declared, name) == value
    assert declared.places[name].path.lower() == f"header:{header}"


def test_every_header_is_tried() -> None:
    assert {fact.header.lower() for fact in FACTS if fact.header} == {header for header, *_ in HEADERS}


def test_the_examples_of_the_table_are_read() -> None:
    for fact in FACTS:
        assert fact.form.fullmatch(fact.example), fact.name


def test_the_part_says_every_fact_and_flag() -> None:
    whole: dict[str, Any] = {"flags": list(FLAGS), "sender": {}}
    for fact in FACTS:
        target = whole["sender"] if fact.keys[0] == "sender" else whole
        target[fact.keys[-1]] = fact.example
    declared, errors = in_part(whole)
    assert errors == []
    assert {fact.name: getattr(declared, fact.name) for fact in FACTS} == {fact.name: fact.example for fact in FACTS}
    assert declared.flags == Flags(destdmp=True, **{flag.lower(): True for flag in FLAGS})
    assert declared.places["organization"].path == "submission/sender/organization"
    assert declared.flag_places["INVISIBLE_PATIENT"].path == "submission/flags/1"


@pytest.mark.parametrize("written", ["MASQUE_PS", "masque_ps , INVISIBLE_REP_LEGAUX", "MASQUE_PS,,MASQUE_PS"])
def test_flags_of_a_header_are_names(written: str) -> None:
    declared, errors = found({"dmp-flags": written})
    assert errors == []
    assert declared.flags.masque_ps
    assert declared.flags.invisible_rep_legaux == ("LEGAUX" in written)


def test_the_spelling_of_earlier_versions_is_read() -> None:
    declared, errors = found({"dmp-flags": "INVISIBLE_REPRESENTANTS_LEGAUX"})
    assert errors == []
    assert declared.flags.invisible_rep_legaux


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"dmp-act": "update"}, ("VALUE_UNKNOWN", "header:DMP-Act")),
        ({"dmp-act": "add, delete"}, ("FIELD_INVALID", "header:DMP-Act")),
        ({"dmp-act": ""}, ("FIELD_INVALID", "header:DMP-Act")),
        ({"dmp-flags": "MASQUE_PS=Y"}, ("VALUE_UNKNOWN", "header:DMP-Flags")),
        ({"dmp-flags": "DESTDMP"}, ("VALUE_UNKNOWN", "header:DMP-Flags")),
        ({"dmp-sender-organization": "1990000018\r\nX: y"}, ("FIELD_INVALID", "header:DMP-Sender-Organization")),
        ({"dmp-sender-professional": "<script>"}, ("FIELD_INVALID", "header:DMP-Sender-Professional")),
        ({"dmp-visit": "1" * 65}, ("FIELD_INVALID", "header:DMP-Visit")),
        ({"dmp-visit": "٢٠٢٦"}, ("FIELD_INVALID", "header:DMP-Visit")),
    ],
)
def test_a_header_without_its_form_is_refused(headers: dict[str, str], error: tuple[str, str]) -> None:
    assert found(headers)[1] == [error]


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (b"", ("FIELD_INVALID", "submission")),
        (b"{", ("FIELD_INVALID", "submission")),
        (b"[]", ("FIELD_INVALID", "submission")),
        (b"\xff{}", ("FIELD_INVALID", "submission")),
        (b'{"act": "add", "act": "delete"}', ("FIELD_INVALID", "submission")),
        (b'{"act": NaN}', ("FIELD_INVALID", "submission")),
        (b'{"visit": 1}', ("FIELD_INVALID", "submission/visit")),
        (b'{"visit": 1e999}', ("FIELD_INVALID", "submission/visit")),
        (b'{"visit": null}', ("FIELD_INVALID", "submission/visit")),
        (b'{"sender": "x"}', ("FIELD_INVALID", "submission/sender")),
        (b'{"sender": {"finess": "1"}}', ("FIELD_INVALID", "submission/sender/finess")),
        (b'{"patient": {"ins": "x"}}', ("FIELD_INVALID", "submission/patient")),
        (b'{"DUPONT MARIE": 1}', ("FIELD_INVALID", "submission/\xe2\x80\xa6".encode("latin-1").decode())),
        (b'{"flags": "MASQUE_PS"}', ("FIELD_INVALID", "submission/flags")),
        (b'{"flags": [1]}', ("FIELD_INVALID", "submission/flags")),
        (b'{"flags": ["X"]}', ("VALUE_UNKNOWN", "submission/flags/0")),
        (b'{"act": "x"}', ("VALUE_UNKNOWN", "submission/act")),
        ('{"sender": {"family": "A\u202eB"}}'.encode(), ("FIELD_INVALID", "submission/sender/family")),
        (b'{"sender": {"family": "\\ud800"}}', ("FIELD_INVALID", "submission/sender/family")),
        (b'{"sender": {"family": "\\u0000"}}', ("FIELD_INVALID", "submission/sender/family")),
        (b"[" * 100_000, ("FIELD_INVALID", "submission")),
        (b'{"a":' * 10_000, ("FIELD_INVALID", "submission")),
    ],
)
def test_a_part_that_says_no_fact_is_refused_with_its_place(part: bytes, error: tuple[str, str]) -> None:
    assert found(part=part)[1] == [error]


def test_a_part_is_read_to_its_limit_and_no_further() -> None:
    filled = b'{"act": "add"' + b" " * (LONGEST_PART - 14) + b"}"
    assert found(part=filled)[1] == []
    assert found(part=filled + b" ")[1] == [("FIELD_INVALID", "submission")]


def test_a_fact_that_is_said_twice_is_refused() -> None:
    assert found({"dmp-act": "add"}, b'{"act": "add"}')[1] == [("FIELD_INVALID", "submission/act")]


_names = st.sampled_from([*(key for fact in FACTS for key in fact.keys), "flags", "x", ""])
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["add", "MASQUE_PS"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


@given(said=_values, headers=st.dictionaries(st.sampled_from([header for header, *_ in HEADERS] + ["dmp-flags"]), st.text()))
def test_whatever_is_said_is_read_or_refused(said: object, headers: dict[str, str]) -> None:
    declared, errors = found(headers, json.dumps(said).encode())
    assert declared.flags.destdmp
    for fact in FACTS:
        value = getattr(declared, fact.name)
        if value is not None:
            assert fact.form.fullmatch(value)
    # A place repeats nothing that could be a person's: only letters of our own names, digits of a list.
    for _, path in errors:
        assert set(path) <= {*string.ascii_letters, *string.digits, *":/-_.…"}


@given(part=st.binary(max_size=200))
def test_whatever_bytes_a_part_is_of_it_is_read_or_refused(part: bytes) -> None:
    found(part=part)
