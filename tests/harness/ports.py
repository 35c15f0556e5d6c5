"""Ports for servers that a test stops and starts again."""

import contextlib
import random
import socket
from pathlib import Path
from typing import Final

_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 12_000
#: Where the system's own ports begin if it does not say.
_USUAL: Final = 32_768


def free_ports(count: int) -> list[int]:
    """
    Return ports of the loopback interface that nobody has.

    They lie below those that the system gives to connections: while a server is down, one of these would take its port, and a
    client that tries again and again would at last be connected to itself.
    """
    first = _USUAL
    with contextlib.suppress(OSError, ValueError, IndexError):
        first = int(_RANGE.read_text(encoding="ascii").split()[0])
    numbers = range(_LOWEST, first) if first > _LOWEST + 1_000 else range(_LOWEST, 1 << 16)
    found: list[int] = []
    while len(found) < count:
        number = random.SystemRandom().choice(numbers)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", number)):
            if number not in found:
                found.append(number)
    return found
