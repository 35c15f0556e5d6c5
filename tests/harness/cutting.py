"""A proxy on the loopback interface that passes everything on, until it is told to cut the line at a byte of either way."""

import contextlib
import socket
import struct
import threading


class Cutting:
    """
    Between a client and a server.

    Args:
        port: The server's, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        #: Whether the line is cut on the way of the answers, and how many of the next bytes still pass.
        self._armed: tuple[bool, int] | None = None
        self.cuts = 0
        self._swallowed: set[bool] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def arm(self, *, answers: bool = True, after: int = 0) -> None:
        """
        Cut the line soon: what follows is swallowed, and the connection is reset at whoever waits for it.

        Args:
            answers: On the way from the server; else on the way to it.
            after: How many of the next bytes of this way still pass, of whichever connection.
        """
        with self._lock:
            self._armed = (answers, after)

    def swallow(self, *, answers: bool = True, on: bool = True) -> None:
        """Pass nothing on any more in one way, and say nothing of it: a black hole, as long as it is on."""
        with self._lock:
            (self._swallowed.add if on else self._swallowed.discard)(answers)

    def cut(self) -> None:
        """Cut every line that there is now."""
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut every line and stop."""
        self._closed = True
        # A blocked accept does not notice a close: this one ends it.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            pass
        self._listener.close()
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed before this thread came here
                return
            if self._closed:
                client.close()
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            for source, sink, answers in ((client, server, False), (server, client, True)):
                thread = threading.Thread(target=self._pass, args=(source, sink, answers), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if answers in self._swallowed:
                    continue
                passing = self._passing(answers, len(data))
                if passing is not None:
                    # The server sees the line end, as when a gateway dies; the client sees it reset.
                    sink.sendall(data[:passing])
                    client = sink if answers else source
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                sink.sendall(data)
        _end(source)
        _end(sink)

    def _passing(self, answers: bool, size: int) -> int | None:
        """Return how many of these bytes still pass if the line is cut here; None if it is not."""
        with self._lock:
            if self._armed is None or self._armed[0] is not answers:
                return None
            after = self._armed[1]
            if after >= size:
                self._armed = (answers, after - size)
                return None
            self._armed = None
            self.cuts += 1
            return after


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
