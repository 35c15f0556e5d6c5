"""What the traits decide of a document, and what an event changes of the record's reference identity."""

from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.patient import Traits
from gateway.model.problems import CODES
from gateway.model.verdict import Verdict
from gateway.model.when import When
from gateway.rules.identity import decide, merged
from gateway.rules.traits import Cell, Reason, Trait, compare

LONG = "MONTMORENCY DE LA ROCHEFOUCAULD DOUDEAUVILLE"
BORN = When.read("19510312")

R = Traits(
    birth_name=LONG,
    used_name="MARTIN",
    first_given_name="JEAN",
    given_names="JEAN CHRISTOPHE PIERRE",
    birth_date=BORN,
    sex="M",
    birth_place="63220",
)


def but(identity=R, **changes):
    if "birth_date" in changes and changes["birth_date"] is not None:
        changes["birth_date"] = When.read(changes["birth_date"])
    return msgspec.structs.replace(identity, **changes)


#: One tolerable difference of each trait that is counted.
CUT = {"birth_name": LONG[:30]}
COMPOUND = {"first_given_name": "JEAN-CHRISTOPHE"}
SHORT = {"given_names": "JEAN CHRISTOPHE"}
UNKNOWN = {"sex": "U"}
YEAR = {"birth_date": "1951"}
#: Tolerable and not counted.
PLACE = {"birth_place": "75115"}

MATCH, NOTE, DIFFER = (
    (Verdict.STORED, None, ()),
    (Verdict.STORED, None, ("IDENTITY_NOTE",)),
    (Verdict.REFUSED, "TRAITS_DIFFER", ()),
)


@pytest.mark.parametrize(
    ("changes", "usual", "homonym", "traits"),
    [
        pytest.param({}, MATCH, MATCH, (), id="0: match"),
        pytest.param({"given_names": None}, MATCH, MATCH, (), id="a mere absence does not count"),
        pytest.param(dict.fromkeys(Traits.__struct_fields__), MATCH, MATCH, (), id="nothing said"),
        pytest.param({"used_name": "DURAND"}, MATCH, MATCH, (), id="a used name is not compared"),
        pytest.param(CUT, NOTE, DIFFER, ("birth_name",), id="1: cut name"),
        pytest.param(COMPOUND, NOTE, DIFFER, ("first_given_name",), id="1: first given name"),
        pytest.param(SHORT, NOTE, DIFFER, ("given_names",), id="1: shorter list"),
        pytest.param(COMPOUND | SHORT, NOTE, DIFFER, ("first_given_name", "given_names"), id="1: given names are one"),
        pytest.param(UNKNOWN, NOTE, DIFFER, ("sex",), id="1: sex unknown"),
        pytest.param(YEAR, NOTE, DIFFER, ("birth_date",), id="1: year only"),
        pytest.param(CUT | {"given_names": None}, NOTE, DIFFER, ("birth_name",), id="1 and an absence"),
        pytest.param(PLACE, NOTE, DIFFER, ("birth_place",), id="another place, all else equal"),
        pytest.param(CUT | YEAR, DIFFER, DIFFER, ("birth_name", "birth_date"), id="2: name and date"),
        pytest.param(SHORT | UNKNOWN, DIFFER, DIFFER, ("given_names", "sex"), id="2: given names and sex"),
        pytest.param(UNKNOWN | YEAR, DIFFER, DIFFER, ("sex", "birth_date"), id="2: sex and date"),
        pytest.param(PLACE | YEAR, DIFFER, DIFFER, ("birth_date", "birth_place"), id="another place, not all else equal"),
        pytest.param({"birth_name": "MARTIN"}, DIFFER, DIFFER, ("birth_name",), id="used name sent as birth name"),
        pytest.param({"first_given_name": "PIERRE"}, DIFFER, DIFFER, ("first_given_name",), id="PIERRE alone"),
        pytest.param({"given_names": "JEAN PAUL"}, DIFFER, DIFFER, ("given_names",), id="another list"),
        pytest.param({"sex": "F"}, DIFFER, DIFFER, ("sex",), id="another sex"),
        pytest.param({"birth_date": "19510313"}, DIFFER, DIFFER, ("birth_date",), id="another birth date"),
        pytest.param(
            {"sex": "F"} | YEAR, DIFFER, DIFFER, ("sex", "birth_date"), id="a refuse cell names what differs tolerably too"
        ),
    ],
)
def test_decide(changes, usual, homonym, traits):
    other = but(**changes)
    for transport, documents in ((other, ()), (R, (other,)), (other, (other, R)), (Traits(), (R, other))):
        for flagged, expected in ((False, usual), (True, homonym)):
            decided = decide(transport, documents, R, homonym=flagged)
            assert (decided.decision.verdict, decided.decision.problem, decided.warnings) == expected
            assert decided.traits == traits
            assert decided.decision.rule == "D-19"


