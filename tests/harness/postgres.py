"""
A PostgreSQL server for the tests alone: made, used and thrown away with its own port, folder and unprivileged user.

`TEST_DATABASE_URL`, where it is set, serves the contract suites instead, in databases that the run makes and drops; it is never
killed, and its files are not read. `DATABASE_URL` is never touched.

`python -m tests.harness.postgres` sees to it that the server's programs are there, before a run begins: it installs them where it
may, else it says how to get them and fails.
"""

import atexit
import contextlib
import fcntl
import functools
import getpass
import itertools
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from gateway.store.postgres.migrations import migrate
from gateway.store.postgres.session import ROLES
from tests.harness import owned
from tests.harness.ports import free_ports

_HOW: Final = (
    "the tests need PostgreSQL's server programs (initdb, postgres), version 13 or later; they start a server of their own and "
    "throw it away. Install them (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; "
    "macOS: brew install postgresql), or put the folder that holds initdb and postgres on PATH"
)
#: Where Debian keeps the programs of each version.
_DEBIAN: Final = Path("/usr/lib/postgresql")
_PREFIX: Final = "dmpgw-pg-"
_START_SECONDS: Final = 30
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "max_connections": "60",
    "shared_buffers": "64MB",
    # Nothing happens but what a test does.
    "autovacuum": "off",
    "jit": "off",
    "max_wal_size": "1GB",
    "log_min_messages": "fatal",
    # Every error's text goes to the log: a test would not notice, an operator's would.
    "log_min_error_statement": "panic",
}


class ServerMissing(Exception):
    """No server can be had; says how to get one."""


class Server:
    """Makes databases with the gateway's schema, hands them out empty, and takes them back."""

    def __init__(self, admin: str, folder: Path | None = None) -> None:
        self.admin = admin
        #: Where the server keeps its files; None for one that is not ours.
        self.folder = folder
        self._numbers = itertools.count(1)
        #: Databases that wait, by whether nothing of their past is left in their files.
        self._free: dict[bool, list[str]] = {True: [], False: []}
        self._made: list[str] = []
        self._template: str | None = None
        self._lock = threading.Lock()
        #: Roles that were there before; the gateway's own migrations may make others, of the whole server.
        self._roles: frozenset[str] | None = None

    def url(self, database: str) -> str:
        """Where a database is."""
        return psycopg.conninfo.make_conninfo(self.admin, dbname=database)

    def create(self, *, template: str | None = None) -> str:
        """Make a database, without tables unless a template has them; return its name."""
        name = f"dmpgw_test_{os.getpid()}_{next(self._numbers)}"
        copied = sql.SQL("TEMPLATE {}").format(sql.Identifier(template or "template0"))
        with psycopg.connect(self.admin, autocommit=True) as connection:
            if self._roles is None:
                self._roles = frozenset(row[0] for row in connection.execute("SELECT rolname FROM pg_roles"))
            connection.execute(sql.SQL("CREATE DATABASE {} {} ENCODING 'UTF8'").format(sql.Identifier(name), copied))
        self._made.append(name)
        return name

    def drop(self, name: str) -> None:
        """Drop a database and whoever is connected to it."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.remove(name)

    def lend(self, *, clean: bool = True) -> str:
        """Return the URL of a database with an empty store, clean: in its files, too; give it back."""
        with self._lock:
            if self._free[clean]:
                return self.url(self._free[clean].pop())
            if self._template is None:
                self._template = self.create()
                migrate(self.url(self._template))
            return self.url(self.create(template=self._template))

    def give_back(self, url: str, *, thoroughly: bool = True) -> None:
        """Empty a database and keep it for the next; thoroughly: nothing of it is left in its files."""
        with psycopg.connect(url, autocommit=True) as connection:
            wipe(connection, thoroughly=thoroughly)
            name = connection.info.dbname
        with self._lock:
            self._free[thoroughly].append(name)

    def raw(self, connection: psycopg.Connection, begun: str) -> bytes:
        """Every byte of a database and of the server's log since a place in it; of a server that is not ours, its rows."""
        if self.folder is None:
            tables = [
                connection.execute(sql.SQL("TABLE {}").format(sql.Identifier(name))).fetchall() for name in keys(connection)
            ]
            return b"\n".join(
                value if isinstance(value, bytes) else str(value).encode() for rows in tables for row in rows for value in row
            )
        connection.execute("CHECKPOINT")
        files = connection.execute(
            "SELECT pg_relation_filepath(oid) FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'i', 't', 'S')"
        ).fetchall()
        (last,) = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        (first, offset), (final, end) = (
            connection.execute("SELECT * FROM pg_walfile_name_offset(%s)", (place,)).fetchone() for place in (begun, last)
        )
        found = [path.read_bytes() for (name,) in files for path in sorted(self.folder.glob(f"{name}*"))]
        # Beyond the place of writing lies what the log held when the file was last used.
        log = [path for path in sorted((self.folder / "pg_wal").glob("0*")) if first <= path.name <= final]
        spans = [(offset if path.name == first else 0, end if path.name == final else None) for path in log]
        found.extend(path.read_bytes()[slice(*span)] for path, span in zip(log, spans, strict=True))
        return b"".join(found)

    def close(self) -> None:
        """Drop every database that was made, and the roles that came with them unless somebody uses them by now."""
        for name in list(self._made):
            self.drop(name)
        if self._roles is None:
            return
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for role in ROLES:
                if role not in self._roles:
                    with contextlib.suppress(psycopg.Error):
                        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


