"""The line below the frames: what its socket is set to, and what is answered to a frame that it lost."""

import socket
from typing import Final

from gateway.adapters.mllp.frame import Fault, FrameError

_CODES: Final = {Fault.TOO_LARGE: "TOO_LARGE", Fault.OVERLOADED: "OVERLOADED"}

_KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


def code_of(error: FrameError) -> str:
    """Return the problem code of a frame that could not be received whole."""
    if error.fault is Fault.LOST and not error.size:
        return "MSH_ABSENT"
    return _CODES.get(error.fault, "MESSAGE_TRUNCATED")


def keep_alive(link: socket.socket | None) -> None:
    """Find out within two minutes that the machine at the other end is gone, and never hold back an answer."""
    if link is None:
        return
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
