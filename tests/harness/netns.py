"""
Two network namespaces with one cable between them, and nothing of it on the machine's own network.

Each namespace is that of a sleeping process of ours, and ends with it. Sockets and processes are made inside by a thread that has
entered: a socket stays where it was made, a process where its parent's thread was. Needs root, `ip`, `unshare` and `nsenter`.
"""

import ctypes
import functools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

_T = TypeVar("_T")

#: The near end is the gateway's, the far end the servers'. The network exists between the two namespaces alone.
NEAR: Final = "10.213.7.2"
FAR: Final = "10.213.7.1"
_CABLE: Final = ("dmpgw-near", "dmpgw-far")
#: A holder that nobody ended ends by itself.
_HOLD_SECONDS: Final = 3_600
_START_SECONDS: Final = 30.0
_CLONE_NEWNET: Final = 0x4000_0000
_PROGRAMS: Final = ("ip", "unshare", "nsenter")

#: Why there are none, where there are none.
MISSING: Final = "needs the right to make a network namespace: run as root, with iproute2 and util-linux installed"


@functools.cache
def can_be_made() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() != 0 or not all(map(shutil.which, _PROGRAMS)):
        return False
    done = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", _CABLE[0], "type", "veth", "peer", "name", _CABLE[1]],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


class Namespace:
    """One network namespace, as long as the object is open."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--net", "sleep", str(_HOLD_SECONDS)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.pid = self._process.pid
        own, limit = Path("/proc/self/ns/net").readlink(), time.monotonic() + _START_SECONDS
        while Path(f"/proc/{self.pid}/ns/net").readlink() == own:
            assert self._process.poll() is None and time.monotonic() < limit, MISSING
            time.sleep(0.005)
        self.command("ip", "link", "set", "lo", "up")

    def command(self, *words: str) -> None:
        """Run a program inside."""
        subprocess.run(["nsenter", "--target", str(self.pid), "--net", *words], check=True, capture_output=True)

    def enter(self) -> None:
        """Bring the calling thread inside: for a thread that ends there."""
        with Path(f"/proc/{self.pid}/ns/net").open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def inside(self, make: Callable[[], _T]) -> _T:
        """Run something on a thread inside and return what it returned."""
        with ThreadPoolExecutor(1, thread_name_prefix="inside", initializer=self.enter) as thread:
            return thread.submit(make).result()

    def dial(self, port: int, host: str = "127.0.0.1") -> Callable[[], socket.socket]:
        """Return what makes a connection from inside."""
        return lambda: self.inside(lambda: socket.create_connection((host, port), timeout=_START_SECONDS))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(_START_SECONDS)


class Apart:
    """A near and a far namespace with a cable between them."""

    def __init__(self) -> None:
        self.near, self.far = Namespace(), Namespace()
        near, far = _CABLE
        self.near.command("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", str(self.far.pid))
        for each, name, address in ((self.near, near, NEAR), (self.far, far, FAR)):
            each.command("ip", "address", "add", f"{address}/24", "dev", name)
            each.command("ip", "link", "set", name, "up")

    def pull(self) -> None:
        """Pull the cable out: nothing arrives, nobody is told."""
        self.far.command("ip", "link", "set", _CABLE[1], "down")

    def plug(self) -> None:
        """Put it back."""
        self.far.command("ip", "link", "set", _CABLE[1], "up")

    def listener(self) -> socket.socket:
        """Return a socket that listens at the far end of the cable."""
        return self.far.inside(lambda: socket.create_server((FAR, 0)))

    def close(self) -> None:
        """End both."""
        self.near.close()
        self.far.close()
