"""A process that a supervisor watches tells it how it is, over a socket that it was born with: nobody else can ask."""

import socket
import threading
from typing import Final

import msgspec
from prometheus_client import generate_latest

from gateway.model.base import Model
from gateway.telemetry import events
from gateway.wiring.health import Health, Shown

#: Bytes of the length that an answer begins with.
LENGTH: Final = 4


class Told(Model, frozen=True, kw_only=True):
    """What a process answers."""

    #: In the text format.
    metrics: str
    shown: Shown


class Telling:
    """
    Answers each byte that comes with a length and a `Told`, until the other side is closed.

    Args:
        descriptor: Of a connected socket; it is this object's from now on.
        health: What is told.

    Raises:
        OSError: it is no socket.
    """

    def __init__(self, descriptor: int, health: Health) -> None:
        """Begin."""
        self._socket = socket.socket(fileno=descriptor)
        self._health = health
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._socket as asked:
            try:
                while asked.recv(1):
                    answer = self._answer()
                    asked.sendall(len(answer).to_bytes(LENGTH) + answer)
            except OSError:
                return  # the supervisor is gone: standard input says so, too

    def _answer(self) -> bytes:
        try:
            shown = self._health.look()
        except Exception as failure:  # noqa: BLE001 - the next question must find somebody
            event = events.InternalError.of(failure, reason="telling")
            event.emit()
            shown = Shown(missing={"page": f"its log tells why, under {event.reference}"})
        return msgspec.json.encode(Told(metrics=generate_latest(self._health.registry).decode(), shown=shown))
