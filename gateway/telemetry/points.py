"""Named points of the path: where tests stop, interleave or kill a process (ARCHITECTURE.md, F2)."""

import os
from collections import Counter
from collections.abc import Callable
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

_KILL_VARIABLE: Final = "DMP_GATEWAY_KILL_AT"

#: Callables to run at a point, set by tests in their own process (barriers, failures).
hooks: dict[str, Callable[[], None]] = {}

_hits: Counter[str] = Counter()


def _kill_order() -> tuple[str, int] | None:
    name, _, nth = os.environ.get(_KILL_VARIABLE, "").partition(":")
    return (name, int(nth or "1")) if name else None


_kill: Final = _kill_order()


def reach(name: str) -> None:
    """
    Say that a point is reached.

    Runs the hook that a test set for it; ends the process at once (exit 137, as `kill -9`) on the n-th hit of the point named by
    ``DMP_GATEWAY_KILL_AT=point:n``.

    Args:
        name: One of `POINTS`.
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
