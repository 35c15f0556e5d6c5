"""The service manager's side: a datagram socket that `NOTIFY_SOCKET` names, as systemd holds one."""

import fcntl
import socket
import struct
import termios
from pathlib import Path
from typing import Self

_SECONDS = 30.0


class Listening:
    """
    Takes what processes tell.

    Args:
        address: A path, or `@` and a name: an abstract socket.
    """

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SECONDS)

    def __enter__(self) -> Self:
        self._socket.bind("\0" + self.address[1:] if self.address.startswith("@") else self.address)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self, count: int) -> list[str]:
        """The next messages; waits for them."""
        return [self._socket.recv(4096).decode() for _ in range(count)]

    def until(self, begin: str) -> list[str]:
        """Every message up to the first that begins so."""
        found = self.read(1)
        while not found[-1].startswith(begin):
            found += self.read(1)
        return found

    def waiting(self) -> int:
        """How many bytes the next message has that nobody has read; 0: there is none."""
        return struct.unpack("i", fcntl.ioctl(self._socket, termios.FIONREAD, b"\0\0\0\0"))[0]
