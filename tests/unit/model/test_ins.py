"""The INS: shape, key, roots, and the normal form of names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import ins
from gateway.model.names import compared
from gateway.model.source import Directory, Establishment, finess_key


@pytest.mark.parametrize(
    "right",
    ["279035121518989", "277076322082910", "274075176079430", "207058575627097", "194012A00123415", "194012B00123442"],
)
def test_right_keys(right: str) -> None:
    assert ins.is_matricule(right)


@pytest.mark.parametrize(
    "wrong",
    ["194012A00123442", "194012000123415", "276037510669380", "260058815400244", "2790351215189", "2 79035121518989",
     "194012a00123415", "079035121518989", "２79035121518989", "279035121518989\n", "", "279035121518900"],
)  # fmt: skip
def test_wrong_ones_are_never_repaired(wrong: str) -> None:
    assert not ins.is_matricule(wrong)


@given(st.from_regex(r"[1-9][0-9]{4}(?:[0-9]{2}|2A|2B)[0-9]{6}", fullmatch=True).filter(str.isascii))
def test_one_key_and_one_only(thirteen: str) -> None:
    fitting = [key for key in range(100) if ins.is_matricule(f"{thirteen}{key:02}")]
    assert fitting == [ins.control_key(thirteen)]
    assert 1 <= fitting[0] <= 97


def test_production_takes_no_test_roots() -> None:
    assert ins.roots("production") == (ins.ROOT_NIR, ins.ROOT_NIA)
    assert set(ins.roots("test")) == {ins.ROOT_NIR, ins.ROOT_NIA, ins.ROOT_TEST, ins.ROOT_DEMO}


@pytest.mark.parametrize(
    ("one", "other"),
    [("D’Œuvre-Ébène", "D'OEUVRE EBENE"), ("JEAN-CHRISTOPHE", "jean christophe"), ("  a   b ", "A B"), ("Ægir", "AEGIR")],
)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert compared(one) == compared(other)


def test_a_character_outside_the_alphabet_is_a_difference() -> None:
    assert compared("DUPONT2") != compared("DUPONT")
    assert compared("ДЮПОН") != compared("DUPONT")


@pytest.mark.parametrize(
    ("written", "key"),
    [("1120456789", "120456789"), ("120456789", "120456789"), ("2A0000014", "2A0000014"), ("12A0000014", "2A0000014"),
     ("300000000023911", None), ("", None), ("labo", None)],
)  # fmt: skip
def test_finess_is_compared_by_its_nine_characters(written: str, key: str | None) -> None:
    assert finess_key(written) == key


def test_a_finess_names_its_establishment_or_itself() -> None:
    chu = Establishment(id="chu", name="CHU", finess_ej="990000018", finess_eg=("990000026",))
    directory = Directory(establishments=(chu,))
    assert directory.by_finess("1990000026") == "chu"
    assert directory.by_finess("120456789") == "finess:120456789"
    assert directory.by_finess("x") is None
