"""`dmp-gateway db backup`: a copy of store.db that is whole while the gateway writes."""

import time
from pathlib import Path

import click

from gateway.cli import console
from gateway.cli.data_option import data_option, json_option
from gateway.cli.reading import require_store
from gateway.model.base import Model
from gateway.model.ports import FileUnusable
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import database_url


class BackupMade(Model, frozen=True, kw_only=True):
    """`db backup --json`: what was made."""

    file: str
    #: Number of the schema's last migration.
    schema: int
    #: Bytes.
    size: int
    #: The last decision that it holds, ISO 8601 UTC: after a restore `db missing` tells what was acknowledged later.
    decided_until: str | None
    seconds: float


@click.command(short_help="Copy store.db, whole, while the gateway writes.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@data_option
@json_option
def backup(*, file: Path, data: Path, as_json: bool) -> None:
    """
    Copy store.db into FILE: one state of it, checked, on disk, readable by its user alone. It never writes over a file.

    The gateway may run. What waits in queue.db and the keys are not in it, and must not be: keys lie outside every backup (D-7).
    Restoring, and backing up a PostgreSQL store, is told in docs/operations.md.

    \b
    Example:
      dmp-gateway db backup /srv/backup/store-$(date -u +%Y%m%dT%H%M).db
    """  # noqa: D301 - click reads this mark
    url = database_url()
    if url is not None:
        from gateway.store.postgres.connection import place

        console.fail(
            f"The record store is the {place(url)}: its own tools back it up.",
            'pg_dump --format=custom --no-owner --file=FILE --dbname="$DATABASE_URL"    one state, any time\n'
            "pg_basebackup with an archive of the WAL                                 to any instant; see docs/operations.md",
        )
    from gateway.store.sqlite.backup import BackupFailed, back_up

    directory = DataDirectory(data)
    require_store(directory)
    if not file.absolute().parent.is_dir():
        console.fail(f"{file.absolute().parent} is no folder.", "Make it first, readable by the gateway's user alone.")
    begun = time.monotonic()
    try:
        with console.progress(1000, "copied") as step:
            shown = 0

            def told(copied: int, total: int) -> None:
                nonlocal shown
                now = copied * 1000 // max(total, 1)
                step(now - shown)
                shown = now

            made = back_up(directory.store, file.absolute(), told)
    except FileExistsError:
        console.fail(f"{file} is there already.", "Give another name: a backup never replaces a file.")
    except FileUnusable as unusable:
        console.fail(f"{unusable}.", "`dmp-gateway db check` tells more.")
    except BackupFailed as failed:
        console.fail(
            f"The copy is not whole ({failed}): it was thrown away.", "Run `dmp-gateway db check`: the store may be damaged."
        )
    except OSError as failure:
        console.fail(f"{file} cannot be written: {failure.strerror or failure}.", "Make room, or choose another place.")
    told_of = BackupMade(
        file=str(file),
        schema=made.schema,
        size=made.size,
        decided_until=made.decided_until,
        seconds=round(time.monotonic() - begun, 3),
    )
    if as_json:
        console.json_line(told_of)
        return
    until = f"decisions until {made.decided_until}" if made.decided_until else "no decision yet"
    console.out.print(f"{file}: schema {made.schema}, {made.size // 1024} kB, {until}, whole.")
