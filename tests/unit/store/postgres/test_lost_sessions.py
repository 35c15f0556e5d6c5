"""A session that was lost keeps no lock for longer than it takes to connect again, whatever the server knows of it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gateway.store.postgres.connection import NoAnswer, pool
from tests.harness import postgres
from tests.harness.netns_line import Line

pytestmark = pytest.mark.faults


@pytest.fixture
def table() -> Iterator[str]:
    """The URL of a database with a row to lock."""
    server = postgres.shared()
    name = server.create()
    with psycopg.connect(server.url(name), autocommit=True) as owner:
        owner.execute("CREATE TABLE thing (id int PRIMARY KEY)")
        owner.execute("INSERT INTO thing VALUES (1)")
    yield server.url(name)
    server.drop(name)


@pytest.mark.parametrize("copying", [True, False], ids=["in a COPY", "in a transaction"])
def test_a_new_connection_ends_the_session_that_was_lost(table: str, copying: bool) -> None:
    """The line between takes every byte and lives: only the number of the session ends it."""
    line = Line(int(conninfo_to_dict(table)["port"]))
    connections = pool(make_conninfo(table, port=line.port), "test", 0, 2)
    try:
        with psycopg.connect(table, autocommit=True) as other:
            with connections.connection() as lost:
                lost.execute("BEGIN")
                lost.execute("SELECT id FROM thing FOR NO KEY UPDATE")
                if copying:
                    # Held to the end, and never ended: forgotten, it would end itself.
                    begun = lost.cursor().copy("COPY thing FROM STDIN")
                    begun.__enter__()
                line.swallow()
                if copying:
                    lost.lost()  # what the wait for an answer says, as below
                else:
                    lost.answer_seconds = 0.3
                    with pytest.raises(NoAnswer):
                        lost.execute("SELECT 1")
                lost.close()
                other.execute("SET lock_timeout = '200ms'")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute("SELECT id FROM thing FOR NO KEY UPDATE")
                line.restore()
            with connections.connection() as again:
                again.execute("SELECT 1")
            other.execute("SET lock_timeout = '20s'")
            assert other.execute("SELECT id FROM thing FOR NO KEY UPDATE").fetchone() == (1,)
    finally:
        connections.close()
        line.close()


def test_a_session_of_somebody_else_is_left_alone(table: str) -> None:
    """Numbers are given again: whoever has it now says another name."""
    connections = pool(table, "test", 0, 2)
    try:
        with psycopg.connect(table, autocommit=True, application_name="psql") as other:
            with connections.connection() as lost:
                lost.lost()
                # The same number, by chance, of one that is not the gateway's.
                lost.execute("SELECT set_config('application_name', 'psql', FALSE)")
                with connections.connection() as again:
                    again.execute("SELECT 1")
                assert lost.execute("SELECT 1").fetchone() == (1,)
            assert other.execute("SELECT 1").fetchone() == (1,)
    finally:
        connections.close()
