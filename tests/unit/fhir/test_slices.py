"""The bytes of a resource inside a body: found whatever stands around them, and not one changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.fhir.slices import resource_of

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), _values, max_size=4), min_size=1, max_size=4),
    st.integers(0, 3),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_the_slice_is_the_resource(resources: list[dict[str, Any]], index: int, indent: Any, escaped: bool) -> None:
    entries = [{"fullUrl": 'x"}]', "resource": resource, "request": {}} for resource in resources]
    body = json.dumps({"a": [[]], "entry": entries, "é": "}"}, indent=indent, ensure_ascii=escaped).encode(
        "utf-8", "surrogatepass"
    )
    if index >= len(resources):
        with pytest.raises(LookupError):
            resource_of(body, index)
        return
    found = resource_of(body, index)
    assert found in body
    assert json.loads(found) == resources[index]


@pytest.mark.parametrize(
    "body", [b'{"entry":[{"resource":{"a" : 1.50 }}]}', b'\xef\xbb\xbf { "entry" : [ { "resource":{"a" : 1.50 }} ] } ']
)
def test_blanks_and_digits_stay(body: bytes) -> None:
    assert resource_of(body, 0) == b'{"a" : 1.50 }'


@pytest.mark.parametrize("body", [b"{}", b'{"entry":{}}', b'{"entry":[]}', b'{"entry":[{"fullUrl":"x"}]}'])
def test_what_is_not_there_is_not_found(body: bytes) -> None:
    with pytest.raises(LookupError):
        resource_of(body, 0)
