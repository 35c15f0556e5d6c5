"""
`make demo-real`: the minute of `make demo` over a RabbitMQ node and a PostgreSQL server, both made for it and thrown away.

They are the servers of the tests: their own ports of the loopback interface, folders and process ids. Nothing is installed.
"""

import contextlib
import os
import signal
import subprocess
import sys

from tests.harness import postgres, rabbitmq

_HOW = (
    "To see it with several processes, install what is missing (Debian, Ubuntu: apt-get install rabbitmq-server postgresql; "
    "macOS: brew install rabbitmq postgresql), or name a broker and an empty database that may be thrown away:\n"
    "  AMQP_URL=amqp://… DATABASE_URL=postgresql://… .venv/bin/python -m gateway.demo --servers\n"
    "`make demo` needs no server: it shows the same in one process."
)
_END_SECONDS = 60.0


def missing() -> list[str]:
    """What this machine lacks."""
    programs = {
        "RabbitMQ's server program (rabbitmq-server)": rabbitmq.look_for_program(),
        "PostgreSQL's server programs (initdb, postgres)": postgres.look_for_programs(),
    }
    return [name for name, found in programs.items() if found is None]


def main() -> int:
    """Start the servers, tell the story, end them; return the exit status."""
    lacking = missing()
    if lacking:
        print(f"Missing: {' and '.join(lacking)}.\n{_HOW}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print("starting a RabbitMQ node and a PostgreSQL server, for this minute alone", flush=True)
    try:
        with contextlib.ExitStack() as servers:
            cluster = postgres.Cluster()
            servers.callback(cluster.close)
            node = rabbitmq.Node(prepared=False)
            servers.callback(node.close)
            return _story({"AMQP_URL": node.url, "DATABASE_URL": cluster.url(cluster.create())})
    except (postgres.ServerMissing, rabbitmq.BrokerMissing) as failure:
        print(failure, file=sys.stderr)
        return 1


def _story(servers: dict[str, str]) -> int:
    story = subprocess.Popen([sys.executable, "-m", "gateway.demo", "--servers"], env=os.environ | servers)
    try:
        return story.wait()
    finally:
        if story.poll() is None:
            story.terminate()
            story.wait(_END_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
