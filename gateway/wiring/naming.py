"""What an operator typed, as the record knows it: a statement that binds nobody must never be said to be in force."""

import difflib
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.model import ins
from gateway.model.event import Scope
from gateway.model.patient import PatientId
from gateway.model.professional import is_national, professional_key
from gateway.model.source import Directory, SourceKind
from gateway.terminology import table

#: Authority of an INS whose root was not said: the environment's own.
UNSAID: Final = "ins"

#: The most names that an error lists.
_LISTED: Final = 20

#: Value set of each scope that a code names.
_TABLES: Final = {Scope.CLASS: "class_code", Scope.TYPE: "type_code"}


class Names:
    """
    The names that this gateway knows.

    Args:
        directory: Its establishments.
        environment: `production` or `test`: which INS roots it takes (D-17).
    """

    def __init__(self, directory: Directory, environment: str) -> None:
        """Keep what names are looked up in."""
        self._directory = directory
        self._environment = environment

    def patient(self, typed: PatientId) -> PatientId:
        """
        Return the identifier in its canonical form.

        Raises:
            ValueError: a wrong key, a root that this environment does not take, or a domain that no establishment has.
        """
        if typed.authority == UNSAID or typed.is_ins:
            return self._ins(typed)
        every = [f"{each.id}/{name}" for each in self._directory.establishments for name in each.authorities]
        known = {domain.casefold(): domain for domain in every}
        found = known.get(typed.authority.strip().casefold())
        if found is None:
            raise ValueError(f"no establishment has the domain {typed.authority}{_nearest(typed.authority, known.values())}")
        return msgspec.structs.replace(typed, authority=found, value=typed.value.strip())

    def scope_value(self, scope: Scope, typed: str | None) -> str | None:
        """
        Return what a scope binds, as deposits are tested by it.

        Returns:
            The establishment's key for its id or any of its FINESS (``finess:…`` for one that is not configured), its site's
            where it is told apart by site, a kind of source, the national number of a professional, the code of a class or
            type, None for all.

        Raises:
            ValueError: nothing known by that name, or a name where none belongs; it says which are.
        """
        if (scope is Scope.ALL) != (typed is None):
            raise ValueError(
                "scope_value names what the scope binds: an establishment, a kind of source, a professional, a class or a type,"
                " and nothing for all"
            )
        if typed is None:
            return None
        match scope:
            case Scope.ESTABLISHMENT:
                return self.establishment(typed)
            case Scope.SOURCE_KIND:
                return _source_kind(typed)
            case Scope.PROFESSIONAL:
                return _professional(typed)
            case _:
                return _code(scope, typed)

    def establishment(self, typed: str) -> str:
        """
        Return the key of an establishment, or of its site where it is told apart by site (O-10).

        Raises:
            ValueError: it is neither.
        """
        known = {each.id.casefold(): each.id for each in self._directory.establishments}
        known |= {site.casefold(): site for each in self._directory.establishments for site in each.sites}
        plain = typed.replace(" ", "")
        number = plain.removeprefix("finess:")
        found = known.get(typed.strip().casefold()) or self._directory.site(number) or self._directory.by_finess(number)
        if found is None:
            raise ValueError(f"{typed} is neither an establishment of this gateway nor a FINESS{_nearest(typed, known.values())}")
        return found

    def collector(self, typed: str) -> str:
        """
        Return the id of the establishment that states something for itself.

        Raises:
            ValueError: this gateway has none of that name.
        """
        known = {each.id.casefold(): each.id for each in self._directory.establishments}
        found = known.get(typed.strip().casefold()) or self._directory.by_finess(typed.replace(" ", ""))
        if found not in known.values():
            raise ValueError(f"{typed} is no establishment of this gateway{_nearest(typed, known.values())}")
        return str(found)

    def _ins(self, typed: PatientId) -> PatientId:
        taken = ins.roots(self._environment)
        root = typed.authority
        if root == UNSAID:
            root = ins.ROOT_NIR if self._environment == "production" else ins.ROOT_TEST
        if root not in taken:
            raise ValueError(f"this gateway is for {self._environment}: it takes no INS of the root {root}")
        if not ins.is_matricule(typed.value):
            raise ValueError("the INS has not 15 characters with the right control key: take it again from INSi")
        return msgspec.structs.replace(typed, authority=root)


def _source_kind(typed: str) -> str:
    found = {kind.value: kind.value for kind in SourceKind}.get(typed.strip().casefold())
    if found is None:
        raise ValueError(f"{typed} is no kind of source{_nearest(typed, SourceKind)}")
    return found


def _professional(typed: str) -> str:
    found = professional_key(typed)
    if found is None or not is_national(found):
        raise ValueError(
            f"{typed} is no national number of a professional: write 8 and the 11 digits of an RPPS, or 0 and the 9 characters"
            " of an ADELI"
        )
    return found


def _code(scope: Scope, typed: str) -> str:
    codes = {code.code.casefold(): code.code for code in table(_TABLES[scope])}
    found = codes.get(typed.strip().casefold())
    if found is None:
        raise ValueError(f"{typed} is no {scope.value} of documents{_nearest(typed, codes.values())}")
    return found


def _nearest(typed: str, known: Iterable[str]) -> str:
    every = sorted(known)
    close = difflib.get_close_matches(typed, every, n=1)
    meant = f": did you mean {close[0]}?" if close else ""
    listed = f"; known: {', '.join(every)}" if 0 < len(every) <= _LISTED else "; docs/terminology.md lists them" if every else ""
    return meant + listed
