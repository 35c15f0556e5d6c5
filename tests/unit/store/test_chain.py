"""The chain of a trace: whatever is done to the lines of a patient is found, and at its place (R-35)."""

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import chain
from gateway.store.chain import Break, Fault, Head, Line, TraceOf
from gateway.store.rows import TraceRow

PATIENT = 7
AT = "2026-03-10T08:00:00.000000+00:00"

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
rows = st.builds(
    TraceRow,
    actor=texts,
    action=texts,
    receipt=texts,
    patient=st.just(PATIENT),
    document=st.none() | texts,
    verdict=st.none() | texts,
    rule=st.none() | texts,
    statement=st.none() | texts,
    rights_version=st.none() | st.integers(0, 9),
)


def written(made: list[TraceRow]) -> TraceOf:
    """The trace as a store writes it."""
    head, lines = Head(), []
    for number, row in enumerate(made):
        at = f"2026-03-10T08:00:00.{number:06}+00:00"
        head = chain.extend(head, at, row)
        lines.append(Line(n=head.length, at=at, row=row, hash=head.hash))
    return TraceOf(patient=PATIENT, head=head, lines=tuple(lines))


def faults(trace: TraceOf, lines: list[Line]) -> list[tuple[int, Break]]:
    found = chain.verify(msgspec.structs.replace(trace, lines=tuple(lines)))
    assert all(fault.patient == PATIENT for fault in found)
    return [(fault.n, fault.what) for fault in found]


def test_the_hash_is_that_of_an_array_of_the_values() -> None:
    """Written down once by hand: whoever verifies a trace without this program needs no more than this."""
    row = TraceRow(
        actor="ris-h1", action="document.add", receipt="r1", patient=PATIENT, document="1.2", verdict="stored", rule="D-6"
    )
    text = json.dumps(["ab", 7, 2, AT, "ris-h1", "document.add", "r1", "1.2", "stored", "D-6", None, None], separators=(",", ":"))
    assert chain.digest("ab", 2, AT, row) == hashlib.sha256(text.encode()).hexdigest()


@given(st.lists(rows, max_size=6))
def test_what_was_written_is_whole(made: list[TraceRow]) -> None:
    assert chain.verify(written(made)) == ()


@given(st.data())
def test_a_changed_line_is_found(data: st.DataObject) -> None:
    trace = written(data.draw(st.lists(rows, min_size=1, max_size=6)))
    lines = list(trace.lines)
    place = data.draw(st.integers(0, len(lines) - 1))
    name = data.draw(st.sampled_from([field for field in TraceRow.__struct_fields__ if field != "patient"]))
    before = getattr(lines[place].row, name)
    after = data.draw((st.integers(0, 9) if name == "rights_version" else texts).filter(lambda value: value != before))
    lines[place] = msgspec.structs.replace(lines[place], row=msgspec.structs.replace(lines[place].row, **{name: after}))
    assert faults(trace, lines) == [(place + 1, Break.CHANGED)]


@given(st.lists(rows, min_size=1, max_size=6), st.data())
def test_a_line_changed_with_its_hash_is_found_behind_it(made: list[TraceRow], data: st.DataObject) -> None:
    trace = written(made)
    lines = list(trace.lines)
    place = data.draw(st.integers(0, len(lines) - 1))
    row = msgspec.structs.replace(lines[place].row, actor=lines[place].row.actor + "x")
    before = lines[place - 1].hash if place else None
    digest = chain.digest(before, place + 1, lines[place].at, row)
    lines[place] = msgspec.structs.replace(lines[place], row=row, hash=digest)
    # The next line was chained to the other hash; behind the last there is the head.
    assert faults(trace, lines) == [(min(place + 2, len(lines)), Break.CHANGED)]


@given(st.lists(rows, min_size=1, max_size=6), st.data())
def test_a_line_taken_out_is_found(made: list[TraceRow], data: st.DataObject) -> None:
    trace = written(made)
    place = data.draw(st.integers(0, len(made) - 1))
    assert faults(trace, [line for line in trace.lines if line.n != place + 1]) == [(place + 1, Break.MISSING)]


@given(st.lists(rows, min_size=2, max_size=6), st.data())
def test_a_line_taken_out_and_the_others_renumbered_is_found(made: list[TraceRow], data: st.DataObject) -> None:
    trace = written(made)
    place = data.draw(st.integers(0, len(made) - 1))
    kept = [line for line in trace.lines if line.n != place + 1]
    lines = [msgspec.structs.replace(line, n=number) for number, line in enumerate(kept, 1)]
    found = faults(trace, lines)
    assert found[-1] == (len(made), Break.MISSING)
    assert len(found) == len(made) - place  # each line behind the gap, and the end


@given(st.lists(rows, min_size=1, max_size=6), rows, st.data())
def test_a_line_put_in_is_found(made: list[TraceRow], more: TraceRow, data: st.DataObject) -> None:
    trace = written(made)
    place = data.draw(st.integers(1, len(made) + 1))
    put = Line(n=place, at=AT, row=more, hash=chain.digest(None, place, AT, more))
    # The sort is stable: the line that was there first is followed, the other is one too many.
    found = faults(trace, [*trace.lines, put])
    assert (place, Break.ADDED) in found
    assert (place, Break.CHANGED) not in found or place == len(made) + 1


@given(st.lists(rows, min_size=2, max_size=6), st.data())
def test_lines_that_changed_places_are_found(made: list[TraceRow], data: st.DataObject) -> None:
    trace = written(made)
    first, second = data.draw(st.lists(st.integers(0, len(made) - 1), min_size=2, max_size=2, unique=True))
    lines = list(trace.lines)
    lines[first] = msgspec.structs.replace(trace.lines[second], n=first + 1)
    lines[second] = msgspec.structs.replace(trace.lines[first], n=second + 1)
    found = faults(trace, lines)
    assert {(first + 1, Break.CHANGED), (second + 1, Break.CHANGED)} <= set(found)


def test_a_line_without_a_place_is_one_too_many() -> None:
    row = TraceRow(actor="a", action="b", receipt="c", patient=PATIENT)
    trace = written([row])
    lost = Line(n=None, at=AT, row=row, hash=None)
    assert faults(trace, [lost, *trace.lines]) == [(0, Break.ADDED)]


def test_the_line_of_another_patient_is_found() -> None:
    """Chained rightly, but to somebody else's trace."""
    row = TraceRow(actor="a", action="b", receipt="c", patient=PATIENT + 1)
    head = chain.extend(Head(), AT, row)
    line = Line(n=1, at=AT, row=row, hash=head.hash)
    assert chain.verify(TraceOf(patient=PATIENT, head=head, lines=(line,))) == (Fault(patient=7, n=1, what=Break.CHANGED),)


@pytest.mark.parametrize(("length", "place", "what"), [(3, 3, Break.MISSING), (1, 2, Break.ADDED)])
def test_a_head_that_says_another_length_is_found(length: int, place: int, what: Break) -> None:
    row = TraceRow(actor="a", action="b", receipt="c", patient=PATIENT)
    trace = written([row, row])
    found = chain.verify(msgspec.structs.replace(trace, head=Head(length=length, hash=trace.head.hash)))
    assert [(fault.n, fault.what) for fault in found] == [(place, what)]
