"""`dmp-gateway db retain`: take away what has been kept long enough, and say what it was."""

from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli import console
from gateway.cli.data_option import config_option, data_option, json_option, run_verb
from gateway.store.retention import JOBS, JobDone
from gateway.wiring.verbs import Retaining

_CONFIG: Final = config_option(
    "The configuration that `serve` gets (asked only where no gateway runs): how long things are kept stands in [retention]."
)


@click.command(short_help="Take away what has been kept long enough.")
@click.option("--dry-run", is_flag=True, help="Only say what is due; take nothing away.")
@data_option
@_CONFIG
@json_option
def retain(*, dry_run: bool, data: Path, config: Path | None, as_json: bool) -> None:
    """
    Take away what has been kept long enough.

    What that is, and how long it is kept, stands in the page of settings: receipts, what is parked, bytes of deleted documents,
    records that were closed ten years ago. A running gateway does it by itself, at its start and daily; this does it now, in
    small transactions that keep nobody waiting. A run that is cut off goes on at the next.

    \b
    Example:
      dmp-gateway db retain --dry-run

    \b
    Exit status: 0 done, 1 the store is away or an upkeep is under way.
    """  # noqa: D301 - click reads this mark
    done = msgspec.json.decode(run_verb(data, config, "db.retain", Retaining(dry_run=dry_run)), type=list[JobDone])
    if as_json:
        for job in done:
            console.json_line(job)
        return
    what = {job.name: job.what for job in JOBS}
    for each in done:
        console.out.print(f"{each.job:9} {each.rows:9}  {'due' if dry_run else 'taken'}, before {each.before[:10]}")
        if each.rows:
            console.err.print(f"  {what[each.job]}")
