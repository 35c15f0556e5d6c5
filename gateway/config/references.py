"""Whether a configuration makes sense as a whole: ids, references, networks (D-17)."""

import ipaddress
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Final

from gateway.config import transport
from gateway.config.addresses import NOT_AN_ADDRESS, is_loopback_host, split_address
from gateway.config.faults import Fault
from gateway.config.settings import OFF, Settings
from gateway.model.source import Connection, OppositionScope, SourceKind, finess_key

#: The character sets that MSH-18 may name (HL7 table 0211) and that are read.
CHARSETS: Final = ("ASCII", "8859/1", "8859/15", "UNICODE UTF-8")
DOORS: Final = ("mllp", "http")

#: Ids go into log lines, metrics and receipts.
_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def faults(settings: Settings) -> Iterator[Fault]:
    """
    Check what no single key shows.

    Args:
        settings: Settings of the right types.

    Yields:
        What is wrong, without line numbers.
    """
    yield from _ids(settings)
    yield from _establishments(settings)
    yield from _sources(settings)
    yield from _connections(settings)
    yield from transport.faults(settings)
    if settings.metrics.listen != OFF:
        host, port = split_address(settings.metrics.listen)
        if port is None:
            yield Fault(name="metrics.listen", text=f"{NOT_AN_ADDRESS}: 127.0.0.1:9464")
        elif not is_loopback_host(host):
            yield Fault(name="metrics.listen", text="only an address of the loopback interface may be listened on")


def _ids(settings: Settings) -> Iterator[Fault]:
    for kind in ("establishments", "sources"):
        seen: dict[str, int] = {}
        for index, row in enumerate(getattr(settings, kind)):
            name = f"{kind}[{index}].id"
            if not _ID.fullmatch(row.id) or row.id == "unknown":
                yield Fault(
                    name=name, text="an id is 1 to 64 lower-case letters, digits, dots, hyphens, underscores, not `unknown`"
                )
            if row.id in seen:
                yield Fault(name=name, text=f"{kind}[{seen[row.id]}] has the same id")
            seen.setdefault(row.id, index)


def _establishments(settings: Settings) -> Iterator[Fault]:
    numbers: dict[str, int] = {}
    authorities: dict[str, int] = {}
    for index, row in enumerate(settings.establishments):
        here = f"establishments[{index}]"
        written = {"finess_ej": row.finess_ej} | {f"finess_eg[{n}]": number for n, number in enumerate(row.finess_eg)}
        for key, number in written.items():
            if finess_key(number) is None:
                yield Fault(name=f"{here}.{key}", text="not a FINESS number: nine characters")
        if row.opposition_scope is OppositionScope.SITE and not row.finess_eg:
            yield Fault(name=f"{here}.opposition_scope", text="no site to tell apart: finess_eg is empty")
        for number in sorted(row.finess):
            if numbers.setdefault(number, index) != index:
                yield Fault(name=f"{here}.finess_ej", text=f"shares a FINESS number with establishments[{numbers[number]}]")
        for domain, spellings in row.authorities.items():
            for spelling in spellings:
                if authorities.setdefault(spelling.strip().casefold(), index) != index:
                    other = authorities[spelling.strip().casefold()]
                    yield Fault(
                        name=f"{here}.authorities.{domain}", text=f"shares an assigning authority with establishments[{other}]"
                    )


def _sources(settings: Settings) -> Iterator[Fault]:
    known = {row.id for row in settings.establishments}
    for index, row in enumerate(settings.sources):
        here = f"sources[{index}]"
        if row.establishment not in known:
            yield Fault(name=f"{here}.establishment", text="no establishment has this id")
        if not row.application or row.application != row.application.strip():
            yield Fault(name=f"{here}.application", text="empty, or blanks around it")
        owner = next((known for known in settings.establishments if known.id == row.establishment), None)
        if row.kind is SourceKind.PATIENT and owner is not None and owner.kind is not SourceKind.PATIENT:
            yield Fault(name=f"{here}.kind", text="the patient's own door belongs to an establishment of kind patient")
        if row.site is not None and owner is not None and owner.site(row.site) is None:
            text = "not a finess_eg of its establishment, or its opposition_scope is not site"
            yield Fault(name=f"{here}.site", text=text)
        if row.facility != row.facility.strip():  # "" is a sender whose MSH-4 is empty, and nobody else
            yield Fault(name=f"{here}.facility", text="blanks around it")
        if row.charset is not None and row.charset not in CHARSETS:
            yield Fault(name=f"{here}.charset", text=f"one of {', '.join(CHARSETS)}")


def _connections(settings: Settings) -> Iterator[Fault]:
    known = {row.id for row in settings.sources}
    networks: list[list[Network]] = []
    for index, row in enumerate(settings.connections):
        here = f"connections[{index}]"
        if row.door not in DOORS:
            yield Fault(name=f"{here}.door", text=f"one of {', '.join(DOORS)}")
        if not row.sources or not (row.networks or row.certificates):
            yield Fault(name=here, text="sources must not be empty, nor networks where no certificates are named")
        for place, identifier in enumerate(row.sources):
            if identifier not in known:
                yield Fault(name=f"{here}.sources[{place}]", text="no source has this id")
        read: list[Network] = []
        for place, text in enumerate(row.networks):
            name = f"{here}.networks[{place}]"
            try:
                read.append(ipaddress.ip_network(text))
            except ValueError:
                yield Fault(name=name, text="not a network: an address, a slash, a length, and no bits set behind it")
        networks.append(read)
    yield from _ambiguous(settings, networks)


def _ambiguous(settings: Settings, networks: list[list[Network]]) -> Iterator[Fault]:
    names = {row.id: (row.application, row.facility) for row in settings.sources}
    rows = settings.connections
    for index, row in enumerate(rows):
        yield from _twice(index, None, [(s, names[s]) for s in dict.fromkeys(row.sources) if s in names])
    for one, other in combinations(range(len(rows)), 2):
        if _meet(rows[one], rows[other]) and _overlap(networks[one], networks[other]):
            both = dict.fromkeys((*rows[one].sources, *rows[other].sources))
            yield from _twice(other, one, [(s, names[s]) for s in both if s in names])


def _meet(one: Connection, other: Connection) -> bool:
    """Return whether a machine may come by both rows; two certificates that are named apart are of two machines."""
    if one.door != other.door or (one.port is not None and other.port is not None and one.port != other.port):
        return False
    return not one.certificates or not other.certificates or not set(one.certificates).isdisjoint(other.certificates)


def _overlap(one: list[Network], other: list[Network]) -> bool:
    """Return whether an address is of both; a row without networks takes any."""
    return not one or not other or any(a.version == b.version and a.overlaps(b) for a in one for b in other)


def _twice(index: int, other: int | None, sources: list[tuple[str, tuple[str, str]]]) -> Iterator[Fault]:
    found = [name for _, name in sources]
    if len(set(found)) < len(found):
        with_other = "" if other is None else f" together with connections[{other}], whose networks it shares,"
        text = f"this connection{with_other} admits two sources of the same application and facility (MSH-3, MSH-4)"
        yield Fault(name=f"connections[{index}].sources", text=text)
