"""What the HL7v2 door is given; wiring fills it from the settings."""

import ipaddress
from collections.abc import Sequence

from gateway.model.base import Model
from gateway.model.source import Connection, Directory


class Spec(Model, frozen=True, kw_only=True):
    """The HL7v2 door: where it listens, whom it admits, what it bears."""

    door: str = "mllp"
    host: str = "127.0.0.1"
    #: 0 takes a free one.
    port: int = 0
    #: Other processes listen on the same port: the system shares the connections out.
    reuse_port: bool = False
    frame_limit_bytes: int = 32 * 1024 * 1024
    #: Bytes of messages that all connections hold together; a connection that would hold more is answered AR and closed.
    held_limit_bytes: int = 96 * 1024 * 1024
    idle_timeout_seconds: float = 300.0
    connection_limit: int = 256
    ack_wait_seconds: float = 10.0
    #: `production` or `test` (D-17).
    environment: str
    directory: Directory
    connections: tuple[Connection, ...]

    def admitted(self, peer: str, port: int) -> tuple[str, ...]:
        """
        Return the ids of the sources that a machine may speak for.

        Args:
            peer: Its address.
            port: The port of ours that it connected to.

        Returns:
            The sources of every connection of this door whose networks hold the address, each once; none: it is not admitted.
        """
        address = _address(peer)
        found = [
            source
            for row in self.connections
            if row.door == self.door and row.port in {None, port} and _within(address, row.networks)
            for source in row.sources
        ]
        return tuple(dict.fromkeys(found))


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(peer: str) -> Address:
    """Read an address; an IPv4 one that came over an IPv6 socket is an IPv4 one, a zone is left out."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _within(address: Address, networks: Sequence[str]) -> bool:
    return any(address in ipaddress.ip_network(network) for network in networks)
