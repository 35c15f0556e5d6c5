"""Strict JSON: what ends as a clear refusal, and what is kept as written."""

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mappers.common.carrier import cut, restore
from gateway.mappers.fhir.json import PLACEHOLDER, Limits, Number, load
from gateway.model.problem import Unreadable
from gateway.model.problems import CODES


def refused(payload: bytes, limits: Limits | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Unreadable) as caught:
        load(payload) if limits is None else load(payload, limits=limits)
    assert all(CODES[problem.code].http == 400 for problem in caught.value.problems)
    return [(problem.code, problem.place.path if problem.place else "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("payload", "code", "path"),
    [
        (b"", "JSON_INVALID", "$"),
        (b"[", "JSON_INVALID", "$"),
        (b"{}x", "JSON_INVALID", "$"),
        (b"[1]", "JSON_INVALID", "$"),
        (b'"text"', "JSON_INVALID", "$"),
        (b"null", "JSON_INVALID", "$"),
        (b'{"a": "\xe9"}', "JSON_INVALID", "$"),
        ('{"a": 1}'.encode("utf-16"), "JSON_INVALID", "$"),
        (b'{"resourceType": "List", "entry": [{"a": 1, "a": 2}]}', "JSON_INVALID", "List.entry[0]"),
        (b'{"resourceType": "List", "n": NaN}', "JSON_INVALID", "List.n"),
        (b'{"n": [1, -Infinity]}', "JSON_INVALID", "$.n[1]"),
        (b'{"n": 1e31}', "JSON_INVALID", "$.n"),
        (b'{"n": 1e1000000}', "JSON_INVALID", "$.n"),
        (b'{"n": ' + b"9" * 5000 + b"}", "JSON_INVALID", "$.n"),
        (b'{"n": 0.' + b"1" * 40 + b"}", "JSON_INVALID", "$.n"),
        (b'{"a b": 1}', "JSON_INVALID", "$"),
        (b'{"a": "\x01"}', "JSON_INVALID", "$"),
        (b'{"a": "x\\u0000"}', "UNSTORABLE_TEXT", "$.a"),
        (b'{"a": ["\\ud800"]}', "UNSTORABLE_TEXT", "$.a[0]"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "JSON_FORBIDDEN", "$.a" + "[0]" * 63),
        (b"[" * 100_000, "JSON_FORBIDDEN", "$"),
        (b'{"data": "QU*JD"}', "BASE64_INVALID", "$.data"),
        (b'{"data": "_-__"}', "BASE64_INVALID", "$.data"),
        (b'{"data": "QUI"}', "BASE64_INVALID", "$.data"),
        ('{"data": "QUJé"}'.encode(), "BASE64_INVALID", "$.data"),
    ],
)
def test_what_is_no_json_of_fhir_is_refused_with_its_place(payload: bytes, code: str, path: str) -> None:
    assert refused(payload) == [(code, path)]


def test_a_syntax_error_says_line_and_column_and_nothing_of_the_body() -> None:
    with pytest.raises(Unreadable) as caught:
        load(b'{\n "name": "DURAND",\n "b" 1}')
    problem = caught.value.problems[0]
    assert problem.detail.endswith("line 3, column 6")
    assert problem.place is not None
    assert problem.place.line == 3
    assert "DURAND" not in str(caught.value) + problem.detail


@pytest.mark.parametrize(("more", "is_refused"), [(-1, False), (0, False), (1, True)])
def test_the_depth_has_a_limit(more: int, *, is_refused: bool) -> None:
    deep = 64 - 1 + more
    payload = b'{"a": ' + b"[" * deep + b"]" * deep + b"}"
    if is_refused:
        assert refused(payload)[0][0] == "JSON_FORBIDDEN"
    else:
        load(payload.replace(b"[]", b"[1]"))


@pytest.mark.parametrize(("more", "is_refused"), [(-1, False), (0, False), (1, True)])
def test_the_number_of_values_has_a_limit(more: int, *, is_refused: bool) -> None:
    # `{`, `:`, `[` and a comma between each two values
    payload = b'{"a": [' + b",".join([b"1"] * (98 + more)) + b"]}"
    if is_refused:
        assert refused(payload, Limits(marks_limit=100)) == [("JSON_FORBIDDEN", "$")]
    else:
        load(payload, limits=Limits(marks_limit=100))


def test_a_byte_order_mark_is_tolerated() -> None:
    assert load(b"\xef\xbb\xbf" + b'{"a": 1}').tree == {"a": 1}


def test_numbers_keep_their_digits() -> None:
    tree = load(b'{"a": 1.950, "b": 1E3, "c": 7, "d": -0.10}').tree
    assert [tree[name].text for name in "abd"] == ["1.950", "1E3", "-0.10"]
    assert isinstance(tree["a"], Number)
    assert tree["a"] == Decimal("1.95")
    assert tree["c"] == 7


def test_null_and_empty_arrays_are_left_out_and_told() -> None:
    loaded = load(b'{"resourceType": "List", "a": null, "b": [], "given": ["A", null], "_given": [null, {"id": "x"}]}')
    assert set(loaded.tree) == {"resourceType", "given", "_given"}
    assert [(p.code, p.place.path if p.place else "") for p in loaded.problems] == [
        ("FHIR_UNUSUAL", "List.a"),
        ("FHIR_UNUSUAL", "List.b"),
    ]


def test_a_document_is_taken_out_of_the_tree_and_the_body_can_be_put_together_again() -> None:
    one, other = b"<a/>" * 100, bytes(range(256))
    payload = json.dumps(
        {"resourceType": "Bundle", "entry": [{"data": base64.b64encode(each).decode()} for each in (one, other, one)]}
    ).encode()
    loaded = load(payload)
    assert [entry["data"] for entry in loaded.tree["entry"]] == [PLACEHOLDER] * 3
    assert [blob.content for blob in loaded.blobs.values()] == [one, other, one]
    assert list(loaded.blobs) == [f"Bundle.entry[{index}].data" for index in range(3)]
    carried = [blob.carried for blob in loaded.blobs.values() if blob.carried is not None]
    assert len(carried) == 3
    parts, carriers = cut(payload, carried)
    assert len(parts[0]) < 200
    assert restore(parts, carriers) == payload


def test_a_document_that_is_written_with_escapes_is_read_and_stays_in_the_body() -> None:
    loaded = load(rb'{"data": "\/\/\/\/"}')
    blob = loaded.blobs["$.data"]
    assert (blob.content, blob.carried) == (b"\xff\xff\xff", None)


def test_the_data_of_a_sampled_curve_is_no_base64() -> None:
    assert load(b'{"valueSampledData": {"origin": {"value": 1}, "data": "1 2 E U"}}').blobs == {}


def told(payload: bytes) -> set[str]:
    """The codes of a refusal; none if it is read."""
    try:
        load(payload)
    except Unreadable as refusal:
        return {problem.code for problem in refusal.problems}
    return set()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["data", "resourceType", "contained"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text() | st.sampled_from(["resourceType", "entry", "data"]), _JSON, max_size=4))
def test_any_json_is_read_or_refused(value: dict[str, object]) -> None:
    assert told(json.dumps(value).encode("utf-8", "surrogatepass")) <= CODES.keys()


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789.eE+-nulltrue \\u', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    assert all(CODES[code].http == 400 for code in told(payload))
