"""The line before the writer: who goes ahead, and that everybody has a turn."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.sqlite.line import IN_A_ROW, Kind, Line

EVENT, BATCH, NOTE, STOP = Kind


def drained(line: Line[int]) -> list[Kind]:
    return [line.get()[0] for _ in range(line.qsize())]


def filled(*kinds: Kind) -> Line[int]:
    line: Line[int] = Line()
    for number, kind in enumerate(kinds):
        line.put(kind, number)
    return line


def test_events_go_ahead_of_batches_and_notes_come_last() -> None:
    assert drained(filled(STOP, NOTE, BATCH, EVENT, BATCH, EVENT)) == [EVENT, EVENT, BATCH, BATCH, NOTE, STOP]


def test_a_batch_has_its_turn_however_many_events_come() -> None:
    line = filled(BATCH, *[EVENT] * IN_A_ROW)
    taken = []
    for number in range(3 * IN_A_ROW):
        taken.append(line.get()[0])
        line.put(EVENT, number)
        if taken[-1] is BATCH:
            line.put(BATCH, number)
    assert [number for number, kind in enumerate(taken) if kind is BATCH] == [IN_A_ROW, 2 * IN_A_ROW + 1]


def test_a_note_has_its_turn_however_many_batches_and_events_come() -> None:
    line = filled(NOTE, BATCH, EVENT)
    for number in range((IN_A_ROW + 1) ** 2):
        kind, _ = line.get()
        if kind is NOTE:
            return
        line.put(kind, number)
    raise AssertionError("the note never had its turn")


def test_events_that_nobody_waited_behind_do_not_count() -> None:
    line = filled(*[EVENT] * (3 * IN_A_ROW))
    for _ in range(2 * IN_A_ROW):
        line.get()
    line.put(BATCH, 0)
    assert drained(line)[:IN_A_ROW] == [EVENT] * IN_A_ROW


@given(st.lists(st.sampled_from([*Kind][:3])), st.lists(st.booleans()))
def test_nothing_is_lost_and_each_kind_keeps_its_order(kinds: list[Kind], gets: list[bool]) -> None:
    line: Line[int] = Line()
    taken: list[tuple[Kind, int]] = []
    ahead = iter(gets)
    for number, kind in enumerate(kinds):
        line.put(kind, number)
        if next(ahead, False):
            taken.append(line.get())
    line.put(STOP, -1)
    taken += [line.get() for _ in range(line.qsize())]
    assert taken[-1] == (STOP, -1)
    for kind in (EVENT, BATCH, NOTE):
        assert [number for each, number in taken if each is kind] == [n for n, each in enumerate(kinds) if each is kind]
