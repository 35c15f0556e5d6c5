"""A PostgreSQL server in a namespace of its own, at the far end of a cable that can be pulled out."""

import contextlib
import socket
import time
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from gateway.store.postgres.connection import connected
from tests.harness.netns import FAR, NEAR, Apart
from tests.harness.netns_line import Line
from tests.harness.postgres import Cluster

_SECONDS: Final = 120.0


class FarCluster(Cluster):
    """A server that the near end reaches over the cable, and this process without it."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._way: Line | None = None
        super().__init__(settings={"listen_addresses": f"127.0.0.1,{FAR}"})

    def start(self) -> None:
        if self._way is None:
            # Whoever starts the server has entered: it listens in there.
            self._keeper.submit(self._apart.far.enter).result()
            with (self._data / "pg_hba.conf").open("a", encoding="ascii") as rules:
                rules.write(f"host all all {NEAR}/32 trust\n")
            self._way = Line(self._apart.far.dial(self.port), listener=socket.create_server(("127.0.0.1", self.port)))
        super().start()

    def over_the_cable(self, url: str) -> str:
        """Return how the near end reaches a database."""
        return make_conninfo(url, host=FAR)

    def close(self) -> None:
        super().close()
        if self._way is not None:
            self._way.close()


def freed_after(apart: Apart, cluster: FarCluster, *, copying: bool) -> float:
    """
    Lock a row over the cable, pull it out, and return after how many seconds another session has the lock.

    Args:
        apart: The namespaces.
        cluster: The server.
        copying: In the middle of a COPY, where the server counts no idle time.
    """
    url = cluster.url(cluster.create())
    with psycopg.connect(url, autocommit=True) as here:
        here.execute("CREATE TABLE thing (id int PRIMARY KEY)")
        here.execute("INSERT INTO thing VALUES (1)")
        with contextlib.ExitStack() as stack:
            session = apart.near.inside(
                lambda: stack.enter_context(connected(cluster.over_the_cable(url), application="test", role=""))
            )
            there = session._connection
            there.execute("BEGIN")
            there.execute("SELECT id FROM thing FOR NO KEY UPDATE")
            if copying:
                there.pgconn.send_query(b"COPY thing FROM STDIN")
                there.pgconn.get_result()
            apart.pull()
            try:
                begun = time.monotonic()
                here.execute(f"SET lock_timeout = {int(_SECONDS * 1000)}")
                here.execute("SELECT id FROM thing FOR NO KEY UPDATE")
                return time.monotonic() - begun
            finally:
                apart.plug()
