"""A wrong merge undone: identifiers and documents go back, no binding is taken away from anybody (D-1)."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.document import Entry
from gateway.model.event import Position
from gateway.model.patient import PatientId
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.store import checks
from tests.contract.store.backends import BACKENDS, EXAMPLES, SCRATCH, Bench
from tests.contract.store.files import IPP, OTHER, a40, bindings, names, places, signed, undo
from tests.strategies.records import ALICE, BORIS, CARLA, H1, H2, adt, local, stated

IO, INO = Position.OPPOSES, Position.ALLOWS
ONE, TWO, THREE = (("1.2.1", b"un"),), (("1.2.2", b"deux"),), (("1.2.3", b"trois"),)


def test_identifiers_and_documents_go_back(two: Bench) -> None:
    two.send(documents=ONE)
    two.send(documents=TWO, patient=(BORIS, OTHER), entries=(Entry(kind="result", content="{}"),))
    before = names(two), places(two)
    merge = two.event(signed(ALICE, BORIS))
    outcome = undo(two, merge)
    assert (outcome.verdict, outcome.codes, outcome.rule) == (Verdict.APPLIED, (), "D-1")
    assert (names(two), places(two)) == before
    boris = names(two)[BORIS.key]
    assert [(row["undone_at"], row["undone_by"]) for row in two.rows("merge")] == [
        (outcome.committed_at, "A. Martin + B. Petit"),
    ]
    assert [row["merged_into"] for row in two.rows("patient", id=boris)] == [None]
    assert [row["because"] for row in two.rows("link", value=BORIS.value, to_at=None)] == ["unmerge"]
    assert [row["patient"] for row in two.rows("entry", unique_id="1.2.2")] == [boris]
    assert {row["patient"] for row in two.rows("document_identifier", unique_id="1.2.2")} == {boris}
    assert two.states(BORIS) == {"1.2.2": "current"} and two.states(ALICE) == {"1.2.1": "current"}
    assert sorted((row["patient"], row["action"]) for row in two.rows("trace", receipt=outcome.receipt)) == sorted(
        (row["id"], "patient.unmerged") for row in two.rows("patient")
    )
    assert [(row["kind"], row["detail"]) for row in two.rows("task", receipt=outcome.receipt)] == [
        ("merge.undone", merge.receipt)
    ] * 2


def test_two_local_files_are_two_again(opened: Bench) -> None:
    opened.event(adt(patient=(ALICE, OTHER)))
    opened.event(adt(patient=(IPP,)))
    before = names(opened)
    merge = opened.event(a40())
    assert undo(opened, merge).verdict is Verdict.APPLIED
    assert names(opened) == before


def test_it_takes_two_persons_and_a_merge(two: Bench) -> None:
    merge = two.event(signed(ALICE, BORIS))
    for by in ((), ("A. Martin",), ("A. Martin", "a. martin ")):
        assert undo(two, merge, by).codes == ("SIGNATURES_MISSING",)
    assert undo(two, "r999999").codes == ("MERGE_UNKNOWN",)
    assert len(set(names(two).values())) == 1
    assert undo(two, merge).verdict is Verdict.APPLIED
    assert undo(two, merge).verdict is Verdict.UNCHANGED


def test_every_statement_binds_both_sides(two: Bench) -> None:
    """Stated before on either side, and since the merge under any identifier."""
    said = [two.event(adt(stated(IO, where), patient=(who,))).statement for where, who in ((H1, ALICE), (H2, BORIS))]
    merge = two.event(signed(ALICE, BORIS))
    said.append(two.event(adt(stated(INO, H2, at="20260320"), patient=(BORIS,))).statement)
    outcome = undo(two, merge)
    alice, boris = names(two)[ALICE.key], names(two)[BORIS.key]
    # The allowance is of Boris, and would lift what binds Alice when its date comes.
    assert bindings(two) == {(patient, statement) for patient in (alice, boris) for statement in said} - {(alice, said[2])}
    assert {row["because"] for row in two.rows("binding", receipt=outcome.receipt)} == {"unmerge"}
    for who in (ALICE, BORIS):
        assert two.send(documents=ONE, patient=(who,)).codes == ("OPPOSED",)
        assert two.send(documents=ONE, patient=(who,), establishments=(H2,)).codes == ("OPPOSED",)


def test_an_allowance_that_the_merge_set_aside_binds_again(two: Bench) -> None:
    two.event(adt(stated(IO, H1, at="20260308"), patient=(BORIS,)))
    two.event(adt(stated(INO, H1, at="20260309"), patient=(ALICE,)))
    two.clock.pass_by(days=1)
    merge = two.event(signed(ALICE, BORIS))
    assert two.send(documents=ONE).codes == ("OPPOSED",)
    undo(two, merge)
    assert two.send(documents=ONE).verdict is Verdict.STORED


@pytest.mark.parametrize("side", [H1, None])
@pytest.mark.parametrize("kept", [ALICE, BORIS])
def test_no_allowance_of_the_other_file_lifts_what_one_opposed(two: Bench, kept: PatientId, side: str | None) -> None:
    """Whether it was said before the merge or since, and be its date still to come."""
    two.event(adt(stated(IO, side, at="20260308"), patient=(BORIS,)))
    before = two.event(adt(stated(INO, side, at="20260309"), patient=(ALICE,))).statement
    merge = two.event(signed(kept, BORIS if kept is ALICE else ALICE))
    since = [two.event(adt(stated(INO, side, at=at), patient=(ALICE, IPP))).statement for at in ("20260310", "20260320")]
    outcome = undo(two, merge)
    asked = two.rows("task", kind="rights.ask_again", receipt=outcome.receipt)
    boris = names(two)[BORIS.key]
    assert {(row["patient"], row["detail"]) for row in asked} == {(boris, statement) for statement in (before, *since)}
    for _ in range(2):
        assert two.send(documents=ONE, patient=(BORIS,)).codes == ("OPPOSED",)
        assert two.send(documents=TWO).verdict in {Verdict.STORED, Verdict.DUPLICATE}
        two.clock.pass_by(days=30)


def test_what_was_said_by_the_numbers_of_both_lifts_nothing_of_either(two: Bench) -> None:
    two.event(adt(stated(IO, H1, at="20260308"), patient=(BORIS,)))
    merge = two.event(signed(ALICE, BORIS))
    two.event(adt(stated(INO, H1, at="20260309"), patient=(ALICE, OTHER)))
    two.clock.pass_by(days=1)
    assert two.send(documents=ONE).verdict is Verdict.STORED
    undo(two, merge)
    for who in (ALICE, BORIS):
        assert two.send(documents=TWO, patient=(who,)).codes == ("OPPOSED",)


def test_what_came_since_under_a_number_of_the_other_goes_back_too(two: Bench) -> None:
    merge = two.event(signed(ALICE, BORIS))
    two.send(documents=ONE, patient=(BORIS,))
    two.send(documents=TWO, patient=(ALICE, OTHER))
    two.send(documents=THREE, patient=(ALICE, IPP))
    two.send(documents=(("1.2.4", b"quatre"),), patient=(ALICE,))
    undone = undo(two, merge)
    alice, boris = names(two)[ALICE.key], names(two)[BORIS.key]
    assert places(two) == {"1.2.1": [boris], "1.2.2": [boris], "1.2.3": [alice], "1.2.4": [alice]}
    doubtful = two.rows("task", kind="document.doubtful")
    assert [(row["document"], row["patient"], row["receipt"]) for row in doubtful] == [("1.2.4", alice, undone.receipt)]


def test_a_version_that_came_since_follows_the_document_it_replaces(two: Bench) -> None:
    two.send(documents=ONE, patient=(BORIS, OTHER), set_id="9", version=1)
    merge = two.event(signed(ALICE, BORIS))
    two.send(documents=TWO, act=Act.REPLACE, set_id="9", version=2, replaces=("1.2.1",))
    undo(two, merge)
    assert two.states(BORIS) == {"1.2.1": "replaced", "1.2.2": "current"} and two.states(ALICE) == {}


def test_where_no_record_is_nothing_is_filed(opened: Bench) -> None:
    """The absorbed file has neither INS nor record: what came since under its number stays, and a person is told."""
    opened.event(adt(patient=(ALICE, OTHER)))
    opened.event(adt(patient=(IPP,)))
    merge = opened.event(a40())
    opened.send(documents=ONE, patient=(ALICE, IPP))
    opened.send(documents=TWO, patient=(ALICE,))
    undo(opened, merge)
    assert opened.states() == {"1.2.1": "current", "1.2.2": "current"}
    assert [row["document"] for row in opened.rows("task", kind="document.doubtful")] == ["1.2.1"]


def test_an_identifier_that_was_moved_elsewhere_since_stays_there(two: Bench) -> None:
    two.open(CARLA)
    merge = two.event(signed(ALICE, BORIS))
    carla = names(two)[CARLA.key]
    two.execute("UPDATE identifier SET patient = ? WHERE value = '200'", carla)
    two.execute("UPDATE link SET patient = ? WHERE value = '200' AND to_at IS NULL", carla)
    undo(two, merge)
    assert names(two)[OTHER.key] == carla
    assert names(two)[BORIS.key] not in {carla, names(two)[ALICE.key]}


def test_a_later_merge_is_undone_first(two: Bench) -> None:
    two.open(CARLA)
    two.send(documents=ONE, patient=(BORIS, OTHER))
    before = names(two), places(two)
    first = two.event(signed(ALICE, BORIS))
    second = two.event(signed(CARLA, ALICE))
    carla = names(two)[CARLA.key]
    assert set(names(two).values()) == {carla} and places(two) == {"1.2.1": [carla]}
    assert undo(two, first).codes == ("MERGE_FOLLOWED",)
    assert undo(two, second).verdict is undo(two, first).verdict is Verdict.APPLIED
    assert (names(two), places(two)) == before


def test_a_local_merge_can_be_undone_after_a_link_took_the_file_along(opened: Bench) -> None:
    for each in (IPP, OTHER):
        opened.event(adt(patient=(each,)))
    gone = names(opened)[IPP.key]
    merge = opened.event(a40())
    opened.event(adt(patient=(ALICE, OTHER)))
    assert len(set(names(opened).values())) == 1
    assert undo(opened, merge).verdict is Verdict.APPLIED
    assert names(opened)[IPP.key] == gone and names(opened)[OTHER.key] == names(opened)[ALICE.key]


def test_what_two_persons_separated_no_message_merges(opened: Bench) -> None:
    for each in (IPP, OTHER):
        opened.event(adt(patient=(each,)))
    undo(opened, opened.event(a40()))
    before = names(opened)
    assert opened.event(a40()).codes == ("IDENTITY_CONFLICT",)
    assert opened.event(adt(patient=(IPP, OTHER))).codes == ("IDENTITY_CONFLICT",)
    assert names(opened) == before
    assert opened.event(signed(OTHER, IPP)).verdict is Verdict.APPLIED
    assert len(set(names(opened).values()) - {1}) == 1


@pytest.mark.parametrize("later", ["the file that stayed", "the file that was absorbed"])
def test_nor_those_that_these_turned_out_to_be_since(opened: Bench, later: str) -> None:
    """A link took the one or the other along: before the undo, or after it."""
    third = local(H1, "300")
    for each in (IPP, OTHER, third):
        opened.event(adt(patient=(each,)))
    merge = opened.event(a40())
    if later == "the file that stayed":
        opened.event(adt(patient=(ALICE, OTHER)))
        undo(opened, merge)
        joins = (ALICE, IPP)
    else:
        undo(opened, merge)
        opened.event(adt(patient=(third, IPP)))
        opened.event(adt(patient=(ALICE, OTHER)))
        joins = (ALICE, third)
    before = names(opened)
    assert before[IPP.key] != before[ALICE.key]
    assert opened.event(adt(patient=joins)).codes == ("IDENTITY_CONFLICT",)
    assert opened.event(a40(kept=(OTHER,), absorbed=(IPP,))).codes == ("IDENTITY_CONFLICT",)
    assert names(opened) == before
    assert opened.event(signed(ALICE, IPP)).verdict is Verdict.APPLIED


@pytest.mark.parametrize("closed", [ALICE, BORIS])
def test_a_record_that_the_merge_closed_is_open_again(two: Bench, closed: PatientId) -> None:
    two.close_record(closed)
    undo(two, two.event(signed(ALICE, BORIS)))
    states = {who: two.record(who).state for who in (ALICE, BORIS)}  # type: ignore[union-attr]
    assert states == {who: "closed" if who is closed else "open" for who in (ALICE, BORIS)}


def test_a_record_that_the_patient_closed_since_stays_closed(two: Bench) -> None:
    two.close_record(BORIS)
    merge = two.event(signed(ALICE, BORIS))
    two.open(ALICE)
    two.close_record(ALICE)
    undo(two, merge)
    page = two.record()
    assert page is not None and page.state == "closed"


def test_what_the_patient_closes_when_a_merge_had_closed_it_stays_closed(two: Bench) -> None:
    two.close_record(BORIS)
    merge = two.event(signed(ALICE, BORIS))
    assert two.close_record(ALICE).verdict is Verdict.APPLIED
    assert two.close_record(ALICE).verdict is Verdict.UNCHANGED
    undo(two, merge)
    assert two.send(documents=ONE).codes == ("RECORD_CLOSED",)


@pytest.mark.parametrize("asked", [ALICE, BORIS])
def test_what_the_patient_closed_since_is_closed_on_both_sides(two: Bench, asked: PatientId) -> None:
    merge = two.event(signed(ALICE, BORIS))
    two.close_record(asked)
    undo(two, merge)
    for who in (ALICE, BORIS):
        assert two.send(documents=ONE, patient=(who,)).codes == ("RECORD_CLOSED",)


def test_a_record_is_closed_as_long_as_one_of_its_merges_closes_it(two: Bench) -> None:
    two.open(CARLA)
    two.close_record(BORIS)
    two.close_record(CARLA)
    first, second = two.event(signed(ALICE, BORIS)), two.event(signed(ALICE, CARLA))
    undo(two, first)
    assert two.send(documents=ONE).codes == ("RECORD_CLOSED",)
    undo(two, second)
    assert two.send(documents=ONE).verdict is Verdict.STORED


def test_what_a_later_merge_closed_does_not_close_whom_an_earlier_one_absorbed(two: Bench) -> None:
    two.open(CARLA)
    two.close_record(CARLA)
    first = two.event(signed(ALICE, BORIS))
    two.event(signed(ALICE, CARLA))
    undo(two, first)
    assert two.send(documents=ONE, patient=(BORIS,)).verdict is Verdict.STORED
    assert two.send(documents=TWO).codes == ("RECORD_CLOSED",)


def test_a_merge_with_three_files_is_undone_file_by_file(bench: Bench) -> None:
    third = local(H1, "300")
    for each in (IPP, OTHER, third):
        bench.event(adt(patient=(each,)))
    before = names(bench)
    merge = bench.event(a40(kept=(OTHER,), absorbed=(IPP, third)))
    undo(bench, f"{merge.receipt}.2")
    assert names(bench)[third.key] == before[third.key] and names(bench)[IPP.key] == before[OTHER.key]
    undo(bench, merge)
    assert names(bench) == before


# -- whatever happened before


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """Statements, links and deposits of two people."""
    people = ((ALICE, IPP), (BORIS, OTHER))
    steps: list[tuple[object, ...]] = []
    for number in range(draw(st.integers(0, 8))):
        who = draw(st.sampled_from(people))
        named = tuple(draw(st.lists(st.sampled_from(who), min_size=1, unique=True)))
        where = draw(st.sampled_from((H1, H2)))
        if draw(st.booleans()):
            at = draw(st.sampled_from((None, "20260308", "20260309", "20260310")))
            side = draw(st.sampled_from((where, None)))
            steps.append(
                ("says", adt(stated(draw(st.sampled_from(Position)), side, at=at), patient=named, links=draw(st.booleans())))
            )
        else:
            unique_id = f"1.2.{draw(st.integers(1, 4))}.{people.index(who)}"
            act = draw(st.sampled_from((Act.ADD, Act.ADD, Act.REPLACE, Act.DELETE)))
            steps.append(("sends", (who[0], *named), where, unique_id, act, number))
    return steps


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_merge_undone_gives_everything_back_and_takes_no_binding(backend: str) -> None:
    @settings(max_examples=EXAMPLES[backend])
    @given(before=histories(), kept=st.sampled_from((ALICE, BORIS)), said_since=st.booleans())
    def check(before: list[tuple[object, ...]], kept: PatientId, *, said_since: bool) -> None:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            bench: Bench = BACKENDS[backend](Path(folder), lasting=True)
            try:
                replay(bench, before)
                first = bench.tables()
                bound = bindings(bench, first)
                merge = bench.event(signed(kept, BORIS if kept is ALICE else ALICE))
                assert merge.verdict is Verdict.APPLIED
                since = bench.event(adt(stated(IO, None), patient=(ALICE,))).statement if said_since else None
                assert undo(bench, merge).verdict is Verdict.APPLIED
                last = bench.tables()
                named = names(bench, last)
                both = {named[ALICE.key], named[BORIS.key]}
                assert (named, places(bench, last)) == (names(bench, first), places(bench, first)) and len(both) == 2
                after = bindings(bench, last)
                assert after >= bound
                assert {patient for patient, statement in after if statement == since} == (both if since else set())
                opposed = {row["id"] for row in last["statement"] if row["position"] == "opposes"}
                on_either = {statement for patient, statement in bound if patient in both} & opposed
                assert after >= {(patient, statement) for patient in both for statement in on_either}
                assert bench.against() == []
                if backend == "sqlite":  # the same tables; on a server all the queries take longer than the history
                    with bench.read() as reader:
                        assert checks.check(reader, bench.clock.now()) == []
            finally:
                bench.close()

    check()


def replay(bench: Bench, history: list[tuple[object, ...]]) -> None:
    for who in (ALICE, BORIS):
        bench.open(who)
    for kind, *facts in history:
        if kind == "says":
            bench.event(facts[0])
        else:
            who, where, unique_id, act, number = facts
            bench.send(documents=((unique_id, b"%d" % number),), patient=who, establishments=(where,), act=act)
