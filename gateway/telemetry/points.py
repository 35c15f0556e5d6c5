"""Named points of the path: where tests stop, interleave or kill a process (ARCHITECTURE.md, F2)."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

#: Every point, in the order in which a deposit passes them. A test fails if the code reaches one that is not here, or one that is
#: here is never reached.
POINTS: Final = (
    "door.received",
    "door.read",
    "queue.publish.begun",
    "queue.publish.written",
    "queue.publish.committed",
    "door.answered",
    "queue.taken",
    "store.lock.asked",
    "store.lock.granted",
    "store.begun",
    "store.resolved",
    "store.read",
    "store.decided",
    "store.write",
    "store.written",
    "store.commit.asked",
    "store.committed",
    "queue.settle.written",
    "queue.settle.committed",
    "event.received",
    "event.committed",
)

#: Those of a gateway of several processes alone, beside those above: every step that the broker sees, or that waits for it. A
#: test fails if such a step of `gateway/queue/rabbitmq` has none.
BROKER_POINTS: Final = (
    "broker.connect",
    "broker.opened",
    "broker.consume",
    "broker.replies.consume",
    "broker.looked",
    "broker.publish.waited",
    "broker.publish",
    "broker.published",
    "broker.returned",
    "broker.confirmed",
    "broker.told",
    "broker.delivered",
    "broker.ack",
    "broker.acked",
    "broker.reject",
    "broker.flush",
    "broker.request.begun",
    "broker.request.waited",
    "broker.request.taken",
    "broker.request.answered",
    "broker.reply",
    "broker.reply.received",
    "broker.report.begun",
    "broker.report.taken",
    "broker.report.noted",
    "broker.marker.begun",
    "broker.marker.confirmed",
    "broker.marker.taken",
    "broker.marker.passed",
    "broker.marker.settled",
    "broker.erasable.begun",
    "broker.erasable.waited",
    "broker.close",
)

_KILL_VARIABLE: Final = "DMP_GATEWAY_KILL_AT"
_POISON_VARIABLE: Final = "DMP_GATEWAY_POISON"

#: Callables to run at a point, set by tests in their own process (barriers, failures).
hooks: dict[str, Callable[[], None]] = {}

_hits: Counter[str] = Counter()


def _kill_order() -> tuple[str, int] | None:
    name, _, nth = os.environ.get(_KILL_VARIABLE, "").partition(":")
    return (name, int(nth or "1")) if name else None


_kill: Final = _kill_order()


class Poisoned(Exception):
    """A deposit did what the proof ordered: it raised."""


def _poison_orders() -> dict[str, str]:
    """What documents do, by type."""
    orders = os.environ.get(_POISON_VARIABLE, "")
    return dict(each.partition("=")[::2] for each in orders.split(",") if each)


_poison: Final = _poison_orders()


def reach(name: str) -> None:
    """
    Say that a point is reached.

    Runs the hook that a test set for it; ends the process at once (exit 137, as `kill -9`) on the n-th hit of the point named by
    ``DMP_GATEWAY_KILL_AT=point:n``.

    Args:
        name: One of `POINTS` or `BROKER_POINTS`.
    """
    if _kill is not None and _kill[0] == name:
        _hits[name] += 1
        if _hits[name] == _kill[1]:
            os._exit(137)
    hook = hooks.get(name)
    if hook is not None:
        hook()


def statement(name: str) -> None:
    """
    Say that a named SQL statement is about to be sent: each is the point ``sql.<name>``, for hooks and kills alike.

    Args:
        name: Its name among the store's statements.
    """
    reach(f"sql.{name}")


def carried(types: Iterable[str]) -> None:
    """
    Say which types of document the deposit carries that is about to be decided.

    ``DMP_GATEWAY_POISON=type=abort,type=raise,type=block:5`` makes one of these types end the process as a fault in C does
    (`os.abort`), raise, or keep its thread for so many seconds (F16).

    Args:
        types: Codes of the types, `DocumentEntry.type_code`.

    Raises:
        Poisoned: it was ordered.
    """
    if not _poison:
        return
    for each in types:
        order, _, seconds = _poison.get(each, "").partition(":")
        if order == "abort":
            os.abort()
        if order == "raise":
            raise Poisoned
        if order == "block":
            time.sleep(float(seconds))
