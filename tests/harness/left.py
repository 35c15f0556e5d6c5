"""Every byte that a broker, a database and a gateway may have left: what is searched, and how each kind of file comes about."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, LiteralString

import psycopg

from tests.harness.canaries import Canaries, Found, files
from tests.harness.postgres import Cluster
from tests.harness.rabbitmq import Node

_DUMP_SECONDS: Final = 60.0


def home(node: Node) -> Path:
    """Return the folder of a node: its data, logs, crash dumps and what it said."""
    return node.data.parent


def crash(node: Node) -> Path:
    """Let a node die of an internal fault, as its own signal for it does; return the dump that it leaves."""
    (process,) = [pid for pid in _pids() if _works_for(pid, node)]
    os.kill(process, signal.SIGUSR1)
    limit = time.monotonic() + _DUMP_SECONDS
    while Path(f"/proc/{process}").exists() and _state(process) != "Z" and time.monotonic() < limit:
        time.sleep(0.05)
    node.kill()
    (dump,) = home(node).rglob("erl_crash.dump")
    return dump


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _works_for(pid: int, node: Node) -> bool:
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"beam" in command.split(b"\0")[0] and os.fsencode(home(node)) in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


class Database:
    """
    What a database leaves: its heap, indexes and TOAST, the write-ahead log from now on, temporary files, the server's log.

    Every statement with all its values is logged from now on, as on the worst of servers.
    """

    def __init__(self, server: Cluster, url: str) -> None:
        assert server.folder is not None
        self.folder = server.folder
        self._log = server.folder.parent / "log"
        self._said = self._log.stat().st_size
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            (self._number, self._begun) = _one(
                connection,
                "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()), pg_current_wal_insert_lsn()::text",
            )
            for setting in _LOUD:
                connection.execute(setting.encode() % connection.info.dbname.encode())

    def quiet(self) -> None:
        """Log as before."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(b'ALTER DATABASE "%s" RESET ALL' % connection.info.dbname.encode())

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Yield every piece with its name."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            first, offset = _one(connection, f"SELECT * FROM pg_walfile_name_offset('{self._begun}')")
            last, end = _one(connection, "SELECT * FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())")
        for path in files(self.folder / "base" / str(self._number), self.folder / "base" / "pgsql_tmp"):
            # A temporary file may go while it is looked for.
            with contextlib.suppress(FileNotFoundError):
                yield str(path), path.read_bytes()
        for path in sorted((self.folder / "pg_wal").glob("0*")):
            if first <= path.name <= last:
                begin, stop = offset if path.name == first else 0, end if path.name == last else None
                yield str(path), path.read_bytes()[begin:stop]
        yield str(self._log), self._log.read_bytes()[self._said :]

    def search(self, canaries: Canaries, part: str = "") -> list[Found]:
        """Return every mark in it, or in those pieces whose name holds a part."""
        return [found for name, data in self.pieces() if part in name for found in canaries.search(data, name)]


_LOUD: Final = (
    "ALTER DATABASE \"%s\" SET log_min_messages = 'log'",
    "ALTER DATABASE \"%s\" SET log_min_error_statement = 'error'",
    "ALTER DATABASE \"%s\" SET log_statement = 'all'",
    'ALTER DATABASE "%s" SET log_parameter_max_length = -1',
    'ALTER DATABASE "%s" SET log_parameter_max_length_on_error = -1',
    'ALTER DATABASE "%s" SET log_min_duration_statement = 0',
)


def _one(connection: psycopg.Connection, query: LiteralString | str) -> tuple[str, int]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0], row[1]
