"""Each case is one that an order of arrival, or a sender's mistake, once got wrong on paper or in code."""

from itertools import permutations

import msgspec
import pytest

from gateway.model.problems import CODES
from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.rules.versions import Arrival, Life, Mark, Marked, State, apply, decide


def add(name, *, owner="H1", version=None, set_id=None, replaces=(), act=Act.ADD, content="") -> Arrival:
    return Arrival(
        act=act,
        unique_id=name,
        owner=owner,
        set_id=set_id,
        version=version,
        replaces=tuple(replaces),
        digest=content or f"digest of {name}",
        receipt=f"{act}-{name}",
    )


def replace(name, *parents, **more) -> Arrival:
    return add(name, replaces=parents, act=Act.REPLACE, **more)


def delete(name, owner="H1") -> Arrival:
    return Arrival(act=Act.DELETE, unique_id=name, owner=owner, receipt=f"delete-{name}")


def fold(*arrivals, state=None):
    state = state or State()
    decisions = []
    for arrival in arrivals:
        decision = decide(arrival, state)
        decisions.append(decision)
        state = apply(state, decision)
    return state, decisions


def lives(state):
    return {known.unique_id: known.state.value for known in state.known}


CONVERGING = {
    "a replacement before what it replaces": ((add("A"), replace("B", "A")), {"A": "replaced", "B": "current"}),
    "the middle of a chain comes last": (
        (add("A", set_id="S", version=1), replace("B", "A", set_id="S", version=2), replace("C", "B", set_id="S", version=3)),
        {"A": "replaced", "B": "replaced", "C": "current"},
    ),
    "the middle of a chain without a set comes last": (
        (add("A"), replace("B", "A"), replace("C", "B")),
        {"A": "replaced", "B": "replaced", "C": "current"},
    ),
    "versions that name no parent": (
        (add("A", set_id="S", version=1), replace("B", set_id="S", version=2), add("C", set_id="S", version=4)),
        {"A": "replaced", "B": "replaced", "C": "current"},
    ),
    "a deletion before its document": ((add("A"), delete("A")), {"A": "deleted"}),
    "deleting the head brings nothing back": ((add("A"), replace("B", "A"), delete("B")), {"A": "replaced", "B": "deleted"}),
    "deleting the head of a set brings nothing back": (
        (add("A", set_id="S", version=1), add("B", set_id="S", version=2), delete("B")),
        {"A": "replaced", "B": "deleted"},
    ),
    "a version after a deleted one": (
        (add("A", set_id="S", version=1), delete("A"), add("B", set_id="S", version=2)),
        {"A": "deleted", "B": "current"},
    ),
    "a replacement in the middle is named, superseded and without a set": (
        (add("A", set_id="S", version=1), replace("B", "A"), replace("C", "B", set_id="S", version=3)),
        {"A": "replaced", "B": "replaced", "C": "current"},
    ),
    "one document replaces two": (
        (add("A"), add("B"), replace("C", "A", "B"), delete("C")),
        {"A": "replaced", "B": "replaced", "C": "deleted"},
    ),
    "the parent's id counts before a lower version number": (
        (add("A", set_id="S", version=2), replace("B", "A", set_id="S", version=1)),
        {"A": "replaced", "B": "current"},
    ),
    "two establishments use one set id": (
        (
            add("A", set_id="S", version=1),
            add("B", owner="H2", set_id="S", version=2),
            add("C", owner="H2", set_id="S", version=1),
        ),
        {"A": "current", "B": "current", "C": "replaced"},
    ),
    "a document that names itself as its parent": ((replace("A", "A"),), {"A": "current"}),
}


@pytest.mark.parametrize(("history", "expected"), CONVERGING.values(), ids=CONVERGING)
def test_every_order_of_arrival_ends_alike(history, expected):
    for order in permutations(history):
        state, decisions = fold(*order)
        assert not [decision for decision in decisions if decision.decision.refuses], order
        assert lives(state) == expected, order


