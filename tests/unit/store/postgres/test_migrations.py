"""The schema: numbered, forward only, one migrator at a time; what is newer or changed is refused (D-12, D-14)."""

import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gateway.store.postgres import migrations
from gateway.store.postgres.connection import DatabaseUnusable, connected
from gateway.store.postgres.migrations import SchemaUnusable, describe, described, inspect, migrate
from gateway.store.postgres.reader import PostgresReader
from gateway.store.postgres.store import PostgresStore
from tests.contract.store.backends import Postgres
from tests.harness import postgres
from tests.strategies.records import Ticking

#: The numbers of all migrations.
ALL = tuple(migration.number for migration in migrations.migrations())


def execute(url: str, text: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []


def test_a_schema_from_scratch_is_the_schema_by_replayed_migrations(empty: str) -> None:
    known = [migration.number for migration in migrations.migrations()]
    assert known == list(range(1, len(known) + 1))
    for number in known:
        assert migrate(empty, upto=number).applied == (number,)
    replayed = describe(empty)
    server = postgres.shared()
    scratch = server.url(server.create())
    assert migrate(scratch).applied == tuple(known)
    assert describe(scratch) == replayed == described()


def test_migrating_again_does_nothing_and_a_check_changes_nothing(empty: str) -> None:
    before = inspect(empty)
    assert (before.schema, before.missing, before.differences) == (None, ALL, ())
    migrate(empty)
    assert migrate(empty).applied == ()
    after = inspect(empty)
    assert (after.schema, after.missing, after.roles, after.differences) == (ALL[-1], (), True, ())


def test_many_that_start_at_once_migrate_once(empty: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: migrate(empty).applied, range(6)))
    assert sorted(done) == [(), (), (), (), (), ALL]
    assert execute(empty, "SELECT count(*) FROM schema_migration") == [(len(ALL),)]


def test_a_store_makes_its_tables_in_an_empty_database(empty: str) -> None:
    PostgresStore(empty, Ticking()).close()
    assert inspect(empty).missing == ()


def test_a_newer_schema_refuses_to_start(empty: str) -> None:
    migrate(empty)
    execute(empty, "INSERT INTO schema_migration (number, name, sha256) VALUES (9999, 'later', '')")
    with pytest.raises(SchemaUnusable, match="newer"):
        PostgresStore(empty, Ticking())
    with pytest.raises(SchemaUnusable, match="newer"):
        migrate(empty)


def test_a_changed_migration_refuses_to_start(empty: str) -> None:
    migrate(empty)
    execute(empty, "UPDATE schema_migration SET sha256 = 'x'")
    with pytest.raises(SchemaUnusable, match="0001"):
        PostgresStore(empty, Ticking())


def test_a_migration_that_fails_leaves_nothing(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, *_) = migrations.migrations()
    broken = migrations.Migration(number=2, name="broken", text="CREATE TABLE half (x int); SELECT 1 / 0")
    monkeypatch.setattr(migrations, "migrations", lambda: (first, broken))
    with pytest.raises(DatabaseUnusable, match="22012"):
        migrate(empty)
    assert execute(empty, "SELECT number FROM schema_migration") == [(1,)]
    assert execute(empty, "SELECT to_regclass('half')") == [(None,)]


def test_what_was_changed_by_hand_is_told(empty: str) -> None:
    migrate(empty)
    execute(empty, "DROP INDEX document_set")
    (difference,) = inspect(empty).differences
    assert difference.startswith("- document|document_set|")


def test_entries_are_partitioned_by_patient_from_the_first_migration(empty: str) -> None:
    migrate(empty)
    assert execute(empty, "SELECT count(*), min(partstrat::text) FROM pg_partitioned_table, pg_partition_tree('entry')") == [
        (17, "h")
    ]


# -- rights


def test_the_reading_role_cannot_write(bench: Postgres) -> None:
    with PostgresReader(bench.url) as reader, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader._session.run("new_patient", ("",))
    with bench._connected() as connection:
        connection.execute("SET ROLE dmp_gateway_read")
        for table in postgres.keys(connection):
            for text in (f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(text)
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (1,)


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE trace SET rule = ''",
        "DELETE FROM trace",
        "UPDATE statement SET position = 'allows'",
        "DELETE FROM statement",
        "DELETE FROM binding",
        "UPDATE binding SET patient = 2",
        "UPDATE receipt SET verdict = 'stored'",
        "DELETE FROM refusal",
        "DELETE FROM document",
        "UPDATE document SET entry = ''",
        "UPDATE source_part SET bytes = ''",
        "DELETE FROM patient",
        "CREATE TABLE mine (x int)",
        "UPDATE schema_migration SET number = 9",
    ],
)
def test_the_writing_role_cannot_change_what_was_said_and_done(bench: Postgres, text: str) -> None:
    with connected(bench.url, application="test") as session:
        assert session._connection.execute("SELECT current_user").fetchone() == ("dmp_gateway_write",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session._connection.execute(text)


def test_a_session_is_told_how_long_it_may_wait(bench: Postgres) -> None:
    with connected(bench.url, application="dmp-gateway test") as session:
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "application_name")
        told = [session._connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0] for name in names]
    assert told == ["5s", "30s", "30s", "dmp-gateway test"]


@pytest.mark.parametrize(("setting", "value"), [("synchronous_commit", "off")])
def test_a_server_that_forgets_commits_is_refused(empty: str, setting: str, value: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(empty)["dbname"]
    execute(empty, f'ALTER DATABASE "{name}" SET {setting} = {value}')
    with pytest.raises(DatabaseUnusable, match="synchronous_commit"):
        PostgresStore(empty, Ticking())


def test_a_database_of_another_encoding_is_refused() -> None:
    server = postgres.shared()
    with psycopg.connect(server.admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE dmpgw_latin TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
        try:
            with pytest.raises(DatabaseUnusable, match="UTF8"):
                PostgresStore(server.url("dmpgw_latin"), Ticking())
        finally:
            connection.execute("DROP DATABASE dmpgw_latin WITH (FORCE)")


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnusable) as caught:
        PostgresStore("postgresql://someone:secret@127.0.0.1:1/dmp", Ticking())
    assert "127.0.0.1:1" in str(caught.value) and "secret" not in str(caught.value) and "someone" not in str(caught.value)


def test_a_store_that_is_emptied_has_no_row_in_any_table(empty: str) -> None:
    """The tests' own way of emptying one names its tables."""
    migrate(empty)
    with psycopg.connect(empty) as connection:
        named = set(re.findall(r"DELETE FROM (\w+);", postgres._DELETE))
        assert set(postgres.keys(connection)) == named
