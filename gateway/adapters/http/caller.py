"""Who asks: a bearer token shows a source, else the connection admits some (D-17)."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.adapters import trust
from gateway.adapters.http.call import Caller, Refused
from gateway.adapters.http.registry import Access, Route
from gateway.model.problem import Problem
from gateway.model.source import Connection, Directory, Peer, Source

#: Chooses among the sources that a connection admits, never beyond.
SOURCE_HEADER: Final = "X-DMP-Source"
#: RFC 6750 § 3.
_CHALLENGE: Final = ("WWW-Authenticate", 'Bearer realm="dmp-gateway"')
_WRONG: Final = ("WWW-Authenticate", 'Bearer realm="dmp-gateway", error="invalid_token"')
_LONGEST_TOKEN: Final = 4096
_TWO: Final = "the token and the client certificate are of different sources"


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of who may ask."""

    door: str
    directory: Directory
    connections: tuple[Connection, ...]
    #: Networks of monitors beside this machine.
    monitor_networks: tuple[str, ...] = ()

    def caller(self, route: Route, peer: Peer, headers: Mapping[str, str]) -> Caller:
        """
        Return who asks, as far as the route wants to know it.

        Args:
            route: What is asked.
            peer: Who is at the other end of the connection.
            headers: Of the request, by lower-case name.

        Raises:
            Refused: 401 without a source, or with a token that is none's; 403 if the route is not for whoever asks. Neither tells
                which sources there are.
        """
        monitor = self.is_monitor(peer)
        if route.access is Access.PUBLIC:
            return Caller(peer=peer, admitted=self.directory.admitted(()), is_monitor=monitor)
        if route.access is Access.MONITOR:
            if not monitor:
                raise Refused(Problem(code="ACCESS_DENIED"))
            return Caller(peer=peer, admitted=self.directory.admitted(()), is_monitor=True)
        admitted = self.directory.admitted(self.sources(peer, headers))
        if not admitted.sources:
            raise Refused(Problem(code="NOT_AUTHENTICATED"), headers=(_CHALLENGE,))
        if route.access is Access.CONNECTION:
            return Caller(peer=peer, admitted=admitted, is_monitor=monitor)
        source = _chosen(admitted.sources, headers.get(SOURCE_HEADER.lower()))
        if not source.grants.issuperset(route.grants):
            raise Refused(Problem(code="SOURCE_NOT_ALLOWED"))
        return Caller(peer=peer, admitted=admitted, source=source, is_monitor=monitor)

    def sources(self, peer: Peer, headers: Mapping[str, str]) -> tuple[str, ...]:
        """
        Return the ids of the sources that a request may speak for: that of its token, else those of its connection.

        Raises:
            Refused: its token is none's, or not of a source whose certificate its connection shows: who shows two names is taken
                for neither.
        """
        authorization = headers.get("authorization")
        if authorization is None:
            return trust.admitted(self.connections, self.door, peer)
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        source = None
        if scheme.lower() == "bearer" and token and len(token) <= _LONGEST_TOKEN and token.isascii():
            source = trust.by_token(self.directory, token)
        if source is None:
            raise Refused(Problem(code="NOT_AUTHENTICATED"), headers=(_WRONG,))
        certified = trust.of_certificate(self.connections, self.door, peer)
        if certified and source.id not in certified:
            raise Refused(Problem(code="NOT_AUTHENTICATED", detail=_TWO), headers=(_WRONG,))
        return (source.id,)

    def is_monitor(self, peer: Peer) -> bool:
        """Tell whether an address is of this machine or of a network of monitors."""
        address = trust.address_of(peer.address)
        return address.is_loopback or trust.within(address, self.monitor_networks)


def _chosen(sources: Sequence[Source], wanted: str | None) -> Source:
    if wanted is None:
        if len(sources) == 1:
            return sources[0]
        raise Refused(Problem(code="SOURCE_UNNAMED"))
    found = next((source for source in sources if source.id == wanted.strip()), None)
    if found is None:
        raise Refused(Problem(code="SOURCE_UNNAMED"))
    return found
