"""Who is inside: a store that closes waits for what was begun and lets nobody in behind it."""

import threading

from gateway.store.port import Transient


class Running:
    """Counts the calls that run; used as a context manager around each."""

    def __init__(self) -> None:
        """Begin open."""
        self._changed = threading.Condition()
        self._inside = 0
        self._stopped = False

    def __enter__(self) -> None:
        """
        Come in.

        Raises:
            Transient: the store is closed.
        """
        with self._changed:
            if self._stopped:
                message = "the store is closed"
                raise Transient(message)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        """Go out."""
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether the store closes: what can be left for later is."""
        return self._stopped

    def stop(self) -> None:
        """Let nobody in any more and wait until everybody is out."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: self._inside == 0)
