"""`db missing` over a broker: looks whether its lanes are empty."""

import time
from typing import Final

from gateway.cli.missing_lanes import Lanes
from gateway.cli.waiting_words import held_words
from gateway.queue import lanes
from gateway.queue.rabbitmq.setup import BrokerUnusable
from gateway.queue.rabbitmq.status import BrokerStatus
from gateway.wiring.data import DataDirectory
from gateway.wiring.lanes import lanes_status

#: Between two looks: a message on its way to a worker is neither ready nor in anybody's hand.
_APART_SECONDS: Final = 1.0
_DRAIN: Final = "let the workers drain the lanes (`dmp-gateway queue status`), then run this again."


def look(broker: str, directory: DataDirectory) -> Lanes:
    """
    Look at the lanes, twice where they seem empty.

    Args:
        broker: Its URL.
        directory: Whose keys the workers are asked with.
    """
    try:
        found = lanes_status(broker, directory)
        if _is_empty(found):
            time.sleep(_APART_SECONDS)
            found = lanes_status(broker, directory)
    except BrokerUnusable as unusable:
        return Lanes(
            asked=True,
            empty=False,
            at_most=None,
            words=f"What waits in the broker cannot be told: {unusable}.",
            to_do="bring the broker back, let the workers drain the lanes, then run this again.",
        )
    ready, handed_out = found.deposits()
    return Lanes(
        asked=True,
        empty=_is_empty(found),
        at_most=None if handed_out is None else ready + handed_out,
        words=f"The lanes hold {held_words(found)}.",
        to_do=_to_do(found),
    )


def _is_empty(found: BrokerStatus) -> bool:
    """Tell whether nothing waits: a broker that has just started says 0 of full lanes, but gives what is there to who takes."""
    ready, handed_out = found.deposits()
    return ready == 0 and handed_out == 0 and all(each.consumers for each in found.lanes if each.lane in lanes.CARRYING)


def _to_do(found: BrokerStatus) -> str:
    if any(each.ready is None for each in found.lanes if each.lane in lanes.CARRYING):
        return "make the lanes that are missing (`dmp-gateway queue setup`), then run this again."
    if not found.connected:
        return "start a worker (`dmp-gateway serve`, or `dmp-gateway worker`), " + _DRAIN
    ready, handed_out = found.deposits()
    if handed_out is None and ready == 0:
        why, advice = found.unknown[0]
        return f"it is not known {why} → {advice}. Mend that, then run this again."
    return _DRAIN