#: What is not a store's data.
_FIXED: Final = ("gate", "schema_migration")


def keys(connection: psycopg.Connection) -> dict[str, list[str]]:
    """The tables of a store and the columns of their keys."""
    return dict(
        connection.execute(
            "SELECT c.relname, array_agg(a.attname ORDER BY k.place) FROM pg_class c"
            " JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
            " CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place)"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number"
            " WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition AND c.relname <> ALL (%s)"
            " GROUP BY c.relname",
            (list(_FIXED),),
        ).fetchall()
    )


def wipe(connection: psycopg.Connection, *, thoroughly: bool) -> None:
    """Take every row out of a store, and begin every number at 1 again."""
    if not thoroughly:
        connection.execute(_DELETE)
        return
    tables = [
        row[0]
        for row in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition AND relname <> ALL (%s)"
            " AND (pg_relation_size(oid) > 0 OR EXISTS (SELECT FROM pg_partition_tree(oid) WHERE pg_relation_size(relid) > 0))",
            (list(_FIXED),),
        )
    ]
    if tables:
        named = sql.SQL(", ").join(map(sql.Identifier, tables))
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(named))


#: In the order that the foreign keys ask for.
_DELETE: Final = (
    "DELETE FROM link; DELETE FROM reference; DELETE FROM merge; DELETE FROM suspended_link; DELETE FROM stay;"
    " DELETE FROM document_move; DELETE FROM document_identifier; DELETE FROM outbox; DELETE FROM parked_identifier;"
    " DELETE FROM upkeep; DELETE FROM entry; DELETE FROM lane_day;"
    " DELETE FROM binding; DELETE FROM statement_identifier; DELETE FROM statement; DELETE FROM identifier; DELETE FROM record;"
    " DELETE FROM document; DELETE FROM mark; DELETE FROM source_part; DELETE FROM source_form; DELETE FROM receipt;"
    " DELETE FROM refusal; DELETE FROM parked; DELETE FROM task; DELETE FROM trace; DELETE FROM patient;"
    " ALTER SEQUENCE patient_id_seq RESTART; ALTER SEQUENCE statement_sequence_seq RESTART;"
    " ALTER SEQUENCE task_id_seq RESTART; ALTER SEQUENCE outbox_id_seq RESTART; ALTER SEQUENCE trace_sequence_seq RESTART"
)


