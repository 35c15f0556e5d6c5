"""
Whose number is it: an assigning authority as written, in its canonical form.

An authority is found by its spelling, else by a FINESS of the establishment. Where it stays open under which domain a number of
the source's own establishment was given, a deposit is tested under each: that can only refuse more.
"""

import unicodedata
from dataclasses import dataclass

import msgspec

from gateway.model.ins import ROOTS
from gateway.model.patient import PatientId, PatientIdentity
from gateway.model.source import Directory, Establishment, Source, finess_key

#: CX-5 of an identifier of the sender's own where CX-4 says nothing.
OWN_TYPE = "PI"


@dataclass(frozen=True, slots=True)
class Authority:
    """
    An assigning authority.

    Attributes:
        key: ``<establishment id>/<domain>`` if it belongs to a configured establishment, else as written.
        own: Whether it belongs to the establishment of the source itself.
        perhaps: Other canonical keys under which it may be known: for deposits only.
    """

    key: str
    own: bool
    perhaps: tuple[str, ...] = ()


def authority_of(
    spellings: tuple[str | None, ...], source: Source, directory: Directory, *, identifier_type: str | None = None
) -> Authority:
    """
    Find the establishment to which an authority belongs: the source's own first, then the other configured ones.

    Args:
        spellings: What the message gives of it: namespace, universal id, both as written; the last valued one is kept where
            nobody knows it.
        source: Who sends.
        directory: Establishments with their authorities.
        identifier_type: CX-5: a number of type PI without authority is of the source's establishment, if that has one domain.

    Returns:
        The authority: by a known spelling, else by a known FINESS (with or without its leading 1), else as written.

    Source: D-1; O-10.
    """
    ordered = sorted(directory.establishments, key=lambda one: one.id != source.establishment)
    written = tuple(spelling for spelling in spellings if spelling)
    for establishment in ordered:
        domain = establishment.domain(*written) or _domain_by_finess(establishment, written)
        if domain is not None:
            return Authority(f"{establishment.id}/{domain}", establishment.id == source.establishment)
    numbers = {key for spelling in written if (key := finess_key(spelling)) is not None}
    for establishment in ordered:
        if numbers & establishment.finess:
            return _of(establishment, source, written)
    own = directory.establishment(source.establishment)
    if own is None:
        return Authority(next(reversed(written), ""), own=False)
    if not written and identifier_type == OWN_TYPE:
        return _of(own, source, written)
    perhaps = _keys(own) if not written or _resembles(own, source, written) else ()
    return Authority(next(reversed(written), ""), own=False, perhaps=perhaps)


def _of(establishment: Establishment, source: Source, written: tuple[str, ...]) -> Authority:
    """Return the authority of an establishment that did not say which: of its only domain, else perhaps of each."""
    keys = _keys(establishment)
    if len(keys) == 1:
        return Authority(keys[0], establishment.id == source.establishment)
    return Authority(next(reversed(written), ""), own=False, perhaps=keys)


def _keys(establishment: Establishment) -> tuple[str, ...]:
    return tuple(f"{establishment.id}/{domain}" for domain in establishment.authorities)


def _domain_by_finess(establishment: Establishment, written: tuple[str, ...]) -> str | None:
    """Return the domain that has a FINESS among its spellings, whichever of its forms is written."""
    wanted = {finess_key(spelling) for spelling in written} - {None}
    for domain, known in establishment.authorities.items():
        if wanted & {finess_key(spelling) for spelling in known}:
            return domain
    return None


def _resembles(own: Establishment, source: Source, written: tuple[str, ...]) -> bool:
    """Tell whether an unknown authority is spelt like the source's own establishment, but for case, accents and punctuation."""
    spellings = (own.id, own.name, source.facility, *(known for each in own.authorities.values() for known in each))
    known = {_letters(spelling) for spelling in spellings} - {""}
    return any(_letters(spelling) in known for spelling in written)


def _letters(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", text).casefold() if letter.isalnum())


def also_tested(known: PatientId, authority: Authority) -> tuple[PatientId, ...]:
    """Return the same number under every canonical key that it may have, besides its own."""
    return tuple(msgspec.structs.replace(known, authority=key) for key in authority.perhaps)


def canonical(identity: PatientIdentity, source: Source, directory: Directory) -> PatientIdentity:
    """
    Return the identity of a recordTarget with the authority of each local identifier in its canonical form.

    Oppositions are kept under canonical identifiers, and a deposit is tested under all of its own (D-1).
    """
    identifiers: list[PatientId] = []
    authorities: dict[str, Authority] = {}
    for known in identity.identifiers:
        if known.authority in ROOTS or not known.authority:  # a root alone is a number of nobody's
            identifiers.append(known)
            continue
        found = authorities.get(known.authority)
        if found is None:  # each is looked for once: a document may have any number of identifiers
            found = authorities[known.authority] = authority_of((known.authority,), source, directory)
        identifiers += (msgspec.structs.replace(known, authority=found.key), *also_tested(known, found))
    return msgspec.structs.replace(identity, identifiers=distinct(tuple(identifiers)))


def distinct(identifiers: tuple[PatientId, ...]) -> tuple[PatientId, ...]:
    """Return the identifiers without those that repeat an earlier one."""
    found: dict[tuple[str, str], PatientId] = {}
    for known in identifiers:
        found.setdefault(known.key, known)
    return tuple(found.values())
