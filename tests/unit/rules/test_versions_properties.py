"""Property 1 of D-5: the same documents, states and versions for every order of arrival."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice, permutations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.submission import Act
from gateway.model.verdict import Verdict
from gateway.rules.versions import Arrival, Life, State, apply, decide, settled


@dataclass
class Chain:
    owner: str
    set_id: str | None
    numbered: bool
    version: int
    head: str
    deleted: bool = False


@st.composite
def histories(draw, max_size=9):
    """
    Acts as they were sent: several chains of one owner or several; whoever replaces or deletes names what was latest then.

    A version number is used once in a set; a version may lack its set or its number where it names its parent.
    """
    owners = draw(st.sampled_from([("H1",), ("H1", "H2")]))
    chains: list[Chain] = []
    #: Chains that each owner ever began, merged ones too: a set id is not given twice.
    begun: Counter[str] = Counter()
    sent: list[Arrival] = []

    def document(chain, act, replaces):
        name = f"D{len(sent)}"
        bare = bool(replaces) and draw(st.integers(0, 4)) == 0
        sent.append(
            Arrival(
                act=act,
                unique_id=name,
                owner=chain.owner,
                set_id=None if bare else chain.set_id,
                version=chain.version if chain.numbered and not bare else None,
                replaces=replaces,
                digest=name,
                receipt=f"R{len(sent)}",
            )
        )
        chain.head, chain.deleted = name, False

    for _ in range(draw(st.integers(1, max_size))):
        kind = draw(st.sampled_from(("new", "replace", "replace", "version", "merge", "delete")))
        chain = draw(st.sampled_from(chains)) if chains else None
        if kind == "new" or chain is None:
            owner = draw(st.sampled_from(owners))
            # Owners number their sets alike: two establishments meet in one set id.
            set_id = draw(st.one_of(st.none(), st.just(f"S{begun[owner]}")))
            begun[owner] += 1
            chain = Chain(owner, set_id, draw(st.booleans()) and set_id is not None, draw(st.integers(1, 2)), "")
            chains.append(chain)
            document(chain, Act.ADD, ())
        elif kind == "delete" and not chain.deleted:
            sent.append(Arrival(act=Act.DELETE, unique_id=chain.head, owner=chain.owner, receipt=f"R{len(sent)}"))
            chain.deleted = True
        elif kind == "replace" and not chain.deleted:
            chain.version += draw(st.integers(1, 2))
            document(chain, draw(st.sampled_from((Act.REPLACE, Act.REPLACE, Act.ADD))), (chain.head,))
        elif kind == "version" and chain.numbered:
            chain.version += draw(st.integers(1, 2))
            document(chain, draw(st.sampled_from((Act.ADD, Act.REPLACE))), ())
        elif kind == "merge" and not chain.deleted:
            other = draw(st.sampled_from(chains))
            if other is not chain and other.owner == chain.owner and not other.deleted:
                chain.version += 1
                document(chain, Act.REPLACE, (chain.head, other.head))
                chains.remove(other)
    return tuple(sent)


def fold(arrivals):
    state = State()
    for arrival in arrivals:
        decision = decide(arrival, state)
        assert decision.decision.verdict not in {Verdict.REFUSED, Verdict.DUPLICATE}, (arrival, decision.decision)
        state = apply(state, decision)
    return state


def final(state):
    return {known.unique_id: known for known in state.known}


def declared(sent):
    """What each document must be, from all that was sent, with no order in it."""
    deleted = {arrival.unique_id for arrival in sent if arrival.act is Act.DELETE}
    documents = [arrival for arrival in sent if arrival.act is not Act.DELETE]
    named = {parent for arrival in documents for parent in arrival.replaces}

    def superseded(one):
        return any(
            (one.owner, one.set_id) == (other.owner, other.set_id)
            and one.set_id is not None
            and one.version is not None
            and other.version is not None
            and one.version < other.version
            for other in documents
        )

    return {
        one.unique_id: Life.DELETED
        if one.unique_id in deleted
        else Life.REPLACED
        if one.unique_id in named or superseded(one)
        else Life.CURRENT
        for one in documents
    }


@given(histories())
def test_in_the_order_sent_each_document_is_what_was_declared(sent):
    assert {name: known.state for name, known in final(fold(sent)).items()} == declared(sent)


@given(histories(max_size=5))
def test_every_permutation_of_a_short_history_ends_alike(sent):
    expected = final(fold(sent))
    for order in islice(permutations(sent), 120):
        assert final(fold(order)) == expected


@given(st.data(), histories())
def test_a_permutation_of_a_long_history_ends_alike(data, sent):
    assert final(fold(data.draw(st.permutations(sent)))) == final(fold(sent))


@given(st.data(), histories())
def test_resent_messages_change_nothing(data, sent):
    """At least once: any message may come again at any later moment, under another receipt."""
    order = data.draw(st.permutations(sent))
    again = data.draw(st.lists(st.sampled_from(order), max_size=4))
    state = State()
    for place, arrival in enumerate([*order, *again]):
        decision = decide(arrival, state)
        after = apply(state, decision)
        if place >= len(order):
            resent = decide(msgspec.structs.replace(arrival, receipt="again"), state)
            assert resent.decision.verdict is Verdict.DUPLICATE
            assert resent.first == arrival.receipt
            assert after == state
        state = after
    assert final(state) == final(fold(sent))


@given(st.data(), histories())
def test_tombstones_of_another_establishment_change_nothing(data, sent):
    """Another establishment deletes and replaces every id before it comes."""
    documents = [arrival for arrival in sent if arrival.act is not Act.DELETE]
    intruders = [
        Arrival(act=Act.DELETE, unique_id=arrival.unique_id, owner="H9", receipt=f"X{number}")
        for number, arrival in enumerate(documents)
    ] + [Arrival(act=Act.REPLACE, unique_id="intruder", owner="H9", replaces=tuple(a.unique_id for a in documents), digest="x")]
    mixed = fold((*intruders, *data.draw(st.permutations(sent))))
    found = final(mixed)
    found.pop("intruder")
    assert found == final(fold(sent))


@given(st.data(), histories())
def test_what_another_establishment_sends_again_changes_nothing(data, sent):
    """Each document comes a second time, from another establishment, some time after the first."""
    state = State()
    order = data.draw(st.permutations(sent))
    due: list[Arrival] = []
    for arrival in order:
        state = apply(state, decide(arrival, state))
        if arrival.act is not Act.DELETE:
            due.append(msgspec.structs.replace(arrival, owner="H9", receipt=f"X-{arrival.receipt}"))
        while due and data.draw(st.booleans()):
            stranger = decide(due.pop(), state)
            assert (stranger.decision.problem, stranger.claimed) == ("NOT_AUTHOR", True)
            assert apply(state, stranger) == state
    assert final(state) == final(fold(sent))


@given(st.data(), histories())
def test_a_state_never_goes_back(data, sent):
    rank = list(Life)
    state = State()
    for arrival in data.draw(st.permutations(sent)):
        after = apply(state, decide(arrival, state))
        for name, known in final(state).items():
            assert rank.index(final(after)[name].state) >= rank.index(known.state)
        state = after


@given(st.data(), histories())
def test_documents_of_two_records_that_become_one_end_as_if_they_had_always_been_there(data, sent):
    side = {arrival.receipt: data.draw(st.booleans()) for arrival in sent}
    one, other = (fold([arrival for arrival in sent if side[arrival.receipt] is there]) for there in (False, True))
    left = {(mark.unique_id, mark.owner, mark.kind) for mark in one.marks}
    marks = one.marks + tuple(mark for mark in other.marks if (mark.unique_id, mark.owner, mark.kind) not in left)
    came = {known.unique_id for known in other.known}
    changed = {known.unique_id: known for known in settled(State(known=one.known + other.known, marks=marks), came)}
    together = State(known=tuple(changed.get(known.unique_id, known) for known in one.known + other.known), marks=marks)
    assert {name: known.state for name, known in final(together).items()} == declared(sent)
    assert settled(together, came) == ()


@given(st.data(), histories())
def test_what_was_in_one_record_is_settled(data, sent):
    assert settled(fold(data.draw(st.permutations(sent))), ()) == ()
