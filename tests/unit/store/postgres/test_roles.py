"""Three roles, each with the rights that its statements need and no more: who writes takes nothing away (least privilege)."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from gateway.store.postgres.connection import DatabaseUnusable, connected
from gateway.store.postgres.migrations import ready
from gateway.store.postgres.reader import PostgresReader
from gateway.store.postgres.session import ROLES
from tests.contract.store.backends import Postgres

#: What deposits and events take away: a parked deposit that is judged, with its receipt; entries of a deleted document;
#: a suspension that ended.
TAKEN_BY_WRITING = {"parked", "parked_identifier", "receipt", "entry", "suspended_link"}
#: What even the upkeep leaves: the tombstone of a patient, its record, the slots, when it ran, what the lanes passed, the schema.
LEFT_BY_ALL = {"patient", "record", "gate", "upkeep", "lane_day", "schema_migration"}


def may_delete(bench: Postgres, role: str) -> set[str]:
    with bench._connected() as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition AND has_table_privilege(%s, oid, 'DELETE')",
            (role,),
        )
        return {row[0] for row in rows}


def test_who_may_take_rows_away(bench: Postgres) -> None:
    with bench._connected() as connection:
        everything = {
            row[0]
            for row in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
                " AND NOT relispartition"
            )
        }
    assert may_delete(bench, "dmp_gateway_read") == set()
    assert may_delete(bench, "dmp_gateway_write") == TAKEN_BY_WRITING
    assert may_delete(bench, "dmp_gateway_erase") == everything - LEFT_BY_ALL


@pytest.mark.parametrize("table", ["trace", "statement", "binding", "document", "source_part", "refusal", "outbox", "upkeep"])
def test_the_writing_role_takes_nothing_away(bench: Postgres, table: str) -> None:
    with connected(bench.url, application="test") as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session._connection.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO statement (id) VALUES ('')",
        "INSERT INTO receipt SELECT * FROM receipt",
        "INSERT INTO document SELECT * FROM document",
        "INSERT INTO binding SELECT * FROM binding",
        "UPDATE document SET state = 'current'",
        "UPDATE trace SET actor = ''",
        "UPDATE receipt SET verdict = 'stored'",
        "UPDATE identifier SET patient = 1",
        "UPDATE patient SET merged_into = 1",
        "TRUNCATE trace",
    ],
)
def test_the_erasing_role_neither_states_nor_stores(bench: Postgres, text: str) -> None:
    with connected(bench.url, application="test", role="dmp_gateway_erase") as session:
        assert session._connection.execute("SELECT current_user").fetchone() == ("dmp_gateway_erase",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session._connection.execute(text)


@pytest.mark.parametrize(
    ("role", "text"),
    [
        *[(role, "SELECT bytes FROM source_part") for role in ROLES],
        *[
            (role, f"SELECT {column} FROM {table}")
            for role in ("dmp_gateway_read", "dmp_gateway_erase")
            for table, column in (("parked", "sealed"), ("parked", "identifiers"), ("parked_identifier", "value"))
        ],
    ],
)
def test_content_and_what_is_parked_are_read_by_who_needs_them(bench: Postgres, role: str, text: str) -> None:
    with connected(bench.url, application="test", role=role) as session:
        assert session._connection.execute("SELECT current_user").fetchone() == (role,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session._connection.execute(text)


def test_a_user_that_owns_nothing_works_with_the_three_roles_alone(bench: Postgres) -> None:
    with bench._connected() as connection:
        connection.execute("CREATE ROLE dmp_gateway_test_user LOGIN")
        try:
            url = make_conninfo(bench.url, user="dmp_gateway_test_user")
            with pytest.raises(
                DatabaseUnusable, match="42501, this user has not the rights; as the owner: GRANT dmp_gateway_write"
            ):
                ready(url)
            connection.execute("GRANT dmp_gateway_write, dmp_gateway_read, dmp_gateway_erase TO dmp_gateway_test_user")
            ready(url)
            for role in ROLES:
                with connected(url, application="test", role=role) as session:
                    assert session._connection.execute("SELECT current_user").fetchone() == (role,)
            with PostgresReader(url) as reader:
                assert reader.deposits({"state": "stored"}, limit=1) == []
        finally:
            connection.execute("DROP ROLE dmp_gateway_test_user")


def test_the_roles_are_those_that_sessions_take() -> None:
    assert list(ROLES) == ["dmp_gateway_write", "dmp_gateway_read", "dmp_gateway_erase"]
