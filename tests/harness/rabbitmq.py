"""
A RabbitMQ node for the tests alone: made, used and thrown away with its own name, ports, folder and unprivileged user.

`TEST_AMQP_URL`, where it is set, serves the contract suites instead. `AMQP_URL` is never touched.
"""

import atexit
import contextlib
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import pika
from pika.exceptions import AMQPError

from gateway.queue.rabbitmq.setup import Step, setup
from gateway.queue.rabbitmq.topology import declared
from gateway.queue.seal import SEALED_LIMIT_BYTES
from tests.harness import owned
from tests.harness.ports import free_ports

_HOW: Final = (
    "these tests need RabbitMQ's server programs (rabbitmq-server): install them (Debian: apt-get install rabbitmq-server), "
    "or name a broker whose queues dmpgw.* may be made and emptied: TEST_AMQP_URL=amqp://user:password@host:5672/vhost"
)
#: How often a command is tried.
_CONTROLS: Final = 3
_START_SECONDS: Final = 60
_PREFIX: Final = "dmpgw-rmq-"


class BrokerMissing(Exception):
    """No broker can be had; says how to get one."""


class Broker:
    """A broker with the gateway's queues."""

    def __init__(self, url: str) -> None:
        self.url = url

    def prepare(self) -> None:
        """Declare the queues."""
        refused = [line for line in setup(self.url, SEALED_LIMIT_BYTES) if line.step is Step.REFUSED]
        assert refused == []

    def empty(self) -> None:
        """Take every message out of every queue."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            channel = connection.channel()
            for each in declared():
                channel.queue_purge(each.name)
        finally:
            connection.close()


class Node(Broker):
    """
    A node of our own, as long as the object is open.

    Args:
        prepared: With the gateway's queues.
        management: With the management plug-in, on a loopback port of its own.
        disk: A folder that its data goes to; None: beside its log.
    """

    def __init__(self, *, prepared: bool = True, management: bool = False, disk: Path | None = None) -> None:
        program = _program()
        sweep()
        self._home = owned.made(_PREFIX)
        self.port, dist, epmd, plugin = free_ports(4)
        #: Where the management plug-in answers; without it nobody does.
        self.management_url = f"http://127.0.0.1:{plugin}"
        user = _unprivileged_user()
        self._who = {}
        if user is not None:
            self._who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        (self._home / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 64MB\n"
            "log.console = false\nlog.file.level = warning\n"
            + (
                f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {plugin}\ncollect_statistics_interval = 500\n"
                if management
                else ""
            )
        )
        (self._home / "enabled_plugins").write_text("[rabbitmq_management].\n" if management else "[].\n")
        self.data = (disk or self._home) / "mnesia"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        self._environment = clean | {
            "HOME": str(self._home),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"dmpgw{os.getpid()}{secrets.token_hex(2)}@localhost",
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
            "LANG": "C.UTF-8",
        }
        self._program = program
        for path in (self._home, *self._home.iterdir(), *([disk] if disk else [])):
            if user is not None:
                os.chown(path, user.pw_uid, user.pw_gid)
        # The node would start it as a daemon that outlives it.
        self._names = subprocess.Popen(
            ["epmd", "-port", str(epmd), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self._environment, cwd="/", **self._who,
        )  # fmt: skip
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", epmd)):
                break
            time.sleep(0.02)
        super().__init__(f"amqp://guest:guest@127.0.0.1:{self.port}/%2F")
        self.start()
        if prepared:
            self.prepare()

    def start(self) -> None:
        """Start the node and wait until it takes connections."""
        with (self._home / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [self._program], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._environment, cwd="/",
                start_new_session=True, **self._who,
            )  # fmt: skip
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(AMQPError, OSError):
                pika.BlockingConnection(pika.URLParameters(self.url)).close()
                return
            time.sleep(0.1)
        told = (self._home / "out").read_text(errors="replace")[-2000:]
        self.close()
        raise BrokerMissing(f"the test broker did not start: {told}")

    def control(self, *words: str) -> str:
        """
        Run `rabbitmqctl` against the node, as an operator does, and again where a busy node refuses; return what it prints.

        Raises:
            BrokerMissing: it refuses; its own words.
        """
        for left in reversed(range(_CONTROLS)):
            done = subprocess.run(
                [self._program.with_name("rabbitmqctl"), "--quiet", "--timeout", str(_START_SECONDS), *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=self._environment,
                cwd="/",
                check=False,
                **self._who,
            )
            if not done.returncode:
                return done.stdout
            if left:
                time.sleep(1.0)
        raise BrokerMissing(f"rabbitmqctl {words[0]}: exit {done.returncode}: {done.stderr[-1000:]} {done.stdout[-1000:]}")

    def kill(self) -> None:
        """Kill the node, as a power cut would, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_START_SECONDS)

    def stop(self) -> None:
        """Stop the node as an operator does, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_START_SECONDS / 2)
        self.kill()

    def close(self) -> None:
        """Kill it and take its folder away: nothing of it is wanted."""
        self.kill()
        self._names.kill()
        self._names.wait(_START_SECONDS)
        shutil.rmtree(self._home, ignore_errors=True)


def sweep() -> None:
    """End the nodes and remove the folders that runs left which were killed."""
    for home in owned.left(_PREFIX):
        owned.removed(home, *owned.at_home(home))


@functools.cache
def shared() -> Node:
    """
    Return the node of this run, one for each process that tests; it ends with the process.

    Raises:
        BrokerMissing: there is none; says how to get one.
    """
    made = Node()
    atexit.register(made.close)
    return made


@functools.cache
def for_contracts() -> Broker:
    """
    Return the broker of the contract suites: the one that `TEST_AMQP_URL` names, else the run's own.

    Raises:
        BrokerMissing: as `shared`.
    """
    named = os.environ.get("TEST_AMQP_URL")
    if not named:
        return shared()
    made = Broker(named)
    made.prepare()
    return made


def look_for_program() -> Path | None:
    """The server's program on this machine."""
    # The script that Debian puts into the path changes to its own user and folders.
    for folder in ("/usr/lib/rabbitmq/bin", *os.environ.get("PATH", "").split(":")):
        path = Path(folder) / "rabbitmq-server"
        if path.is_file() and os.access(path, os.X_OK):
            return path
    return None


def _program() -> Path:
    found = look_for_program()
    if found is None:
        raise BrokerMissing(_HOW)
    return found


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("rabbitmq", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None