@pytest.mark.parametrize(
    ("transport", "document", "refused"),
    [
        (CUT, YEAR, True),
        (CUT, CUT, False),
        (COMPOUND, SHORT, False),
        (PLACE, UNKNOWN, True),
        (PLACE, PLACE, False),
        ({}, {"sex": "F"}, True),
    ],
    ids=["two traits", "one trait twice", "given names", "another place beside", "another place twice", "only the document"],
)
def test_differences_of_the_message_and_of_the_document_add_up(transport, document, refused):
    assert decide(but(**transport), (but(**document),), R, homonym=False).decision.refuses is refused


@pytest.mark.parametrize("homonym", [False, True])
def test_without_a_reference_there_is_nothing_to_differ_from(homonym):
    decided = decide(R, (but(sex="F"),), None, homonym=homonym)
    assert (decided.decision.verdict, decided.warnings, decided.findings) == (Verdict.STORED, (), ())


def test_a_date_marked_as_estimated_is_tolerable():
    reference, sent = but(birth_date="19511231"), but(birth_date="19510101")
    assert decide(sent, (), reference, homonym=False).decision.problem == "TRAITS_DIFFER"
    marked = decide(sent, (), reference, homonym=False, estimated=True)
    assert (marked.decision.verdict, marked.warnings) == (Verdict.STORED, ("IDENTITY_NOTE",))
    assert [finding.reason for finding in marked.findings] == [Reason.COMPLETED_DATE]
    assert decide(sent, (), reference, homonym=True, estimated=True).decision.refuses


def test_a_decision_names_traits_and_no_value():
    decided = decide(but(birth_name="ZOTROK", first_given_name="ZOTRAK", birth_place="ZOT"), (), R, homonym=False)
    rendered = msgspec.json.encode(decided).decode()
    for value in ("ZOT", "MONTMORENCY", "JEAN", "MARTIN", "1951", "63220"):
        assert value not in rendered
    assert not any(trait in decided.decision.because for trait in decided.traits)


def test_its_codes_are_rows_of_the_table():
    assert {"TRAITS_DIFFER", "IDENTITY_NOTE"} <= set(CODES)


# --- the reference identity


@pytest.mark.parametrize(
    ("held", "sent", "changed"),
    [
        pytest.param({"given_names": None}, {}, ("given_names",), id="fills what is absent"),
        pytest.param({"birth_name": " "}, {}, ("birth_name",), id="a blank is absent"),
        pytest.param(YEAR, {}, ("birth_date",), id="year, then the day"),
        pytest.param(YEAR, {"birth_date": "195103"}, ("birth_date",), id="year, then the month"),
        pytest.param({}, YEAR, (), id="a day stays against a year"),
        pytest.param(CUT, {}, ("birth_name",), id="a cut name is completed"),
        pytest.param({}, CUT, (), id="a name is not cut"),
        pytest.param(SHORT, {}, ("given_names",), id="a list is completed"),
        pytest.param({}, SHORT, (), id="a list is not shortened"),
        pytest.param(UNKNOWN, {}, ("sex",), id="a sex unknown becomes known"),
        pytest.param({}, UNKNOWN, (), id="a sex known stays"),
        pytest.param({}, {"used_name": "DURAND"}, ("used_name",), id="a used name follows its source"),
        pytest.param({}, {"used_name": None}, (), id="an absence takes nothing away"),
        pytest.param({}, {"birth_name": LONG.title()}, (), id="another spelling is no change"),
        pytest.param({}, COMPOUND, (), id="a first given name is not exchanged"),
        pytest.param({}, PLACE, (), id="a place is not exchanged"),
        pytest.param({"given_names": None, **YEAR}, {}, ("given_names", "birth_date"), id="several at once"),
    ],
)
def test_merged(held, sent, changed):
    reference, arriving = but(**held), but(**sent)
    result = merged(reference, arriving, same_source=True)
    assert (result.changed, result.contested, result.withheld, result.watch) == (changed, (), (), False)
    expected = {name: getattr(arriving if name in changed else reference, name) for name in Traits.__struct_fields__}
    assert result.traits == Traits(**expected)
    other = merged(reference, arriving, same_source=False)
    assert other.traits == reference
    assert other.changed == other.contested == ()
    assert other.withheld == tuple(trait for trait in changed if trait != "used_name")
    assert other.watch is bool(other.withheld)


