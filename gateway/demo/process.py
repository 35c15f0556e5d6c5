"""A gateway in a process of its own, as an operator would start it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

import msgspec

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 40.0

#: The installed command, by the interpreter that runs now.
COMMAND: Final = (sys.executable, "-m", "gateway.cli")


_FREE_PORTS: Final = ("--mllp-port", "0", "--http-port", "0")


class GatewayProcess:
    """
    Starts `serve` on a free port and stops or kills it by its pid.

    Args:
        data: The data directory; its parent exists.
        log: File that takes standard error; appended to.
        environment: Variables to add.
        arguments: More arguments of `serve`.
    """

    def __init__(
        self, data: Path, log: Path, *, environment: dict[str, str] | None = None, arguments: tuple[str, ...] = ()
    ) -> None:
        """Keep what `start` needs."""
        self.data = data
        self._log = log
        self._environment = environment or {}
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        #: Of the HTTP door.
        self.http_port = 0
        #: Of the HTTP door with TLS, if it has one.
        self.https_port = 0
        #: Where MLLP is spoken over TLS; 0: nowhere.
        self.tls_port = 0
        #: Where HTTP is spoken over TLS; 0: nowhere.
        self.http_tls_port = 0
        #: Where its metrics are, if anywhere.
        self.page: str | None = None

    def __enter__(self) -> Self:
        """Start and return it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self, environment: dict[str, str] | None = None) -> int:
        """
        Start it and wait until every door listens.

        Returns:
            The MLLP port.

        Raises:
            RuntimeError: it ended, or said nothing in time; its log tells.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                (*COMMAND, "serve", "--data", str(self.data), *_FREE_PORTS, "--json", *self._arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self._environment | (environment or {}),
            )
        ready = self._process.stdout.readline() if self._process.stdout else b""
        if not ready:
            code = self._process.wait(_START_SECONDS)
            message = f"serve ended with {code}; see {self._log}"
            raise RuntimeError(message)
        said = msgspec.json.decode(ready)
        self.port, self.http_port, self.page = int(said["mllp_port"]), int(said.get("http_port", 0)), said.get("metrics")
        self.https_port = int(said.get("http_tls_port", 0))
        self.tls_port, self.http_tls_port = int(said.get("mllp_tls_port") or 0), int(said.get("http_tls_port") or 0)
        return self.port

    @property
    def pid(self) -> int:
        """Its process id, 0 if it was not started."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def killed(self) -> str:
        """What `kill` ends, in words."""
        return "kill -9"

    def kill(self) -> None:
        """End it as a power cut would: `kill -9`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._reap()

    def stop(self) -> int:
        """Ask it to drain and stop; return its exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._reap()

    def wait_dead(self, seconds: float) -> bool:
        """Wait until it has died by itself; return whether it has."""
        limit = time.monotonic() + seconds
        while self.running and time.monotonic() < limit:
            time.sleep(0.005)
        if not self.running:
            self._reap()
        return not self.running

    def _reap(self) -> int:
        if self._process is None:
            return 0
        code = self._process.wait(_STOP_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()
        return code


def run_verb(*arguments: str) -> tuple[int, list[Any]]:
    """
    Run a verb with `--json` and return its exit status and its lines.

    Args:
        arguments: The verb with its options.
    """
    done = subprocess.run((*COMMAND, *arguments, "--json"), capture_output=True, check=False)  # noqa: S603 - our own command
    return done.returncode, [msgspec.json.decode(line) for line in done.stdout.splitlines()]
