"""
Compare the traits of two identities: what is equal, what may be borne, what contradicts.

Values are compared in a normal form and never repeated: a comparison holds names of traits and words for the reasons.

Source: identity-and-consent § 1.4; D-19.
"""

import enum
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from gateway.model.base import Model
from gateway.model.names import compared
from gateway.model.patient import Traits
from gateway.model.when import When

#: Software of hospitals cuts names here: a shorter name of at least this length may be the start of the other.
CUT: Final = 30


class Trait(enum.StrEnum):
    """A trait by the name of its field in `Traits`, in the order in which they are compared."""

    BIRTH_NAME = "birth_name"
    FIRST_GIVEN_NAME = "first_given_name"
    GIVEN_NAMES = "given_names"
    SEX = "sex"
    BIRTH_DATE = "birth_date"
    BIRTH_PLACE = "birth_place"
    #: Never compared with its like; it shows a used name that is sent as the birth name.
    USED_NAME = "used_name"


class Cell(enum.StrEnum):
    """What two values of one trait are to each other, from the best to the worst."""

    EQUAL = "equal"
    #: One side at least does not say.
    ABSENT = "absent"
    #: Accepted, and told to identity watch.
    TOLERABLE = "tolerable"
    REFUSE = "refuse"


class Reason(enum.StrEnum):
    """Why a cell is what it is: the row of the table, in a word."""

    SAME = "same"
    NOT_SAID = "not_said"
    #: A first given name is the start of the other side's list, at the end of a word.
    STARTS_THE_LIST = "starts_the_list"
    #: The shorter birth name starts the longer and has the length at which fields are cut.
    CUT_FIELD = "cut_field"
    #: JEAN against JEAN CHRISTOPHE where both start a known list.
    BOTH_START_THE_LIST = "both_start_the_list"
    #: One list of given names goes on where the other ends.
    SHORTER_LIST = "shorter_list"
    #: `U` against `M` or `F`.
    SEX_UNKNOWN = "sex_unknown"
    #: ``1951`` or ``1951-03`` against a day in it.
    LESS_PRECISE = "less_precise"
    #: Two full dates, one of them marked as estimated and of the form in which incomplete dates are completed.
    COMPLETED_DATE = "completed_date"
    #: A country (99xxx) against a place that is no code.
    COUNTRY_FOR_CITY = "country_for_city"
    #: Another place, where nothing else differs.
    OTHER_PLACE = "other_place"
    OTHER_NAME = "other_name"
    USED_NAME_AS_BIRTH_NAME = "used_name_as_birth_name"
    OTHER_GIVEN_NAME = "other_given_name"
    OTHER_LIST = "other_list"
    OTHER_SEX = "other_sex"
    OTHER_DATE = "other_date"
    #: Another place, and it is not all that differs.
    OTHER_PLACE_AND_MORE = "other_place_and_more"


class Finding(Model, frozen=True, kw_only=True):
    """One cell of a comparison."""

    trait: Trait
    cell: Cell
    reason: Reason


class Comparison(Model, frozen=True, kw_only=True):
    """Two identities beside each other, trait by trait: six findings in the order of `Trait`."""

    findings: tuple[Finding, ...]

    def of(self, cell: Cell) -> tuple[Trait, ...]:
        """Return the traits whose cell it is."""
        return tuple(finding.trait for finding in self.findings if finding.cell is cell)

    @property
    def differing(self) -> tuple[Finding, ...]:
        """The findings that are neither equal nor an absence."""
        return tuple(finding for finding in self.findings if finding.cell in {Cell.TOLERABLE, Cell.REFUSE})


_Judged: TypeAlias = tuple[Cell, Reason]

_SAME: Final = (Cell.EQUAL, Reason.SAME)
_NOT_SAID: Final = (Cell.ABSENT, Reason.NOT_SAID)


def compare(left: Traits, right: Traits, *, estimated: bool = False) -> Comparison:
    """
    Compare two identities by the table; which one is left and which right makes no difference.

    Args:
        left: As received.
        right: As received.
        estimated: A birth date of the two is marked as estimated, that is completed from an incomplete one: day unknown as 01,
            month unknown as 01, both as 31/12. Without the marker two different full dates contradict.

    Returns:
        One finding for each of the six traits.

    Source: identity-and-consent § 1.4 (EXI ID 10–12, EXI SI 29–30, EXI PP 19 for names and incomplete dates); D-19.
    """
    judged = {trait: judge(left, right) for trait, judge in _JUDGES.items()}
    judged[Trait.BIRTH_DATE] = _birth_date(left.birth_date, right.birth_date, estimated=estimated)
    alone = all(cell in {Cell.EQUAL, Cell.ABSENT} for cell, _ in judged.values())
    judged[Trait.BIRTH_PLACE] = _birth_place(_code(left.birth_place), _code(right.birth_place), alone=alone)
    return Comparison(
        findings=tuple(Finding(trait=trait, cell=judged[trait][0], reason=judged[trait][1]) for trait in Trait if trait in judged)
    )


def _birth_name(left: Traits, right: Traits) -> _Judged:
    mine, theirs = normal_name(left.birth_name), normal_name(right.birth_name)
    if mine is None or theirs is None:
        return _NOT_SAID
    if mine == theirs:
        return _SAME
    if mine == normal_name(right.used_name) or theirs == normal_name(left.used_name):
        return Cell.REFUSE, Reason.USED_NAME_AS_BIRTH_NAME
    shorter, longer = sorted((mine, theirs), key=len)
    if len(shorter) >= CUT and longer.startswith(shorter):
        return Cell.TOLERABLE, Reason.CUT_FIELD
    return Cell.REFUSE, Reason.OTHER_NAME


