"""The sockets of the HTTP door."""

import contextlib
import socket
from typing import Final

_BACKLOG: Final = 128
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


def listen(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """
    Listen without TLS.

    Raises:
        OSError: the address is not one of this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=reuse_port)
    listener.setblocking(False)  # noqa: FBT003 - the name of the standard library
    return listener


def keep_alive(link: socket.socket) -> None:
    """Find out within two minutes that the machine at the other end is gone, and never hold back an answer."""
    with contextlib.suppress(OSError):  # gone already
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
