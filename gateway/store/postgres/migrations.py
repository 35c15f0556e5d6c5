"""The schema: numbered SQL files, forward only, one migrator at a time, checked at every start."""

import hashlib
import re
from importlib import resources
from typing import Final

import psycopg

from gateway.model.base import Model
from gateway.store.port import StoreUnusable
from gateway.store.postgres.connection import connected, opened, require_durable, unusable
from gateway.store.postgres.errors import told
from gateway.store.postgres.session import ROLES, Session

_NUMBERED: Final = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z_]+)\.sql")
_FOLDER: Final = "sql/postgres"
#: Key of the advisory lock that one migrator holds; it dies with its connection.
_ONE_MIGRATOR: Final = 0x646D7067_77736368

_DESCRIPTIONS: Final = ("describe_columns", "describe_constraints", "describe_indexes")


class SchemaUnusable(StoreUnusable):
    """The schema is newer than this program's, was changed, or is older and may not be migrated by this user."""


class Migration(Model, frozen=True, kw_only=True):
    """A numbered file."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """The hash that tells a file that was changed after it had been applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Migrated(Model, frozen=True, kw_only=True):
    """What a migration did."""

    #: Numbers applied now.
    applied: tuple[int, ...]
    #: The schema's number.
    schema: int
    #: Whether the writing and the reading role have their rights.
    roles: bool


class Inspected(Model, frozen=True, kw_only=True):
    """How a database is."""

    #: The schema's number; None where there is none.
    schema: int | None
    #: Numbers that it lacks.
    missing: tuple[int, ...]
    #: Whether the writing and the reading role have their rights.
    roles: bool
    #: Lines of `describe` that are too many (`+`) or missing (`-`); none while migrations are missing.
    differences: tuple[str, ...]


def migrations() -> tuple[Migration, ...]:
    """Return the numbered files in order."""
    found = []
    for entry in resources.files("gateway.store").joinpath(_FOLDER).iterdir():
        match = _NUMBERED.fullmatch(entry.name)
        if match:
            text = entry.read_text(encoding="utf-8")
            found.append(Migration(number=int(match["number"]), name=match["name"], text=text))
    return tuple(sorted(found, key=lambda each: each.number))


def migrate(url: str, *, upto: int | None = None) -> Migrated:
    """
    Bring the schema to this program's number, each file in a transaction of its own; others that do the same wait.

    Args:
        url: The database, as its owner.
        upto: The last number to apply; all without it.

    Raises:
        SchemaUnusable: newer than this program's, or a file was changed after it had been applied.
        DatabaseUnusable: it cannot be reached, or a file was refused.
    """
    applied = []
    try:
        with opened(url) as connection:
            session = Session(connection)
            session.run("no_time_limit")
            session.run("one_migrator", (_ONE_MIGRATOR,))
            session.run("make_migration_table")
            for migration in _missing(session):
                if upto is not None and migration.number > upto:
                    break
                _apply(session, migration)
                applied.append(migration.number)
            # The rights are those of the last schema: half-way there its tables are not there yet.
            roles = not _missing(session) and _give_rights(session)
            schema = max((number for number, _, _ in _applied(session)), default=0)
            session.run("next_migrator", (_ONE_MIGRATOR,))
    except psycopg.Error as failure:
        raise unusable(url, told(failure)) from None
    return Migrated(applied=tuple(applied), schema=schema, roles=roles)


def ready(url: str) -> None:
    """
    Check at a start that the database can be used: durable, and its schema this program's; an older one is migrated.

    Raises:
        SchemaUnusable: as `migrate`; an older schema that this user may not migrate.
        DatabaseUnusable: it cannot be reached, or does not keep what it commits.
    """
    try:
        with connected(url, application="dmp-gateway start") as session:
            require_durable(session, url)
            missing = _missing(session)
    except psycopg.Error as failure:
        raise unusable(url, told(failure)) from None
    if missing:
        migrate(url)


def inspect(url: str) -> Inspected:
    """
    Look at a database and change nothing.

    Raises:
        SchemaUnusable, DatabaseUnusable: as `ready`.
    """
    try:
        with opened(url) as connection:
            session = Session(connection)
            require_durable(session, url)
            absent = tuple(migration.number for migration in _missing(session))
            applied = _applied(session)
            roles = all((session.one("role_usable", {"role": role}) or (False,))[0] for role in ROLES)
            found = set() if absent else set(_described(session))
    except psycopg.Error as failure:
        raise unusable(url, told(failure)) from None
    expected = set() if absent else set(described())
    return Inspected(
        schema=applied[-1][0] if applied else None,
        missing=absent,
        roles=roles,
        differences=(*(f"+ {line}" for line in sorted(found - expected)), *(f"- {line}" for line in sorted(expected - found))),
    )


def described() -> tuple[str, ...]:
    """Return the schema as the migrations leave it, in the lines of `describe`."""
    text = resources.files("gateway.store").joinpath(_FOLDER, "schema.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def describe(url: str) -> tuple[str, ...]:
    """Return the schema as it is, a line per column, constraint and index: two that are the same have the same lines."""
    try:
        with opened(url) as connection:
            return _described(Session(connection))
    except psycopg.Error as failure:
        raise unusable(url, told(failure)) from None


def _described(session: Session) -> tuple[str, ...]:
    return tuple("|".join(map(str, row)) for name in _DESCRIPTIONS for row in session.all(name))


def _applied(session: Session) -> list[tuple[int, str, str]]:
    there = session.one("migration_table_there")
    if there is None or not there[0]:
        return []
    return [(row[0], row[1], row[2]) for row in session.all("applied_migrations")]


def _missing(session: Session) -> list[Migration]:
    known = {migration.number: migration for migration in migrations()}
    applied = _applied(session)
    for number, name, sha256 in applied:
        if number not in known:
            raise SchemaUnusable(f"schema {number} is newer than this program's {max(known)}: start the newer program")
        if sha256 != known[number].sha256:
            raise SchemaUnusable(f"migration {number:04} {name} is not the one that was applied here: this program was changed")
    done = {number for number, _, _ in applied}
    return [migration for number, migration in known.items() if number not in done]


def _apply(session: Session, migration: Migration) -> None:
    session.run("begin")
    try:
        session.script("migration", migration.text)
        session.run("note_migration", (migration.number, migration.name, migration.sha256))
        session.commit()
    except BaseException:
        session.abandon()
        raise


def _give_rights(session: Session) -> bool:
    """Make the roles and give them their rights, where this user may; an operator can do it by hand (`roles.sql`)."""
    (may,) = session.one("may_make_roles") or (False,)
    if not may:
        return False
    text = resources.files("gateway.store").joinpath(_FOLDER, "roles.sql").read_text(encoding="utf-8")
    session.run("begin")
    try:
        session.script("roles", text)
        session.commit()
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject):  # another database of this server is migrated too
        session.abandon()
        return _give_rights(session)
    except BaseException:
        session.abandon()
        raise
    return True
