"""`listen` in a thread of the test: the receiver itself, without its command line."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any, Self

from gateway.adapters.tls import Reloading
from gateway.cli.listen_folder import Folder
from gateway.cli.listen_heard import Heard
from gateway.cli.listen_manner import Manner
from gateway.cli.listen_server import Receiver, Terms

_SECONDS = 20.0


class Ear:
    """
    Listens on a free port until the end of the block, or as long as its terms say.

    Args:
        manner: How messages are answered, as `Manner` names it.
        terms: Further fields of `Terms`.
    """

    def __init__(
        self, *, folder: Folder | None = None, tls: Reloading | None = None, terms: dict[str, Any] | None = None, **manner: Any
    ) -> None:
        self.heard: list[Heard] = []
        self.faults: list[str] = []
        self.port = 0
        #: What ended the run, if it did not end well.
        self.error: Exception | None = None
        self.receiver = Receiver(
            Terms(manner=Manner(**manner), **(terms or {})),
            now=lambda: datetime.now(UTC),
            report=self._report,
            fault=self.faults.append,
            folder=folder,
            tls=tls,
        )
        self._came = threading.Condition()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="listen")

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_SECONDS) or not self.port:
            raise RuntimeError(f"the receiver did not open: {self.error!r}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.receiver.stop)
        self.ended()
        if self.error is not None:
            raise self.error

    def heard_so_many(self, number: int) -> None:
        """Wait until it has heard so many messages."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.heard) >= number, _SECONDS):
                raise RuntimeError(f"{len(self.heard)} messages of {number} came")

    def ended(self) -> None:
        """Wait until it has ended."""
        self._thread.join(_SECONDS)
        if self._thread.is_alive():
            raise RuntimeError("the receiver does not end")

    def _report(self, line: Heard) -> None:
        with self._came:
            self.heard.append(line)
            self._came.notify_all()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as failed:  # noqa: BLE001 - the test says what it thinks of it
            self.error = failed
        finally:
            self._loop = None
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()

        def opened(_: str, port: int) -> None:
            self.port = port
            self._ready.set()

        await self.receiver.run("127.0.0.1", 0, opened)
