"""`dmp-gateway record`: open, close, show a record; state or lift the patient's opposition."""

from pathlib import Path
from typing import Final

import click

from gateway.cli import console
from gateway.cli.data_option import config_option, data_option, json_option, run_verb
from gateway.cli.identity_watch import WATCH_COMMANDS
from gateway.cli.patient_options import patient_of, patient_options
from gateway.cli.record_import import import_records
from gateway.cli.record_pages import page_of
from gateway.cli.record_statements import about_of, lift, oppose, standing_of, whose_of
from gateway.cli.saying import say, when
from gateway.model.patient import Traits
from gateway.store.views import RecordPage
from gateway.wiring.verbs import Closing, Opening

_OFFLINE_CONFIG: Final = config_option(
    "The configuration that `serve` gets (asked only where no gateway runs); without one, the sample configuration."
)


@click.group()
def record() -> None:
    """Open, close, show a record; state or lift an opposition to its feeding; merge files, move documents, work through tasks."""


record.add_command(import_records)
for _command in WATCH_COMMANDS:
    record.add_command(_command)


@record.command("open", short_help="Open a record with the patient's consent.")
@patient_options
@click.option("--collected-by", required=True, metavar="WHO", help="Who collected the patient's consent (R-01).")
@click.option(
    "--channel",
    type=click.Choice(["online", "desk", "pharmacist", "professional", "hospital", "migration"]),
    default="desk",
    show_default=True,
    help="Where it was opened (R-02).",
)
@click.option("--place", default="", help="Where the consent was collected.")
@click.option("--emergency/--no-emergency", default=None, help="May it be read in an emergency (R-05)? Unsaid: not asked.")
@click.option("--birth-name", help="Birth name, as INSi gave it.")
@click.option("--given-names", help="Birth given names, as INSi gave them, the first one first.")
@click.option("--birth-date", metavar="YYYYMMDD", help="Date of birth.")
@click.option("--sex", type=click.Choice(["M", "F", "U"]))
@click.option("--birth-place", metavar="COG", help="INSEE code of the place of birth.")
@data_option
@_OFFLINE_CONFIG
@json_option
def open_record(
    *,
    ins: str | None,
    root: str | None,
    local: str | None,
    collected_by: str,
    channel: str,
    place: str,
    emergency: bool | None,
    birth_name: str | None,
    given_names: str | None,
    birth_date: str | None,
    sex: str | None,
    birth_place: str | None,
    data: Path,
    config: Path | None,
    as_json: bool,
) -> None:
    """
    Open a record, or reopen a closed one, with the patient's consent (R-01). A deposit never opens one.

    \b
    Example:
      dmp-gateway record open --ins 284103523811464 --collected-by "Mme Martin, admissions"
    """  # noqa: D301 - click reads this mark
    if local is not None:
        message = "a record is opened under the patient's INS: give --ins"
        raise click.UsageError(message)
    traits = Traits(
        birth_name=birth_name,
        first_given_name=given_names.split()[0] if given_names else None,
        given_names=given_names,
        birth_date=when("--birth-date", birth_date),
        sex=sex,
        birth_place=birth_place,
    )
    opening = Opening(
        patient=patient_of(ins, root, local),
        traits=traits,
        channel=channel,
        collected_by=collected_by,
        place=place,
        emergency_access=emergency,
    )
    say(run_verb(data, config, "record.open", opening), "The record is open.", "The record was open already.", as_json=as_json)


@record.command("close", short_help="Close a record at the patient's demand.")
@patient_options
@click.option("--requested-by", default="patient", show_default=True, help="Who asked for it (R-08).")
@data_option
@_OFFLINE_CONFIG
@json_option
def close_record(
    *, ins: str | None, root: str | None, local: str | None, requested_by: str, data: Path, config: Path | None, as_json: bool
) -> None:
    """Close a record: no deposit, no consultation, until the patient reopens it (R-08)."""
    closing = Closing(patient=patient_of(ins, root, local), requested_by=requested_by)
    say(
        run_verb(data, config, "record.close", closing),
        "The record is closed.",
        "The record was closed already.",
        as_json=as_json,
    )


record.add_command(oppose)
record.add_command(lift)


@record.command("show", short_help="Show a record: state, rights, documents.")
@patient_options
@data_option
@json_option
def show(*, ins: str | None, root: str | None, local: str | None, data: Path, as_json: bool) -> None:
    """Show a record: its state, who opposes what since when, its documents (metadata only), what waits for a person."""
    page = page_of(data, patient_of(ins, root, local))
    if as_json:
        console.json_line(page)
        return
    _print_page(page)


def _print_page(page: RecordPage) -> None:
    since = f" since {page.opened_at} ({page.channel})" if page.opened_at else ""
    console.out.print(f"Record: {page.state}{since}{f', closed at {page.closed_at}' if page.closed_at else ''}")
    console.out.print("")
    console.table(("identifier", "authority"), [(value, authority) for authority, value in page.identifiers])
    console.out.print("")
    if page.statements:
        console.table(
            ("in force", "right", "stated", "scope", "side", "stated at", "basis", "bound since", "id"),
            [
                (
                    standing_of(line),
                    line.statement.right.value,
                    line.statement.position.value,
                    about_of(line),
                    whose_of(line),
                    line.statement.collected_at.iso if line.statement.collected_at else "not said",
                    line.statement.basis,
                    f"{line.bound_from} by {line.because}",
                    line.id,
                )
                for line in page.statements
            ],
        )
    else:
        console.out.print("No statement: nothing opposes the feeding of this record.")
    console.out.print("")
    if page.documents:
        console.table(
            ("document", "title", "type", "created", "version", "state", "owner", "deposited"),
            [
                (
                    line.unique_id,
                    line.title,
                    line.type_code,
                    line.creation_time,
                    str(line.version or ""),
                    line.state + (" withheld" if line.withheld else "") + (" masked" if line.masked else ""),
                    line.owner,
                    line.committed_at,
                )
                for line in page.documents
            ],
        )
    else:
        console.out.print("No document.")
    for task in page.tasks:
        console.out.print(f"Waits for a person: {task}")
