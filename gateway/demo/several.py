"""The gateway of several processes: what an operator does before its first start, and a kill of all its doors and workers."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gateway.demo.process import COMMAND, GatewayProcess
from gateway.wiring.control import Request, ask
from gateway.wiring.data import DataDirectory

#: What has to be done once, in this order (docs/broker.md); the keys alone lie in the data directory.
PREPARED: Final = (("keys", "init"), ("db", "migrate"), ("queue", "setup"))
_AGAIN_SECONDS: Final = 60.0


def prepare(data: Path) -> Iterator[tuple[str, int]]:
    """Run each verb of `PREPARED` on the servers that the environment names; yield it with its exit status."""
    for words in PREPARED:
        command = (*COMMAND, *words, *(("--data", str(data)) if words[0] == "keys" else ()))
        yield " ".join(words), subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603 - ours


class _Child(NamedTuple):
    role: str
    pid: int
    restarts: int


class SeveralProcesses(GatewayProcess):
    """`serve` over a broker and a database; `kill` ends its doors and workers, and the supervisor is what starts them again."""

    def start(self, environment: dict[str, str] | None = None) -> int:
        """
        Start it; after a `kill`, wait until every door and worker was started again.

        Raises:
            RuntimeError: it ended, or what was killed did not come back in time; its log tells.
        """
        if not self.running:
            return super().start(environment)
        limit = time.monotonic() + _AGAIN_SECONDS
        while time.monotonic() < limit:
            if all(child.restarts for child in self._children()) and self._listens():
                return self.port
            time.sleep(0.05)
        message = "what was killed was not started again in time; its log tells"
        raise RuntimeError(message)

    def kill(self) -> None:
        """End every door and worker as a machine without memory would: `kill -9`."""
        for child in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)

    @property
    def killed(self) -> str:
        """What `kill` ends, in words: how many doors and workers."""
        roles = [child.role for child in self._children()]
        doors = roles.count("mllp") + roles.count("http")
        workers = len(roles) - doors
        return f"kill -9 of {doors} door{'s' * (doors > 1)} and {workers} worker{'s' * (workers > 1)}"

    def _children(self) -> list[_Child]:
        owner = DataDirectory(self.data).owner()
        if owner is None:
            message = "serve is gone; its log tells"
            raise RuntimeError(message)
        status = msgspec.json.decode(bytes(ask(owner.socket, Request(verb="status")).result))
        return [_Child(each["role"], each["pid"], each["restarts"]) for each in status["processes"]]

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
