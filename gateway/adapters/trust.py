"""Whom a connection may speak for: by certificate, port and network, or by a bearer token (D-17)."""

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence

from gateway.model.source import Connection, Directory, Peer, Source

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def admitted(connections: Sequence[Connection], door: str, peer: Peer) -> tuple[str, ...]:
    """
    Return the ids of the sources that a connection may speak for.

    Args:
        connections: The rows of the configuration.
        door: The door that it came to.
        peer: Who is at the other end.

    Returns:
        The sources of every row of this door that the address, the port and, where the row names some, the certificate fit,
        each once; none: it is not admitted.
    """
    found = [source for row in connections if not why_not(row, door, peer) for source in row.sources]
    return tuple(dict.fromkeys(found))


def why_not(row: Connection, door: str, peer: Peer) -> tuple[str, ...]:
    """
    Return in words why a row does not admit a connection; nothing: it does.

    Args:
        row: A row of the configuration.
        door: The door that the connection came to.
        peer: Who is at the other end.
    """
    found: list[str] = []
    if row.door != door:
        found.append(f"it is for the door {row.door}")
    if row.port not in {None, peer.port}:
        found.append(f"it is for the port {row.port}")
    if row.networks and not within(address_of(peer.address), row.networks):
        found.append("the address is in none of its networks")
    if row.certificates and peer.certificate is None:
        found.append("it needs a client certificate")
    elif row.certificates and peer.certificate is not None and not peer.certificate.spellings & set(row.certificates):
        found.append("the certificate is none of those that it names")
    if not row.networks and not row.certificates:
        found.append("it names neither networks nor certificates")
    return tuple(found)


def of_certificate(connections: Sequence[Connection], door: str, peer: Peer) -> tuple[str, ...]:
    """
    Return the ids of the sources whose certificate a connection shows, wherever it comes from.

    Args:
        connections: The rows of the configuration.
        door: The door that it came to.
        peer: Who is at the other end.

    Returns:
        The sources of every row of this door that names the certificate, each once; none: it shows none, or none that is named.
    """
    shown = peer.certificate.spellings if peer.certificate is not None else frozenset()
    found = [source for row in connections if row.door == door and shown & set(row.certificates) for source in row.sources]
    return tuple(dict.fromkeys(found))


def by_token(directory: Directory, token: str) -> Source | None:
    """
    Return the source of a bearer token, or None.

    Args:
        directory: Every source of the gateway.
        token: As the sender wrote it. It is random and long: its plain hash is kept, and looking that up tells nothing by time.
    """
    hashed = token_hash(token)
    return next((source for source in directory.sources if hashed in source.tokens), None)


def token_hash(token: str) -> str:
    """Return a token as the configuration keeps it: ``sha256:`` and 64 hexadecimal digits of its UTF-8."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def address_of(peer: str) -> Address:
    """Read an address; an IPv4 one that came over an IPv6 socket is an IPv4 one, a zone is left out."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def within(address: Address, networks: Iterable[str]) -> bool:
    """Return whether an address is in one of the networks."""
    return any(address in ipaddress.ip_network(network) for network in networks)


def may_knock(connections: Sequence[Connection], door: str, peer: Peer) -> bool:
    """Return whether some certificate could admit a machine: by its address and the port, which are known before a handshake."""
    address = address_of(peer.address)
    return any(
        row.door == door
        and row.port in {None, peer.port}
        and (within(address, row.networks) if row.networks else bool(row.certificates))
        for row in connections
    )


def may_speak_plainly(peer: Peer, networks: Iterable[str]) -> bool:
    """
    Return whether a connection need have no TLS: it has, or comes from this machine or from a network that is named.

    Source: D-17.
    """
    address = address_of(peer.address)
    return peer.is_encrypted or address.is_loopback or within(address, networks)
