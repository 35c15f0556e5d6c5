"""Deposits with something missing, doubled or misplaced: read or refused, never a traceback, never another document."""

import copy
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mappers.common.carrier import restore
from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import provide, simplified
from gateway.mappers.fhir.json import load
from gateway.model.problem import Severity, Unreadable
from gateway.model.problems import CODES
from gateway.model.submission import Submission
from tests.strategies.messages import DIRECTORY
from tests.strategies.resources import MASKED, PORTAL, REPLACEMENT, SIMPLE, TD2, TWO, Body

SAMPLES = {name: Body(name) for name in (TD2, TWO, REPLACEMENT, MASKED, SIMPLE)}
TEXTS = ["", " ", "x", "#patient", "#", "urn:uuid:0", "Patient/1", "a?b=c|d", "2026", "replaces"]
ODD = st.sampled_from([None, True, 0, -1, 1.5, *TEXTS, [], {}, [None], [{}]])


def steps(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a tree."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from steps(child, (*path, key))


PLACES = {name: sorted(steps(body.tree), key=str) for name, body in SAMPLES.items()}


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def read(payload: bytes, sample: str) -> Read | None:
    """What is read; None if it is no JSON."""
    try:
        loaded = load(payload)
    except Unreadable:
        return None
    reader = simplified if sample == SIMPLE else provide
    return reader.read(loaded, PORTAL, DIRECTORY, "test")


def check(payload: bytes, sample: str) -> None:
    found = read(payload, sample)
    if found is None:
        return
    assert {problem.code for problem in found.problems} <= CODES.keys()
    is_refused = any(problem.severity is Severity.ERROR for problem in found.problems)
    assert isinstance(found.content, Submission) is not is_refused
    if isinstance(found.content, Submission):
        assert restore(found.parts, found.content.carriers) == payload
        for document in found.content.documents:
            assert hashlib.sha256(found.parts[document.part]).hexdigest() == document.entry.digest


@settings(max_examples=60)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_a_value_that_is_gone_odd_or_elsewhere(sample: str, data: st.DataObject) -> None:
    body = SAMPLES[sample].copy()
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(PLACES[sample]))
        other = data.draw(st.sampled_from(PLACES[sample]))
        how = data.draw(st.sampled_from(["gone", "odd", "twice", "elsewhere"]))
        try:
            parent, value, from_there = at(body.tree, path[:-1]), at(body.tree, path), at(body.tree, other)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        if how == "gone":
            del parent[path[-1]]
        elif how == "odd":
            parent[path[-1]] = data.draw(ODD)
        elif how == "twice" and isinstance(parent, list):
            parent.append(copy.deepcopy(value))
        else:
            parent[path[-1]] = copy.deepcopy(from_there)
    check(body.payload, sample)


@settings(max_examples=30)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_bytes_that_are_cut_or_changed(sample: str, data: st.DataObject) -> None:
    payload = bytearray(SAMPLES[sample].payload)
    where = data.draw(st.integers(0, len(payload) - 1))
    if data.draw(st.booleans()):
        del payload[where : where + data.draw(st.integers(1, 40))]
    else:
        payload[where] = data.draw(st.integers(0, 255))
    check(bytes(payload), sample)


@pytest.mark.parametrize("sample", [TD2, TWO, REPLACEMENT, MASKED])
def test_each_resource_left_out_is_missed(sample: str) -> None:
    for index in range(len(SAMPLES[sample].tree["entry"])):
        less = SAMPLES[sample].copy()
        kind = less.tree["entry"].pop(index)["resource"]["resourceType"]
        found = read(less.payload, sample)
        assert found is not None
        # The PATCH of a replaced document is the only entry that may be missing: it is told.
        assert isinstance(found.content, Submission) is (kind == "Parameters"), kind
