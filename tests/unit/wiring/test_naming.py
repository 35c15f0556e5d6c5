"""What an operator types binds somebody, or is refused: never an opposition that binds nobody (R-13)."""

import msgspec
import pytest

from gateway.model import ins
from gateway.model.event import Scope
from gateway.model.patient import PatientId
from gateway.model.source import Directory, Establishment, OppositionScope
from gateway.wiring.naming import UNSAID, Names

CHU = Establishment(
    id="chu-valmont",
    name="CHU",
    finess_ej="990000018",
    finess_eg=("990000026",),
    authorities={"ipp": ("CHU-VALMONT",)},
)
TEST = Names(Directory(establishments=(CHU,)), "test")
PRODUCTION = Names(Directory(establishments=(CHU,)), "production")
MATRICULE = "284103523811464"


@pytest.mark.parametrize(
    ("scope", "typed", "value"),
    [
        (Scope.ALL, None, None),
        (Scope.ESTABLISHMENT, "chu-valmont", "chu-valmont"),
        (Scope.ESTABLISHMENT, "CHU-Valmont ", "chu-valmont"),
        (Scope.ESTABLISHMENT, "990000018", "chu-valmont"),
        (Scope.ESTABLISHMENT, "1990000026", "chu-valmont"),
        (Scope.ESTABLISHMENT, "1 990000018", "chu-valmont"),
        (Scope.ESTABLISHMENT, "120456789", "finess:120456789"),
        (Scope.TYPE, "11502-2", "11502-2"),
        (Scope.TYPE, "synth", "SYNTH"),
        (Scope.CLASS, "10", "10"),
        (Scope.SOURCE_KIND, " Insurer", "insurer"),
        (Scope.PROFESSIONAL, "8 10001234567", "810001234567"),
        (Scope.PROFESSIONAL, "10001234567", "810001234567"),
        (Scope.PROFESSIONAL, "751234567", "0751234567"),
        (Scope.ESTABLISHMENT, "finess:120456789", "finess:120456789"),
    ],
)
def test_a_scope_is_known_as_deposits_are_tested_by_it(scope: Scope, typed: str | None, value: str | None) -> None:
    assert TEST.scope_value(scope, typed) == value


@pytest.mark.parametrize(
    ("scope", "typed", "told"),
    [
        (Scope.ALL, "chu-valmont", "nothing for all"),
        (Scope.ESTABLISHMENT, None, "an establishment"),
        (Scope.ESTABLISHMENT, "chu-valmond", "did you mean chu-valmont"),
        (Scope.TYPE, "99999-9", "no type"),
        (Scope.CLASS, "77", "no class of documents; known: 10, 11, 31, "),
        (Scope.TYPE, "11502-3", "docs/terminology.md lists them"),
        (Scope.SOURCE_KIND, "assureur", "known: hospital, imaging, insurer, laboratory, patient, pharmacy, practice"),
        (Scope.SOURCE_KIND, None, "a kind of source"),
        (Scope.PROFESSIONAL, "3750100125/42", "no national number"),
        (Scope.PROFESSIONAL, "8100012345678", "no national number"),
    ],
)
def test_a_scope_that_binds_nobody_is_refused(scope: Scope, typed: str | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TEST.scope_value(scope, typed)


def test_a_site_is_named_where_it_is_told_apart() -> None:
    sites = Names(Directory(establishments=(msgspec.structs.replace(CHU, opposition_scope=OppositionScope.SITE),)), "test")
    for typed, value in (
        ("990000026", "chu-valmont/990000026"),
        ("1 990000026", "chu-valmont/990000026"),
        ("CHU-valmont/990000026", "chu-valmont/990000026"),
        ("990000018", "chu-valmont"),
        ("chu-valmont", "chu-valmont"),
    ):
        assert sites.scope_value(Scope.ESTABLISHMENT, typed) == value
        assert sites.collector(typed.partition("/")[0]) == "chu-valmont"
    with pytest.raises(ValueError, match="no establishment of this gateway"):
        sites.collector("120456789")


@pytest.mark.parametrize(
    ("names", "authority", "root"),
    [(TEST, UNSAID, ins.ROOT_TEST), (PRODUCTION, UNSAID, ins.ROOT_NIR), (TEST, ins.ROOT_NIA, ins.ROOT_NIA)],
)
def test_an_ins_gets_the_root_of_the_environment(names: Names, authority: str, root: str) -> None:
    assert names.patient(PatientId(value=MATRICULE, authority=authority)).key == (root, MATRICULE)


def test_a_local_identifier_is_that_of_a_known_domain() -> None:
    assert TEST.patient(PatientId(value=" 100001 ", authority="CHU-valmont/IPP")).key == ("chu-valmont/ipp", "100001")
    with pytest.raises(ValueError, match="did you mean chu-valmont/ipp"):
        TEST.patient(PatientId(value="1", authority="chu-valmont/ip"))


def test_production_takes_no_test_root() -> None:
    with pytest.raises(ValueError, match="production"):
        PRODUCTION.patient(PatientId(value=MATRICULE, authority=ins.ROOT_TEST))
    with pytest.raises(ValueError, match="control key"):
        TEST.patient(PatientId(value="284103523811465", authority=UNSAID))