REFUSED = {
    "a document that another one already replaced": ((add("A"), replace("B", "A"), replace("C", "A")), "VERSION_STALE"),
    "the deletion of a document that another one already replaced": ((add("A"), replace("B", "A"), delete("A")), "VERSION_STALE"),
    "an unknown document that another one already replaced": ((replace("B", "A"), replace("C", "A")), "VERSION_STALE"),
    "the deletion of an unknown document that another one already replaced": ((replace("B", "A"), delete("A")), "VERSION_STALE"),
    "the replaced, though its successor was deleted": (
        (add("A"), replace("B", "A"), delete("B"), replace("C", "A")),
        "VERSION_STALE",
    ),
    "the same version of a set under another id": (
        (add("A", set_id="S", version=1), add("B", set_id="S", version=1)),
        "VERSION_STALE",
    ),
    "the same version as a deleted one": (
        (add("A", set_id="S", version=1), delete("A"), add("B", set_id="S", version=1)),
        "VERSION_STALE",
    ),
    "a replacement by another establishment": ((add("A"), replace("B", "A", owner="H2")), "NOT_AUTHOR"),
    "a deletion by another establishment": ((add("A"), delete("A", "H2")), "NOT_AUTHOR"),
    "another establishment's, though it was deleted": ((add("A"), delete("A"), delete("A", "H2")), "NOT_AUTHOR"),
    "another establishment's, though it was replaced": ((add("A"), replace("B", "A"), delete("A", "H2")), "NOT_AUTHOR"),
    "one of two parents is another establishment's": ((add("A"), add("B", owner="H2"), replace("C", "A", "B")), "NOT_AUTHOR"),
    "the same document by another establishment": ((add("A"), add("A", owner="H2")), "NOT_AUTHOR"),
    "the same document by another establishment, as a replacement": ((add("A"), replace("A", owner="H2")), "NOT_AUTHOR"),
    "the same document by another establishment, though it was deleted": (
        (add("A"), delete("A"), add("A", owner="H2")),
        "NOT_AUTHOR",
    ),
    "another establishment's id with other bytes": ((add("A"), add("A", owner="H2", content="other")), "NOT_AUTHOR"),
    "the same id with other bytes": ((add("A"), add("A", content="other")), "OTHER_CONTENT"),
    "the same id with other bytes after its deletion": ((add("A"), delete("A"), add("A", content="other")), "OTHER_CONTENT"),
    "the same id as a replacement with other bytes": ((add("A"), replace("A", content="other")), "OTHER_CONTENT"),
}


@pytest.mark.parametrize(("arrivals", "code"), REFUSED.values(), ids=REFUSED)
def test_refused_and_nothing_is_written(arrivals, code):
    before, _ = fold(*arrivals[:-1])
    decision = decide(arrivals[-1], before)
    assert decision.decision.verdict is Verdict.REFUSED
    assert decision.decision.problem == code
    assert code in CODES
    assert apply(before, decision) == before
    assert not decision.warnings


@pytest.mark.parametrize("sent", [add("A", owner="H2"), add("A", owner="H2", content="other"), replace("A", owner="H2")])
def test_a_document_that_another_establishment_deposited_is_claimed(sent):
    state, _ = fold(add("A"))
    decision = decide(sent, state)
    assert decision.claimed
    assert decision.first is None
    assert not any(
        decide(own, state).claimed for own in (add("A"), delete("A"), replace("B", "A", owner="H2"), delete("A", "H2"))
    )


def test_a_change_of_visibility_is_other_content():
    state, _ = fold(add("A"))
    masked = msgspec.structs.replace(add("A"), visibility=(True, False, False))
    assert decide(masked, state).decision.problem == "OTHER_CONTENT"


