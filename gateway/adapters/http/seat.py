"""A connection's place at the HTTP door."""

import time

from gateway.adapters.http.channel import Channel
from gateway.adapters.http.relay import Relay
from gateway.model.source import Peer


class Seat:
    """A connection's place, on the event loop's side."""

    def __init__(self, peer: Peer, number: int) -> None:
        self.of = peer
        self.number = number
        self.opened = time.monotonic()
        self.channel: Channel | None = None
        #: What carries it, where TLS secures it.
        self.relay: Relay | None = None
        #: Somebody else has its place.
        self.leaves = False

    @property
    def peer(self) -> str:
        """Address of the machine."""
        return self.of.address

    @property
    def has_spoken(self) -> bool:
        """Whether a whole request of it was answered."""
        return self.channel is not None and self.channel.served > 0

    @property
    def working(self) -> bool:
        """Whether a request of it is worked on."""
        return self.channel is not None and bool(self.channel.requests)
