"""
What the service manager is told: ready, stopping, how it is, and that it lives (sd_notify(3)).

Nothing is told without `NOTIFY_SOCKET`. Its variables are taken out of the environment when they are read: processes that are
started from here speak to their parent, never to systemd in its place.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Final, Self

#: How often the status is looked at where nobody watches, in seconds.
_LOOK_SECONDS: Final = 5.0
#: How long a message may take where the manager does not read: never so long that doors stand still.
_SEND_SECONDS: Final = 1.0
#: What is told of a process that lives and no longer does its work.
_NOT_AT_WORK: Final = "NOT AT WORK: a thread of it ended; its log tells why"
_STOPPING: Final = "stopping: what was received is finished"

#: Tells how the process is, in ids and counts; None: it lives and no longer does its work.
Look = Callable[[], str | None]


class ServiceManager:
    """
    The manager of this process, or nobody.

    Args:
        address: Path of its datagram socket; `@` stands for the zero byte of an abstract one; None: there is no manager.
        watchdog_seconds: It ends the process after so long without a sign of life; None: it does not watch.
    """

    def __init__(self, address: str | None, watchdog_seconds: float | None = None) -> None:
        """Keep the address; nothing is opened."""
        # Other kinds of address (vsock) are for virtual machines.
        self._address = address if address and address[0] in "/@" else None
        self._watchdog_seconds = watchdog_seconds
        #: How often `watch` and `watching` look, in seconds: at half of the watchdog's time.
        self.look_seconds = min(_LOOK_SECONDS, watchdog_seconds / 2) if watchdog_seconds else _LOOK_SECONDS
        self._told = ""
        self._stopping = False

    @classmethod
    def of(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """
        Read where the manager is, and take its variables away: they are this process's alone.

        Args:
            environ: Holds NOTIFY_SOCKET, WATCHDOG_USEC (microseconds) and WATCHDOG_PID, if there is a manager.
        """
        address, pid = environ.pop("NOTIFY_SOCKET", None), environ.pop("WATCHDOG_PID", None)
        every = environ.pop("WATCHDOG_USEC", "")
        ours = pid is None or pid == str(os.getpid())
        microseconds = int(every) if ours and every.isascii() and every.isdigit() and len(every) < 20 else 0
        return cls(address, microseconds / 1e6 if microseconds else None)

    def ready(self, status: str) -> None:
        """
        Say that the process does its work from now on.

        Args:
            status: How it is, in a line: ids and counts only.
        """
        self._told = status
        self._send("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Say that the process was asked to stop and finishes what it has; a signal's handler may call it."""
        self._stopping = True
        self._send("STOPPING=1", f"STATUS={_STOPPING}")

    def look(self, look: Look) -> None:
        """
        Look once: give a sign of life if the process does its work or is stopping, and tell how it is if that changed.

        Args:
            look: Tells how it is.
        """
        status = _STOPPING if self._stopping else look()
        lines = ["WATCHDOG=1"] if self._watchdog_seconds and status is not None else []
        # A stop bounds itself (TimeoutStopSec): until then it is alive, and its status was told.
        told = _NOT_AT_WORK if status is None else status
        if told != self._told and not self._stopping:
            self._told = told
            lines.append(f"STATUS={told}")
        if lines:
            self._send(*lines)

    async def watch(self, look: Look) -> None:
        """Look again and again, for as long as the event loop turns; until cancelled."""
        while self._address is not None:
            self.look(look)
            await asyncio.sleep(self.look_seconds)

    @contextlib.contextmanager
    def watching(self, look: Look) -> Iterator[None]:
        """Look again and again on a thread of its own, for a process without an event loop: `look` must see its threads."""
        if self._address is None:
            yield
            return
        over = threading.Event()

        def run() -> None:
            while not over.is_set():
                self.look(look)
                over.wait(self.look_seconds)

        thread = threading.Thread(target=run, name="service-manager", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        # A manager that does not listen is no reason to serve nobody: it will say so itself.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaking:
            speaking.settimeout(_SEND_SECONDS)
            speaking.sendto("\n".join(lines).encode("utf-8"), address)
