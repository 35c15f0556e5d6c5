"""Code systems by OID: their name, and the URI that FHIR writes for them."""

import functools
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.terminology.files import load

_URN: Final = "urn:oid:"


class _System(msgspec.Struct, frozen=True):
    oid: str
    name: str
    uris: tuple[str, ...] = ()


class _Systems(msgspec.Struct, frozen=True):
    systems: tuple[_System, ...]


@functools.cache
def _by_oid() -> Mapping[str, _System]:
    return {system.oid: system for system in load("code_systems", _Systems).systems}


@functools.cache
def _by_uri() -> Mapping[str, str]:
    return {_bare(uri): system.oid for system in _by_oid().values() for uri in system.uris}


def _bare(uri: str) -> str:
    """Known variants of one address: http for https, a slash at the end."""
    return uri.removeprefix("https://").removeprefix("http://").removesuffix("/")


def system_name(oid: str) -> str | None:
    """Return the usual name of a code system (``LOINC``), or None if it is not known or has none."""
    system = _by_oid().get(oid)
    return (system.name or None) if system else None


def uri_of(oid: str) -> str:
    """
    Return the URI of a code system: its own, else ``urn:oid:`` and the OID.

    Source: HL7 FHIR R4, terminologies-systems; ANS SMT.
    """
    system = _by_oid().get(oid)
    return system.uris[0] if system and system.uris else _URN + oid


def oid_of(uri: str) -> str | None:
    """Return the OID of a code system from its URI, any known variant of it, or a ``urn:oid:``; None if it is not known."""
    if uri.startswith(_URN):
        return uri.removeprefix(_URN) or None
    return _by_uri().get(_bare(uri))