@pytest.mark.parametrize("same_source", [True, False])
@pytest.mark.parametrize(
    ("held", "sent", "contested"),
    [
        pytest.param({}, {"birth_date": "19510313"}, ("birth_date",), id="another date"),
        pytest.param({"given_names": None}, {"sex": "F"}, ("sex",), id="one contradiction and something to fill"),
        pytest.param({}, {"birth_name": "MARTIN"}, ("birth_name",), id="used name as birth name"),
        pytest.param({}, {"sex": "F", "birth_date": "1952"}, ("sex", "birth_date"), id="two contradictions"),
        pytest.param(YEAR, PLACE, ("birth_place",), id="another place, not all else equal"),
    ],
)
def test_a_contradiction_leaves_the_whole_reference_and_calls_identity_watch(held, sent, contested, same_source):
    result = merged(but(**held), but(**sent), same_source=same_source)
    assert result.traits == but(**held)
    assert (result.changed, result.contested, result.withheld, result.watch) == ((), contested, (), True)


@pytest.mark.parametrize("same_source", [True, False])
@pytest.mark.parametrize("reference", [None, Traits(), Traits(birth_name="")])
def test_the_first_identity_is_taken_whole(reference, same_source):
    result = merged(reference, but(used_name=None), same_source=same_source)
    assert result.traits == but(used_name=None)
    assert (result.changed, result.watch) == (tuple(Trait)[:6], False)


@pytest.mark.parametrize("held", ["1951", "195103", "19511231"])
def test_an_estimated_date_replaces_no_other(held):
    reference = but(birth_date=held)
    result = merged(reference, but(birth_date="19510301"), same_source=True, estimated=True)
    assert (result.traits, result.changed, result.watch) == (reference, (), False)


# --- properties


@st.composite
def variants(draw):
    """The reference with some traits differing: absent, tolerable, contradicting, by the same odds."""
    choices = {
        "birth_name": [LONG, LONG[:30], "MARTIN", None],
        "used_name": ["MARTIN", "DURAND", None],
        "first_given_name": ["JEAN", "JEAN-CHRISTOPHE", "PIERRE", None],
        "given_names": ["JEAN CHRISTOPHE PIERRE", "JEAN CHRISTOPHE", "JEAN", "PIERRE", None],
        "birth_date": ["19510312", "195103", "1951", "19511231", "19510101", "1952", None],
        "sex": ["M", "U", "F", None],
        "birth_place": ["63220", "75115", "99109", "BERLIN", None],
    }
    touched = draw(st.sets(st.sampled_from(sorted(choices)), max_size=3))
    return but(**{name: draw(st.sampled_from(choices[name])) for name in touched})


@given(variants(), st.booleans(), st.booleans())
def test_an_identity_matches_itself(identity, homonym, estimated):
    decided = decide(identity, (identity,), identity, homonym=homonym, estimated=estimated)
    assert (decided.decision.verdict, decided.warnings, decided.findings) == (Verdict.STORED, (), ())


@given(variants(), st.lists(variants(), max_size=3), variants(), st.booleans(), st.booleans())
def test_the_order_of_the_documents_is_of_no_effect(transport, documents, reference, homonym, estimated):
    decided = {
        msgspec.json.encode(decide(transport, tuple(order), reference, homonym=homonym, estimated=estimated))
        for order in permutations(documents)
    }
    assert len(decided) == 1


@given(variants(), st.lists(variants(), max_size=3), variants())
def test_a_homonym_and_one_document_more_only_refuse_more(transport, documents, reference):
    one, all_of_them = (decide(transport, some, reference, homonym=False) for some in ((), tuple(documents)))
    flagged = decide(transport, tuple(documents), reference, homonym=True)
    assert one.decision.refuses <= all_of_them.decision.refuses <= flagged.decision.refuses


@given(st.sets(st.sampled_from(Trait)), st.booleans())
def test_absences_only_never_refuse(without, homonym):
    decided = decide(R, (but(**dict.fromkeys(without)),), R, homonym=homonym)
    assert decided.decision.verdict is Verdict.STORED
    assert not decided.findings


@given(variants(), variants(), st.booleans(), st.booleans())
def test_a_merge_is_settled_at_once_and_never_contradicts_what_it_took(reference, arriving, same_source, estimated):
    once = merged(reference, arriving, same_source=same_source, estimated=estimated)
    again = merged(once.traits, arriving, same_source=same_source, estimated=estimated)
    assert (again.traits, again.changed) == (once.traits, ())
    assert (again.contested, again.withheld) == (once.contested, once.withheld)
    assert compare(once.traits, reference, estimated=estimated).of(Cell.REFUSE) == ()
