"""A proxy before a PostgreSQL server that lets a COMMIT pass and cuts its answer: nobody can tell whether it took place (F7)."""

import contextlib
import random
import socket
import struct
import threading

from tests.harness.cutting import Cutting

#: `Query`, its length, its text.
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class CuttingCommits(Cutting):
    """
    Between doors or workers and the database.

    Args:
        port: The server's, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        #: Of each COMMIT, whether its answer is cut.
        self.share = 0.0
        self.commits_cut = 0
        self._chance = random.Random(port)
        self._counted = threading.Lock()
        #: Sockets of clients whose next answer is cut.
        self._doomed: set[socket.socket] = set()
        super().__init__(port)

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        if not answers:
            super()._pass(_Listening(source, self, source), sink, answers)  # type: ignore[arg-type]
        else:
            super()._pass(_Listening(source, self, sink), sink, answers)  # type: ignore[arg-type]

    def heard(self, client: socket.socket, data: bytes, *, answers: bool) -> bytes:
        """Look at what passes; return it, or nothing where the line ends here."""
        if answers and client in self._doomed:
            self._doomed.discard(client)
            with self._counted:
                self.commits_cut += 1
                self.cuts += 1
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        if not answers and self.share and data.endswith(_COMMIT) and self._chance.random() < self.share:
            self._doomed.add(client)
        return data


class _Listening:
    """The socket that is read from, heard by the proxy."""

    def __init__(self, inner: socket.socket, proxy: CuttingCommits, client: socket.socket) -> None:
        self._inner = inner
        self._proxy = proxy
        self._client = client

    def recv(self, size: int) -> bytes:
        """Read, and let the proxy hear it."""
        data = self._inner.recv(size)
        return self._proxy.heard(self._client, data, answers=self._inner is not self._client) if data else data

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)
