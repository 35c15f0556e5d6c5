"""`dmp-gateway db`: make, check and back up the record store; tell what a restore lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from gateway.cli import console
from gateway.cli.data_option import data_option, json_option
from gateway.cli.db_backup import backup
from gateway.cli.db_missing import missing
from gateway.cli.db_retain import retain
from gateway.cli.reading import reading
from gateway.model.base import Model
from gateway.model.ports import FileUnusable
from gateway.store import checks
from gateway.store.port import StoreUnusable
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import database_url


class DatabaseState(Model, frozen=True, kw_only=True):
    """`db migrate`: how the record store's database is."""

    #: Host, port and name, without user and password.
    database: str
    #: Number of the schema's last migration; None where there is none.
    schema: int | None
    #: Migrations that were applied now.
    migrations: tuple[int, ...]
    #: Whether the gateway writes and reads under roles of its own, with no more rights than they need.
    roles: bool


class CheckLine(Model, frozen=True, kw_only=True):
    """A line of `db check`: one thing that must always be so."""

    #: `schema`, or the name of an invariant.
    invariant: str
    #: `ok` or `found`.
    state: str
    #: How many rows, or parts of the schema, are not as they must be.
    found: int
    #: Some of them: receipts, ids of statements or entries, numbers of patients; never an INS.
    ids: tuple[str, ...]
    #: What must be so, and what to do where it is not.
    meaning: str
    advice: str


@click.group()
def db() -> None:
    """
    Make, check and back up the record store; tell what a restore lost.

    \b
    The store is the file store.db of the data directory, or the PostgreSQL database that DATABASE_URL names:
      export DATABASE_URL=postgresql://gateway@db.example/dmp     password: PGPASSFILE or ~/.pgpass
      dmp-gateway db migrate
      dmp-gateway serve
    """  # noqa: D301 - click reads this mark


db.add_command(backup)
db.add_command(missing)
db.add_command(retain)


@db.command()
@json_option
def migrate(*, as_json: bool) -> None:
    """
    Bring the tables to this program's number, forward only; others that migrate at the same time wait.

    Run it as the owner of the database. `serve` does it by itself where its user may. An owner who may make roles also makes
    `dmp_gateway_write` and `dmp_gateway_read`, which the gateway then takes: neither may change what was stated, traced or
    refused; and `dmp_gateway_erase`, which `db retain` and the upkeep of `serve` take. A store.db is migrated by `serve`.
    """
    from gateway.store.postgres import migrations
    from gateway.store.postgres.connection import place

    url = database_url()
    if url is None:
        console.fail("DATABASE_URL names no database.", "export DATABASE_URL=postgresql://user@host/database")
    try:
        done = migrations.migrate(url)
    except StoreUnusable as unusable:
        console.fail(f"{unusable}.", "What was migrated before stays as it is.")
    if as_json:
        console.json_line(DatabaseState(database=place(url), schema=done.schema, migrations=done.applied, roles=done.roles))
        return
    applied = ", ".join(f"{number:04}" for number in done.applied)
    console.out.print(f"{place(url)}: schema {done.schema:04}, " + (f"applied {applied}." if applied else "nothing to apply."))
    if not done.roles:
        console.err.print("This user may not make roles: the gateway will work with this user's own rights.")


@db.command()
@data_option
@json_option
def check(*, data: Path, as_json: bool) -> None:
    """
    Check that the record store is whole and that what must always be so is so; change nothing.

    It may run while the gateway does: each line is one state of the store. Nothing that it prints is a patient's identity.

    \b
    Exit status: 0 nothing found, 1 something found or the store cannot be read.
    """  # noqa: D301 - click reads this mark
    directory = DataDirectory(data)
    found = False
    with console.progress(len(checks.INVARIANTS) + 1, "checked") as step:
        for line in _lines(directory):
            found |= line.state == "found"
            step(1)
            if as_json:
                console.json_line(line)
                continue
            state = f"FOUND {line.found}" if line.found else "ok"
            console.out.print(f"{state:<8}  {line.invariant:<20}  {line.meaning}")
            for each in line.ids:
                console.out.print(f"          {each}")
            if line.found:
                console.out.print(f"          What to do: {line.advice}")
    if found:
        raise SystemExit(1)


_SCHEMA: Final = "The tables are as this program's migrations leave them, and the database keeps what it commits."


def _lines(directory: DataDirectory) -> Iterator[CheckLine]:
    """Yield a line for the schema, and, where it can be asked, one for each invariant, as each is known."""
    differing, advice = _schema(directory)
    yield CheckLine(
        invariant="schema",
        state="found" if differing else "ok",
        found=len(differing),
        ids=differing[: checks.TOLD],
        meaning=_SCHEMA,
        advice=advice,
    )
    if any(line.startswith(("lacks ", "schema ")) for line in differing):
        console.err.print("The rows were not checked: their tables are another program's.")
        return
    with reading(directory) as reader:
        bounds = checks.Bounds.at(SystemClock().now())
        for invariant in checks.INVARIANTS:
            try:
                finding = checks.check_one(reader, invariant, bounds)
            except FileUnusable as unusable:
                console.fail(f"{unusable}.", _advice(unusable))
            yield CheckLine(
                invariant=invariant.name,
                state="found" if finding.found else "ok",
                found=finding.found,
                ids=finding.ids,
                meaning=invariant.meaning,
                advice=invariant.advice,
            )


def _advice(unusable: FileUnusable) -> str:
    if unusable.damaged:
        return "Stop the gateway, keep the damaged file, and restore the last backup."
    return "Look at the disk and at the rights of the file and its folder."


def _schema(directory: DataDirectory) -> tuple[tuple[str, ...], str]:
    """Return what is not as the migrations leave it, and what to do about it."""
    url = database_url()
    try:
        if url is not None:
            from gateway.store.postgres import migrations

            inspected = migrations.inspect(url)
            lacking = tuple(f"lacks migration {number:04}" for number in inspected.missing)
            return (
                *lacking,
                *inspected.differences,
            ), "`dmp-gateway db migrate` makes what is missing; undo what was added by hand."
        from gateway.store.sqlite.checks import inspect
        from gateway.store.sqlite.connection import migrations as files

        with reading(directory):
            pass
        layout, differing = inspect(directory.store)
    except StoreUnusable as unusable:
        console.fail(
            f"{unusable}.",
            "`dmp-gateway doctor` looks at the server and the way to it; `dmp-gateway db migrate` makes the tables.",
        )
    except FileUnusable as unusable:
        console.fail(f"{unusable}.", _advice(unusable))
    lacking = tuple(f"lacks migration {number:04}" for number, _ in files() if number > layout)
    return (*lacking, *differing), "`dmp-gateway serve` makes what is missing; restore a backup where the file is damaged."
