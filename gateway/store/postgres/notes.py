"""Rejections that wait to be written down, on a thread of their own: nobody waits for them."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from gateway.model.outcome import Rejection
from gateway.model.submission import Reception
from gateway.store.port import Transient

Note = tuple[Reception, Rejection]

#: How many may wait; more are dropped and counted.
NOTES_LIMIT: Final = 10_000
#: How many one transaction takes.
_AT_ONCE: Final = 500
#: Waits before another try while the database is away.
_RETRY_SECONDS: Final = 1.0


class Notes:
    """
    The notes and the thread that writes them.

    Args:
        write: Writes some in one transaction.
    """

    def __init__(self, write: Callable[[Sequence[Note]], None]) -> None:
        """Start the thread."""
        self._write = write
        self._waiting: list[Note] = []
        self._changed = threading.Condition()
        self._stopped = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="store-notes", daemon=True)
        self._thread.start()

    def add(self, reception: Reception, rejection: Rejection) -> None:
        """Let a rejection wait; beyond the limit it is dropped and counted."""
        with self._changed:
            if len(self._waiting) >= NOTES_LIMIT:
                self.dropped += 1
                return
            self._waiting.append((reception, rejection))
            self._changed.notify_all()

    def close(self) -> None:
        """Write what waits, once, and stop."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                notes, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                if not notes:
                    return
            if self._written(notes):
                continue
            with self._changed:
                self._waiting = [*notes, *self._waiting]
                if self._stopped:
                    self.dropped += len(self._waiting)
                    return
                self._changed.wait_for(lambda: self._stopped, _RETRY_SECONDS)

    def _written(self, notes: Sequence[Note]) -> bool:
        """Write notes, in halves where one cannot be; False while the database is away."""
        try:
            self._write(notes)
        except Transient:
            return False
        except Exception:  # noqa: BLE001 - one that cannot be written must not keep the others
            if len(notes) == 1:
                self.dropped += 1
                return True
            middle = len(notes) // 2
            return self._written(notes[:middle]) and self._written(notes[middle:])
        return True
