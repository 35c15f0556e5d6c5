"""The table of traits, cell by cell; and that it is fair: to both sides, to oneself, to what is not said."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.patient import Traits
from gateway.model.when import When
from gateway.rules.traits import Cell, Reason, Trait, compare

EQUAL, ABSENT, TOLERABLE, REFUSE = Cell.EQUAL, Cell.ABSENT, Cell.TOLERABLE, Cell.REFUSE

LONG = "MONTMORENCY DE LA ROCHEFOUCAULD DOUDEAUVILLE"


def born(digits):
    return When.read(digits)


def cell(trait, left, right, *, estimated=False):
    """The cell and the reason of one trait, the same both ways round."""
    found, mirrored = (
        next(one for one in compare(*pair, estimated=estimated).findings if one.trait is trait)
        for pair in ((left, right), (right, left))
    )
    assert found == mirrored
    return found.cell, found.reason


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param("DUPONT", "DUPONT", (EQUAL, Reason.SAME), id="same"),
        pytest.param("D’ARTAGNAN-Lœb", "d'artagnan loeb", (EQUAL, Reason.SAME), id="apostrophe, hyphen, ligature and case"),
        pytest.param("PÉREZ  de la Peña", "PEREZ DE LA PENA", (EQUAL, Reason.SAME), id="marks and spaces"),
        pytest.param("DUPONT", "DUPOND", (REFUSE, Reason.OTHER_NAME), id="another name"),
        pytest.param("DUPONT.", "DUPONT", (REFUSE, Reason.OTHER_NAME), id="a character that remains is a difference"),
        pytest.param("DUPONT", "DUPONT MARTIN", (REFUSE, Reason.OTHER_NAME), id="a prefix that is no cut field"),
        pytest.param(LONG[:29], LONG, (REFUSE, Reason.OTHER_NAME), id="29 characters of the name"),
        pytest.param(LONG[:30], LONG, (TOLERABLE, Reason.CUT_FIELD), id="30 characters of the name"),
        pytest.param(LONG[:29] + "X", LONG, (REFUSE, Reason.OTHER_NAME), id="30 characters, the last another"),
        pytest.param(LONG[3:36], LONG, (REFUSE, Reason.OTHER_NAME), id="33 characters of its middle"),
        pytest.param(None, "DUPONT", (ABSENT, Reason.NOT_SAID), id="absent"),
        pytest.param(" - ", "DUPONT", (ABSENT, Reason.NOT_SAID), id="nothing left to compare"),
    ],
)
def test_birth_name(mine, theirs, expected):
    assert cell(Trait.BIRTH_NAME, Traits(birth_name=mine), Traits(birth_name=theirs)) == expected


@pytest.mark.parametrize(
    ("mine", "used", "theirs", "expected"),
    [
        ("MARTIN", "MARTIN", "DUPONT", (REFUSE, Reason.USED_NAME_AS_BIRTH_NAME)),
        ("Mârtin", "MARTIN", "DUPONT", (REFUSE, Reason.USED_NAME_AS_BIRTH_NAME)),
        (LONG[:30], LONG[:30], LONG, (REFUSE, Reason.USED_NAME_AS_BIRTH_NAME)),
        ("DUPONT", "DUPONT", "DUPONT", (EQUAL, Reason.SAME)),
        ("MARTIN", "MARTIN", None, (ABSENT, Reason.NOT_SAID)),
        ("MARTIN", None, "DUPONT", (REFUSE, Reason.OTHER_NAME)),
    ],
    ids=["used name", "normalised", "before a cut field", "one name for both", "birth name not known", "used name not known"],
)
def test_used_name_sent_as_birth_name(mine, used, theirs, expected):
    assert cell(Trait.BIRTH_NAME, Traits(birth_name=mine), Traits(birth_name=theirs, used_name=used)) == expected


JEAN = Traits(first_given_name="JEAN", given_names="JEAN CHRISTOPHE PIERRE")
COMPOUND = Traits(first_given_name="JEAN-CHRISTOPHE", given_names="JEAN CHRISTOPHE PIERRE")


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param("JEAN", "JEAN CHRISTOPHE PIERRE", (EQUAL, Reason.STARTS_THE_LIST), id="JEAN"),
        pytest.param("JEAN-CHRISTOPHE", "JEAN CHRISTOPHE PIERRE", (EQUAL, Reason.STARTS_THE_LIST), id="JEAN-CHRISTOPHE"),
        pytest.param("JEAN CHRISTOPHE PIERRE", "JEAN CHRISTOPHE PIERRE", (EQUAL, Reason.STARTS_THE_LIST), id="the whole list"),
        pytest.param("CHRISTOPHE", "JEAN CHRISTOPHE PIERRE", (REFUSE, Reason.OTHER_GIVEN_NAME), id="CHRISTOPHE alone"),
        pytest.param("PIERRE", "JEAN CHRISTOPHE PIERRE", (REFUSE, Reason.OTHER_GIVEN_NAME), id="PIERRE alone"),
        pytest.param("JEAN CHRIS", "JEAN CHRISTOPHE PIERRE", (REFUSE, Reason.OTHER_GIVEN_NAME), id="not at a word end"),
        pytest.param("JEAN CHRISTOPHE", "JEAN", (REFUSE, Reason.OTHER_GIVEN_NAME), id="more than the list, and no other list"),
        pytest.param("JEAN", None, (ABSENT, Reason.NOT_SAID), id="neither first nor list"),
    ],
)
def test_first_given_name_against_a_list(mine, theirs, expected):
    assert cell(Trait.FIRST_GIVEN_NAME, Traits(first_given_name=mine), Traits(given_names=theirs)) == expected


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param(Traits(first_given_name="JEAN"), JEAN, (EQUAL, Reason.SAME), id="same first"),
        pytest.param(Traits(first_given_name="JEAN"), COMPOUND, (TOLERABLE, Reason.BOTH_START_THE_LIST), id="JEAN"),
        pytest.param(
            Traits(first_given_name="JEAN CHRISTOPHE"), JEAN, (TOLERABLE, Reason.BOTH_START_THE_LIST), id="JEAN CHRISTOPHE"
        ),
        pytest.param(JEAN, COMPOUND, (TOLERABLE, Reason.BOTH_START_THE_LIST), id="both with the list"),
        pytest.param(
            Traits(first_given_name="JEAN"),
            Traits(first_given_name="JEAN-CHRISTOPHE"),
            (REFUSE, Reason.OTHER_GIVEN_NAME),
            id="no list known",
        ),
        pytest.param(Traits(first_given_name="CHRISTOPHE"), JEAN, (REFUSE, Reason.OTHER_GIVEN_NAME), id="CHRISTOPHE"),
        pytest.param(
            Traits(given_names="JEAN"),
            COMPOUND,
            (TOLERABLE, Reason.BOTH_START_THE_LIST),
            id="a shorter list starts the known one",
        ),
        pytest.param(Traits(given_names="JEAN"), JEAN, (EQUAL, Reason.STARTS_THE_LIST), id="a list of one"),
        pytest.param(Traits(given_names="JEAN"), Traits(given_names="PAUL"), (ABSENT, Reason.NOT_SAID), id="lists alone"),
    ],
)
def test_first_given_name(mine, theirs, expected):
    assert cell(Trait.FIRST_GIVEN_NAME, mine, theirs) == expected


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ("JEAN CHRISTOPHE", "Jean-Christophe", (EQUAL, Reason.SAME)),
        (None, "JEAN CHRISTOPHE", (ABSENT, Reason.NOT_SAID)),
        ("JEAN", "JEAN CHRISTOPHE", (TOLERABLE, Reason.SHORTER_LIST)),
        ("JEAN CHRIS", "JEAN CHRISTOPHE", (REFUSE, Reason.OTHER_LIST)),
        ("JEAN PIERRE", "JEAN CHRISTOPHE PIERRE", (REFUSE, Reason.OTHER_LIST)),
        ("CHRISTOPHE JEAN", "JEAN CHRISTOPHE", (REFUSE, Reason.OTHER_LIST)),
    ],
    ids=["same words, same order", "absent", "prefix", "part of a word", "another word at a place", "another order"],
)
def test_list_of_given_names(mine, theirs, expected):
    assert cell(Trait.GIVEN_NAMES, Traits(given_names=mine), Traits(given_names=theirs)) == expected


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ("M", "M", (EQUAL, Reason.SAME)),
        ("F", "f ", (EQUAL, Reason.SAME)),
        ("U", "F", (TOLERABLE, Reason.SEX_UNKNOWN)),
        ("O", "M", (TOLERABLE, Reason.SEX_UNKNOWN)),
        ("U", "O", (EQUAL, Reason.SAME)),
        (None, "F", (ABSENT, Reason.NOT_SAID)),
        (None, "U", (ABSENT, Reason.NOT_SAID)),
        ("M", "F", (REFUSE, Reason.OTHER_SEX)),
    ],
)
def test_sex(mine, theirs, expected):
    assert cell(Trait.SEX, Traits(sex=mine), Traits(sex=theirs)) == expected


TOL_LESS, TOL_COMPLETED = (TOLERABLE, Reason.LESS_PRECISE), (TOLERABLE, Reason.COMPLETED_DATE)
OTHER = (REFUSE, Reason.OTHER_DATE)


@pytest.mark.parametrize(
    ("mine", "theirs", "unmarked", "marked"),
    [
        pytest.param("19510312", "19510312", (EQUAL, Reason.SAME), (EQUAL, Reason.SAME), id="same day"),
        pytest.param("19510312233000+0100", "19510312", (EQUAL, Reason.SAME), (EQUAL, Reason.SAME), id="same day, with a time"),
        pytest.param("1951", "1951", (EQUAL, Reason.SAME), (EQUAL, Reason.SAME), id="same year, no more known"),
        pytest.param("1951", "19510312", TOL_LESS, TOL_LESS, id="1951"),
        pytest.param("195103", "19510312", TOL_LESS, TOL_LESS, id="1951-03"),
        pytest.param("1951", "195103", TOL_LESS, TOL_LESS, id="1951 against 1951-03"),
        pytest.param("1952", "19510312", OTHER, OTHER, id="another year"),
        pytest.param("195104", "19510312", OTHER, OTHER, id="another month"),
        pytest.param("19510312", "19510313", OTHER, OTHER, id="two different full dates"),
        pytest.param("19510101", "19511231", OTHER, TOL_COMPLETED, id="01/01 against 31/12"),
        pytest.param("19511231", "19510704", OTHER, TOL_COMPLETED, id="day and month unknown: 31/12"),
        pytest.param("19510701", "19510714", OTHER, TOL_COMPLETED, id="day unknown: 01/MM"),
        pytest.param("19510114", "19510714", OTHER, TOL_COMPLETED, id="month unknown: DD/01"),
        pytest.param("19511231", "195103", OTHER, TOL_COMPLETED, id="31/12 against 1951-03"),
        pytest.param("19510701", "19510814", OTHER, OTHER, id="01/MM of another month"),
        pytest.param("19510114", "19510715", OTHER, OTHER, id="DD/01 of another day"),
        pytest.param("19510301", "19510115", OTHER, OTHER, id="not both completed"),
        pytest.param("19511231", "19520704", OTHER, OTHER, id="31/12 of another year"),
        pytest.param(None, "19510312", (ABSENT, Reason.NOT_SAID), (ABSENT, Reason.NOT_SAID), id="absent"),
    ],
)
def test_birth_date(mine, theirs, unmarked, marked):
    left = Traits(birth_date=born(mine) if mine else None)
    right = Traits(birth_date=born(theirs))
    assert cell(Trait.BIRTH_DATE, left, right) == unmarked
    assert cell(Trait.BIRTH_DATE, left, right, estimated=True) == marked


@pytest.mark.parametrize(
    ("mine", "theirs", "alone", "in_company"),
    [
        ("63220", "63220", (EQUAL, Reason.SAME), (EQUAL, Reason.SAME)),
        ("2a004", "2A004", (EQUAL, Reason.SAME), (EQUAL, Reason.SAME)),
        (None, "63220", (ABSENT, Reason.NOT_SAID), (ABSENT, Reason.NOT_SAID)),
        ("99109", "BERLIN", (TOLERABLE, Reason.COUNTRY_FOR_CITY), (TOLERABLE, Reason.COUNTRY_FOR_CITY)),
        ("63220", "75115", (TOLERABLE, Reason.OTHER_PLACE), (REFUSE, Reason.OTHER_PLACE_AND_MORE)),
        ("99109", "75115", (TOLERABLE, Reason.OTHER_PLACE), (REFUSE, Reason.OTHER_PLACE_AND_MORE)),
        ("99109", "99110", (TOLERABLE, Reason.OTHER_PLACE), (REFUSE, Reason.OTHER_PLACE_AND_MORE)),
        ("63220", "BERLIN", (TOLERABLE, Reason.OTHER_PLACE), (REFUSE, Reason.OTHER_PLACE_AND_MORE)),
    ],
    ids=["same", "Corsica", "absent", "99xxx and a city", "another code", "99xxx and a commune", "two countries", "a name"],
)
def test_birth_place(mine, theirs, alone, in_company):
    left, right = Traits(birth_place=mine), Traits(birth_place=theirs)
    assert cell(Trait.BIRTH_PLACE, left, right) == alone
    named = [msgspec.structs.replace(one, birth_name="DUPONT", birth_date=born("19510312")) for one in (left, right)]
    assert cell(Trait.BIRTH_PLACE, *named) == alone
    assert cell(Trait.BIRTH_PLACE, msgspec.structs.replace(left, sex="U"), msgspec.structs.replace(right, sex="F")) == in_company


def test_the_six_traits_are_found_in_their_order_and_the_used_name_is_not():
    assert [finding.trait for finding in compare(Traits(), Traits()).findings] == list(Trait)[:6]
    assert list(Trait)[6:] == [Trait.USED_NAME]
    assert set(Trait) == set(Traits.__struct_fields__)


def test_a_comparison_repeats_no_value():
    left = Traits(birth_name="ZOTRAK", used_name="ZOTRUK", given_names="ZOTRIK", birth_date=born("19510312"), birth_place="ZOT1")
    right = Traits(birth_name="ZOTROK", given_names="ZOTRYK", birth_date=born("19520312"), birth_place="ZOT2")
    rendered = msgspec.json.encode(compare(left, right)).decode()
    assert "ZOT" not in rendered
    assert "195" not in rendered


# --- properties

NAMES = ["DUPONT", "Du Pont", "DUPOND", "MARTIN", LONG, LONG[:30], LONG[:29], "-", "Æ", "ŒDIPE"]
GIVEN = ["JEAN", "JEAN-CHRISTOPHE", "Jean Christophe", "JEAN CHRISTOPHE PIERRE", "CHRISTOPHE", "PIERRE", ""]
DATES = ["1951", "195103", "195101", "19510312", "19510301", "19510112", "19510101", "19511231", "19511231233000+0100", "1952"]
PLACES = ["63220", "2A004", "2a004", "99109", "99110", "BERLIN", " "]

identities = st.builds(
    Traits,
    birth_name=st.none() | st.sampled_from(NAMES) | st.text(max_size=40),
    used_name=st.none() | st.sampled_from(NAMES),
    first_given_name=st.none() | st.sampled_from(GIVEN) | st.text(max_size=20),
    given_names=st.none() | st.sampled_from(GIVEN) | st.text(max_size=20),
    birth_date=st.none() | st.sampled_from(DATES).map(born),
    sex=st.none() | st.sampled_from(["M", "F", "U", "f", "O", ""]),
    birth_place=st.none() | st.sampled_from(PLACES),
)


@st.composite
def coherent(draw):
    """An identity whose first given name starts its list, as every civil status has it."""
    words = draw(st.lists(st.sampled_from(["JEAN", "CHRISTOPHE", "PIERRE", "ÉLOÏSE"]), min_size=1, max_size=3))
    first = draw(st.integers(1, len(words)))
    return msgspec.structs.replace(
        draw(identities),
        first_given_name=draw(st.sampled_from(" -")).join(words[:first]),
        given_names=" ".join(words),
    )


@given(identities, identities, st.booleans())
def test_left_and_right_make_no_difference(left, right, estimated):
    assert compare(left, right, estimated=estimated) == compare(right, left, estimated=estimated)


@given(identities, st.booleans())
def test_an_identity_equals_itself(identity, estimated):
    assert compare(identity, identity, estimated=estimated).differing == ()


@given(coherent(), st.sets(st.sampled_from(Trait)), st.sets(st.sampled_from(Trait)), st.booleans())
def test_what_is_not_said_never_differs(identity, mine, theirs, estimated):
    left, right = (msgspec.structs.replace(identity, **dict.fromkeys(without)) for without in (mine, theirs))
    assert compare(left, right, estimated=estimated).differing == ()


@given(identities, identities)
def test_the_marker_only_opens(left, right):
    strict, marked = compare(left, right), compare(left, right, estimated=True)
    assert set(marked.of(Cell.REFUSE)) <= set(strict.of(Cell.REFUSE)) | {Trait.BIRTH_PLACE}
    assert set(marked.of(Cell.EQUAL)) == set(strict.of(Cell.EQUAL))


@given(identities, identities, st.booleans())
def test_a_birth_place_never_refuses_alone(left, right, estimated):
    comparison = compare(left, right, estimated=estimated)
    if Trait.BIRTH_PLACE in comparison.of(Cell.REFUSE):
        assert len(comparison.differing) > 1