@pytest.mark.parametrize("again", [add("A"), replace("A")], ids=["as an addition", "as a replacement"])
@pytest.mark.parametrize(
    "between", [(), (delete("A"),), (replace("B", "A"),)], ids=["at once", "after deletion", "after replacement"]
)
def test_the_same_document_again_is_a_duplicate_of_the_first(again, between):
    before, _ = fold(add("A"), *between)
    decision = decide(again, before)
    assert decision.decision.verdict is Verdict.DUPLICATE
    assert decision.first == "add-A"
    assert apply(before, decision) == before


@pytest.mark.parametrize("before", [(add("A"), delete("A")), (delete("A"),), (delete("A"), add("A"))])
def test_a_deletion_again_is_a_duplicate_of_the_first(before):
    state, _ = fold(*before)
    again = msgspec.structs.replace(delete("A"), receipt="second")
    decision = decide(again, state)
    assert decision.decision.verdict is Verdict.DUPLICATE
    assert decision.first == "delete-A"
    assert apply(state, decision) == state


def test_an_unknown_parent_is_a_warning_and_leaves_a_tombstone():
    state, (decision,) = fold(replace("B", "A"))
    assert decision.decision.verdict is Verdict.STORED
    assert decision.warnings == ("PARENT_UNKNOWN",)
    assert state.marks == (Mark(unique_id="A", owner="H1", kind=Marked.REPLACED, by="B", receipt="replace-B"),)
    _, (late,) = fold(add("A"), state=state)
    assert late.decision.verdict is Verdict.REPLACED
    assert late.insert is not None and (late.insert.state, late.insert.replaced_by) == (Life.REPLACED, "B")


def test_a_replacement_that_finds_nothing_to_replace_is_a_warning():
    _, (decision,) = fold(replace("B", set_id="S", version=2))
    assert (decision.decision.verdict, decision.warnings, decision.leave) == (Verdict.STORED, ("PARENT_UNKNOWN",), ())
    _, (_, found) = fold(add("A", set_id="S", version=1), replace("B", set_id="S", version=2))
    assert found.warnings == ()


def test_an_unknown_target_is_a_warning_and_leaves_a_tombstone():
    state, (decision,) = fold(delete("A"))
    assert decision.decision.verdict is Verdict.DELETED
    assert decision.warnings == ("TARGET_UNKNOWN",)
    assert state == State(marks=(Mark(unique_id="A", owner="H1", kind=Marked.DELETED, receipt="delete-A"),))
    _, (late,) = fold(add("A"), state=state)
    assert late.decision.verdict is Verdict.DELETED
    assert late.insert is not None and (late.insert.state, late.insert.deletion) == (Life.DELETED, "delete-A")


def test_a_tombstone_of_another_establishment_has_no_effect():
    state, decisions = fold(delete("A", "H2"), replace("X", "B", owner="H2"), add("A"), add("B"), delete("A"), replace("C", "B"))
    assert not [decision for decision in decisions if decision.decision.refuses]
    assert lives(state) == {"X": "current", "A": "deleted", "B": "replaced", "C": "current"}


def test_a_replacement_whose_own_deletion_came_first_still_replaces():
    state, decisions = fold(add("A"), delete("B"), replace("B", "A"))
    assert lives(state) == {"A": "replaced", "B": "deleted"}
    assert decisions[-1].decision.verdict is Verdict.DELETED


def test_a_replacement_of_a_deleted_document_is_stored_and_the_deleted_one_stays_so():
    state, decisions = fold(add("A"), delete("A"), replace("B", "A"))
    assert lives(state) == {"A": "deleted", "B": "current"}
    assert decisions[-1].decision.verdict is Verdict.STORED


def test_an_older_version_goes_to_history():
    _, decisions = fold(add("B", set_id="S", version=2), add("A", set_id="S", version=1))
    assert decisions[-1].decision.verdict is Verdict.REPLACED


def test_a_version_number_without_a_set_orders_nothing():
    state, _ = fold(add("B", version=2), add("A", version=1))
    assert lives(state) == {"A": "current", "B": "current"}
