"""The queue in one SQLite file, owned by one process (D-12, D-15)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.queue.embedded.queue import EmbeddedQueue, Settings

__all__ = ["EmbeddedQueue", "Settings"]


def __getattr__(name: str) -> Any:
    """Load the queue when it is asked for: who only lists the file needs neither loop nor keys."""
    if name not in __all__:
        raise AttributeError(name)
    from gateway.queue.embedded import queue

    return getattr(queue, name)