def _first_given_name(left: Traits, right: Traits) -> _Judged:
    """Compare first with first; where one side has none, the other's with its list."""
    firsts = (normal_name(left.first_given_name), normal_name(right.first_given_name))
    lists = (normal_name(left.given_names), normal_name(right.given_names))
    mine, theirs = firsts
    if mine is not None and mine == theirs:
        return _SAME
    if mine is None or theirs is None:
        mine, theirs = (mine, lists[1]) if mine is not None else (theirs, lists[0])
        if mine is None or theirs is None:
            return _NOT_SAID
        if _starts(mine, theirs):
            return Cell.EQUAL, Reason.STARTS_THE_LIST
    if any(_starts(mine, known) and _starts(theirs, known) for known in lists if known is not None):
        return Cell.TOLERABLE, Reason.BOTH_START_THE_LIST
    return Cell.REFUSE, Reason.OTHER_GIVEN_NAME


def _given_names(left: Traits, right: Traits) -> _Judged:
    mine, theirs = normal_name(left.given_names), normal_name(right.given_names)
    if mine is None or theirs is None:
        return _NOT_SAID
    if mine == theirs:
        return _SAME
    if _starts(mine, theirs) or _starts(theirs, mine):
        return Cell.TOLERABLE, Reason.SHORTER_LIST
    return Cell.REFUSE, Reason.OTHER_LIST


def _sex(left: Traits, right: Traits) -> _Judged:
    mine, theirs = normal_sex(left.sex), normal_sex(right.sex)
    if mine is None or theirs is None:
        return _NOT_SAID
    if mine == theirs:
        return _SAME
    return (Cell.TOLERABLE, Reason.SEX_UNKNOWN) if "U" in {mine, theirs} else (Cell.REFUSE, Reason.OTHER_SEX)


#: The traits that are judged by their own values alone.
_JUDGES: Final[Mapping[Trait, Callable[[Traits, Traits], _Judged]]] = MappingProxyType(
    {
        Trait.BIRTH_NAME: _birth_name,
        Trait.FIRST_GIVEN_NAME: _first_given_name,
        Trait.GIVEN_NAMES: _given_names,
        Trait.SEX: _sex,
    }
)


def _birth_date(left: When | None, right: When | None, *, estimated: bool) -> _Judged:
    if left is None or right is None:
        return _NOT_SAID
    mine, theirs = _parts(left), _parts(right)
    if mine == theirs:
        return _SAME
    if _compatible(mine, theirs):
        return Cell.TOLERABLE, Reason.LESS_PRECISE
    # One of the two stands as it is: only the other may have been completed.
    completed = [(mine, other) for other in _incomplete(theirs)] + [(theirs, other) for other in _incomplete(mine)]
    if estimated and any(_compatible(*pair) for pair in completed):
        return Cell.TOLERABLE, Reason.COMPLETED_DATE
    return Cell.REFUSE, Reason.OTHER_DATE


_Parts: TypeAlias = tuple[str, str | None, str | None]


def _parts(date: When) -> _Parts:
    """Return year, month and day as far as they were written; the day is the written one, whatever the zone of a time."""
    year, month, day, *_ = (*date.iso[:10].split("-"), None, None)
    return year or "", month, day


def _incomplete(date: _Parts) -> tuple[_Parts, ...]:
    """Return what a full date may have been completed from. Source: EXI ID 11–12."""
    year, month, day = date
    return tuple(
        origin
        for origin, possible in (
            ((year, month, None), day == "01"),
            ((year, None, day), month == "01" and day is not None),
            ((year, None, None), (month, day) == ("12", "31")),
        )
        if possible
    )


def _compatible(left: _Parts, right: _Parts) -> bool:
    return all(mine is None or theirs is None or mine == theirs for mine, theirs in zip(left, right, strict=True))


#: A code of the official geographic code: a commune (2A and 2B are Corsica), or 99xxx, a country.
_GEOGRAPHIC: Final = re.compile(r"(?:\d\d|2[AB])\d{3}", re.ASCII)
_COUNTRY: Final = "99"


def _birth_place(mine: str | None, theirs: str | None, *, alone: bool) -> _Judged:
    if mine is None or theirs is None:
        return _NOT_SAID
    if mine == theirs:
        return _SAME
    codes = [place for place in (mine, theirs) if _GEOGRAPHIC.fullmatch(place)]
    if len(codes) == 1 and codes[0].startswith(_COUNTRY):
        return Cell.TOLERABLE, Reason.COUNTRY_FOR_CITY
    return (Cell.TOLERABLE, Reason.OTHER_PLACE) if alone else (Cell.REFUSE, Reason.OTHER_PLACE_AND_MORE)


def normal_name(written: str | None) -> str | None:
    """Return the form of a name that is compared, or None if nothing of it is left."""
    return (compared(written) or None) if written is not None else None


def normal_sex(written: str | None) -> str | None:
    """Return `M`, `F`, or `U` for whatever else was written; None if nothing was."""
    code = _code(written)
    return code if code in {None, "M", "F"} else "U"


def _code(written: str | None) -> str | None:
    return (written.strip().upper() or None) if written is not None else None


def _starts(beginning: str, whole: str) -> bool:
    """Tell whether a name starts another one at the end of a word, or is it."""
    return f"{whole} ".startswith(f"{beginning} ")
