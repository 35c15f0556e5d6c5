"""
What the broker holds for a gateway: exchanges, queues and their arguments, declared once by an operator.

A queue cannot be declared again with other arguments, so their names carry the number of the layout: another layout is other
queues, made beside the old ones, which are drained.

Source: D-8, D-9, D-10; docs/broker.md.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.model.base import Model
from gateway.queue import lanes

#: Changed with any argument below.
LAYOUT: Final = 2

PREFIX: Final = f"dmpgw.v{LAYOUT}"
#: A direct exchange; the routing key is the lane.
EXCHANGE: Final = PREFIX
#: Where a broker puts what it gives up: it gives up nothing by itself, so this stays empty, and anything in it is an alarm.
DEAD: Final = f"{PREFIX}.dead"

#: Routing key of what every worker is asked at once: each binds a queue of its own, as long as it lives. No lane.
WORKERS: Final = "workers"

#: Explicit and out of reach: absent, a returned message goes to the tail of its queue; −1 deletes it at its first return on 3.10;
#: absent on 4.x it is 20, and a worker that dies counts for everything it had in hand (D-8).
DELIVERY_LIMIT: Final = 1_000_000
#: The last dam, per lane; before it stand the doors' window and the alarms of the broker.
MAX_LENGTH: Final = 1_000_000
MAX_LENGTH_BYTES: Final = 64 * 1024 * 1024 * 1024
#: A request that nobody took within its deadline is never begun (D-2).
REQUEST_TTL_MS: Final = 10_000

#: Header with the instant of reception: what waits longest is told by it.
RECEIVED_AT: Final = "received-at"

Arguments = Mapping[str, str | int | bool]

_QUORUM: Final[Arguments] = MappingProxyType(
    {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-overflow": "reject-publish",
        "x-max-length": MAX_LENGTH,
        "x-max-length-bytes": MAX_LENGTH_BYTES,
        # At least once needs `reject-publish`: without it the broker falls back to at most once, without a word.
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-strategy": "at-least-once",
    }
)


class Declared(Model, frozen=True, kw_only=True):
    """A queue as it is declared."""

    name: str
    #: Routing key; None: the queue of what was given up.
    lane: str | None
    arguments: Arguments


def queue_of(lane: str) -> str:
    """Return the name of a lane's queue."""
    return f"{PREFIX}.{lane}"


def lane_of(queue: str) -> str:
    """Return the lane of a queue of ours."""
    return queue.removeprefix(f"{PREFIX}.")


def declared() -> tuple[Declared, ...]:
    """Return every queue, that of what was given up first: the others name it."""
    found = [Declared(name=DEAD, lane=None, arguments=MappingProxyType({"x-queue-type": "quorum"}))]
    for lane in lanes.LANES:
        if lane == lanes.REQUESTS:
            # Its messages live for seconds and are asked again: classic, and transient.
            arguments: Arguments = MappingProxyType({"x-queue-type": "classic", "x-message-ttl": REQUEST_TTL_MS})
        else:
            # One consumer at a time keeps the order of a patient (D-10), and tells when a day is over in a lane: with several,
            # one may take the marker while another still holds a deposit of the day before (D-7).
            arguments = MappingProxyType({**_QUORUM, "x-single-active-consumer": True})
        found.append(Declared(name=queue_of(lane), lane=lane, arguments=arguments))
    return tuple(found)


class BadVersion(Model, frozen=True, kw_only=True):
    """A range of broker versions with a defect that matters here."""

    #: First version that has it, first that has not; None: not yet mended.
    since: tuple[int, int, int]
    until: tuple[int, int, int] | None
    what: str
    advice: str


#: Source: docs/broker.md.
BAD_VERSIONS: Final = (
    BadVersion(
        since=(0, 0, 0),
        until=(3, 10, 0),
        what="dead-lettering at least once is not known",
        advice="take RabbitMQ 3.10 or later",
    ),
    BadVersion(
        since=(4, 3, 0),
        until=(4, 3, 6),
        what="a lane with a single active consumer stops for ever once each of its consumers has run into consumer_timeout",
        advice="take RabbitMQ 4.3.6 or later",
    ),
)


def known_bad(version: str) -> tuple[BadVersion, ...]:
    """
    Return what is known of a broker's version.

    Args:
        version: As the broker says it: `3.10.8`, `4.1.0-rc.1`.
    """
    numbers = version_numbers(version)
    return tuple(bad for bad in BAD_VERSIONS if bad.since <= numbers and (bad.until is None or numbers < bad.until))


def version_numbers(version: str) -> tuple[int, int, int]:
    """Return the three numbers of a version; what is no number counts as 0."""
    digits = ("".join(char for char in part if char in "0123456789") for part in version.partition("-")[0].split("."))
    first, second, third, *_ = (*(int(each or "0") for each in digits), 0, 0, 0)
    return (first, second, third)