class Cluster(Server):
    """
    A server of our own, as long as the object is open.

    Args:
        disk: A folder that its data goes to; None: beside its log.
        wal: A folder that its write-ahead log goes to; None: with its data.
        settings: More settings of the server.
    """

    def __init__(self, *, disk: Path | None = None, wal: Path | None = None, settings: dict[str, str] | None = None) -> None:
        programs = find_programs()
        user = _unprivileged_user()
        sweep()
        self._home = owned.made(_PREFIX)
        (self.port,) = free_ports(1)
        self._settings = {**_SETTINGS, **(settings or {}), "port": self.port}
        data = (disk or self._home) / "data"
        apart = [] if wal is None else [f"--waldir={wal / 'wal'}"]
        who = {}
        if user is not None:
            for folder in filter(None, (self._home, disk, wal)):
                os.chown(folder, user.pw_uid, user.pw_gid)
            who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", *apart],
            check=True, capture_output=True, env=clean, cwd="/", **who,
        )  # fmt: skip
        self._who, self._clean, self._programs, self._data = who, clean, programs, data
        super().__init__(f"postgresql://tests@127.0.0.1:{self.port}/postgres", data)
        # The server ends with the thread that started it: one that lives as long as this object.
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="test-server")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        bound = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        with (self._home / "log").open("ab") as log:
            self._process = self._keeper.submit(
                subprocess.Popen, [*bound, self._programs / "postgres", "-D", self._data, *options],
                stdout=log, stderr=log, env=self._clean, cwd="/", **self._who,
            ).result()  # fmt: skip
        self._wait()

    def stop(self) -> None:
        """Stop the server as for a fast restart: open transactions are rolled back, sessions ended."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_START_SECONDS)

    def backends(self) -> list[int]:
        """The processes that serve clients, apart from the one that asks."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return [row[0] for row in found]

    def kill_session(self, chance: random.Random) -> None:
        """Kill the process of one client's session, as a machine without memory does; wait until the server is back."""
        with contextlib.suppress(psycopg.Error, IndexError, ProcessLookupError):
            os.kill(chance.choice(self.backends()), signal.SIGKILL)
        self._wait()

    def kill(self) -> None:
        """Kill every process of the server, as a power cut would, and wait until they are gone."""
        pids = [self.pid, *_children(self.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(_START_SECONDS)
        until = time.monotonic() + _START_SECONDS
        while any(owned.began(pid) for pid in pids) and time.monotonic() < until:
            time.sleep(0.01)

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def close(self) -> None:
        """Stop the server at once and take its folder away: nothing of it is wanted."""
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(_START_SECONDS)
        finally:
            self._keeper.shutdown()
            shutil.rmtree(self._home, ignore_errors=True)

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.admin, connect_timeout=2):
                return
            time.sleep(0.05)
        told = (self._home / "log").read_text(errors="replace")[-2000:]
        self.close()
        raise ServerMissing(f"the test server did not start: {told}")


@functools.cache
def shared() -> Cluster:
    """
    Return the server of this run, one for each process that tests; it ends with the process.

    Raises:
        ServerMissing: there is none and none can be installed; says how to get one.
    """
    made = Cluster()
    atexit.register(made.close)
    return made


@functools.cache
def for_contracts() -> Server:
    """
    Return the server of the contract suites: the one that `TEST_DATABASE_URL` names, else the run's own.

    Raises:
        ServerMissing: as `shared`.
    """
    named = os.environ.get("TEST_DATABASE_URL")
    if not named:
        return shared()
    made = Server(named)
    atexit.register(made.close)
    return made


def find_programs() -> Path:
    """
    Return the folder of the newest server programs of this machine, installing them where that can be done: as root on Debian.

    Raises:
        ServerMissing: says how to get them.
    """
    found = look_for_programs()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # One at a time: several processes of a run may come here together.
        with (Path(tempfile.gettempdir()) / "dmpgw-install.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = look_for_programs() or _install()
    if found is None:
        raise ServerMissing(_HOW)
    return found


def _install() -> Path | None:
    print("PostgreSQL's server programs are not there: installing them with apt-get", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "--no-install-recommends", "postgresql"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}", file=sys.stderr, flush=True)
    return look_for_programs()


def look_for_programs() -> Path | None:
    """The folder of the newest initdb and postgres of this machine."""
    folders = sorted(
        (each for each in _DEBIAN.glob("*/bin") if each.parent.name.isdigit()), key=lambda each: -int(each.parent.name)
    )
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists()), None)


def sweep() -> None:
    """
    Stop the servers and remove the folders that runs left which were killed.

    The server is ended by the process id in its own folder, if that process works in this folder.
    """
    for home in owned.left(_PREFIX):
        found: list[int] = []
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
            if Path(f"/proc/{pid}/cwd").resolve() == (home / "data").resolve():
                found = [pid, *_children(pid)]
        owned.removed(home, *found)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Who runs the server: postgres refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerMissing(f"{getpass.getuser()} needs an unprivileged user (postgres or nobody) to run a test server")


def main() -> int:
    """See to it that the programs are there; return the exit status."""
    try:
        find_programs()
        _unprivileged_user()
    except ServerMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
